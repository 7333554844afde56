"""Running code that nobody trusts: confined, watched, and ended."""
