"""The chart of the finished runner, as helm renders it. `make containers` runs it, too."""
