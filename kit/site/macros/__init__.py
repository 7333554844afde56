"""What the handbook takes from elsewhere: code, tasks, hints, verbs, calls, settings."""
