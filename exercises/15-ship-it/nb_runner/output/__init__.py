"""What cells put out: collected, kept on disk, read again."""
