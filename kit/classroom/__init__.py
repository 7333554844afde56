"""Grading many learners: find their work, grade it out of harm's way, and tell what came of it."""
