"""A runner with the wrong lock: nothing to mend in here, only to break."""
