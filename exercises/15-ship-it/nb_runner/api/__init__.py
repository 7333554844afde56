"""What the API has beside the calls of main.py: output, health, the key, the page."""
