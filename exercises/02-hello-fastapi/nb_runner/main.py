"""The API of the notebook runner."""

# TODO(2.1): make a FastAPI application called `app`, and a function `ping` that answers
#   GET /ping with the text "pong". It can be an `async def`: nothing in it waits.
#   https://fastapi.tiangolo.com/tutorial/first-steps/

# TODO(2.2): give the application a title and a description of your own.
#   https://fastapi.tiangolo.com/tutorial/metadata/

# TODO(2.3): say what `ping` returns (-> str), what it does (a docstring), and what its answer
#   means (response_description).

# TODO(2.4): write a test of `ping` in test_main.py, beside this file. It has to fail when the
#   answer is another one. https://fastapi.tiangolo.com/tutorial/testing/
