"""The flights that the notebooks read."""
