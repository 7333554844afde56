"""Rules and templates for those who write exercises."""
