"""Our claims, measured beside public peers in the same run.

Each module with a function `measure(repeat, say)` is a benchmark: to add one, add a module.
"""
