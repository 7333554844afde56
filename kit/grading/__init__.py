"""What graders import: they start a learner's project as its users would, and check its answers."""
