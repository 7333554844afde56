"""The board, which shows an instructor how far everybody is: its data, its page, its API."""
