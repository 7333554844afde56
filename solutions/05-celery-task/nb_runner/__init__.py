"""The notebook runner."""
