"""A runner with the wrong lock: nothing to fix in here, only to break."""
