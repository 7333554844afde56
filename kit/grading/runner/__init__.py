"""A runner under test: its runs, its data in Redis, the events of its tasks, a notebook for it."""
