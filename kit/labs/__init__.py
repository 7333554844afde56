"""What the lab notebooks use."""
