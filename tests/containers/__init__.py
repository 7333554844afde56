"""The composed stack, in containers: `make containers` runs these."""
