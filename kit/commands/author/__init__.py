"""Verbs for people who write exercises."""
