"""The API of the notebook runner."""

# TODO(2.1): make a FastAPI application called `app`, and a function `ping` that answers
#   GET /ping with the text "pong". `async def`, please: nothing in it waits.

# TODO(2.2): give the application a title, a description and a version of your own.

# TODO(2.3): say what `ping` returns (-> str), what it does (a docstring), and what its answer
#   means (response_description).
