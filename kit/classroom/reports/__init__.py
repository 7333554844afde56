"""Reports: the result of a class as HTML, JSON, CSV, Markdown and JUnit."""
