"""Verbs that set up this machine, and say what is wrong with it."""
