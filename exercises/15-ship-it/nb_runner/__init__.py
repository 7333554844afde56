"""A notebook runner: an API call starts a notebook, and it never runs twice at once."""
