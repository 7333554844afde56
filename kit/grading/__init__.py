"""Checking a learner's project from outside: start it as its users would, talk to it, tell."""
