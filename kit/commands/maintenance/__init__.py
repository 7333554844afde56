"""Verbs that keep this machine and the course in order: set-up, doctor, and what authors need."""
