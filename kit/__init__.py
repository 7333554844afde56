"""The program behind `./workshop`: one verb per module."""
