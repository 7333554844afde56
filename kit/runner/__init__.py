"""The runner itself: what keeps a project's processes up, what breaks them, and the tour of it."""
