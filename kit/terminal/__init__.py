"""What is written to a terminal, and keys read from it."""
