"""A project whose processes have a gate each before Redis, so that a rule is decided."""
