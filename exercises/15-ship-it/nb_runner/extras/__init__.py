"""What the runner works without: fencing, measures, logs, and people who are told."""
