"""A verdict as data: what a task failed on, and which of its texts differ each time."""
