"""Every crash point and every order of the finished runner: `python -m tests.e2e.explored`.

`product` has the processes, each behind a gate; `rule` judges what came of a schedule; `trials` has
the list of what is tried, and `results` keeps what came of it for the handbook.
"""
