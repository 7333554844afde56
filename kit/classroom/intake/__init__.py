"""Learners' work, as a folder or an archive, copied so that nothing in it can do harm."""
