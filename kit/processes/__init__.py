"""Processes that end with the process that started them; Redis, API and worker among them."""
