"""Verbs that serve what there is to read and to try: handbook, slides, labs."""
