"""Verbs for people who teach."""
