"""Verbs for people who learn."""
