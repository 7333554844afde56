"""What the served handbook knows of the learner: their place, their ticks, their hints."""
