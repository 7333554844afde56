"""Checking one project: a grader in a process of its own, and one verdict."""
