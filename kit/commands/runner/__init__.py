"""Verbs that start a runner, or break it."""
