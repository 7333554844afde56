"""An exploration for people and programs: in the terminal, as one page, as JSON."""
