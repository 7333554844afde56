"""The API of the notebook runner."""

from fastapi import FastAPI

app = FastAPI(
    title="Notebook runner",
    description="Starts a notebook by an API call, and never twice at once.",
    version="0.1.0",
)


@app.get("/ping", response_description="The API is alive")
async def ping() -> str:
    """Say that the API is alive."""
    return "pong"


# TODO(3.1): a model `Run` (run_id, requested_by, queued: when it was asked for), and a function
#   `start` that answers POST /start with a new one, by status 202. Nothing is run yet.
#   https://fastapi.tiangolo.com/tutorial/response-status-code/

# TODO(3.2): a model `StartRequest` for the body of POST /start, all of it optional, and so is the
#   body: requested_by (text of 1 to 100 characters, else None), seconds (a number from 0 to 600,
#   else 1), rows (a whole number from 0 to 1000000, else 100). What is out of bounds gets 422.
#   https://fastapi.tiangolo.com/tutorial/body-fields/

# TODO(3.3): keep each run in a dict `records`, and have a function `status` answer GET
#   /status/{run_id} with it. 404 in words for one that nobody started; 422 for an id of more than
#   40 characters, which can be none of ours.
#   https://fastapi.tiangolo.com/tutorial/handling-errors/

# TODO(3.4): keep more than you show: a model `Record`, which is a `Run` with one field more,
#   `client`, the address that the request came from (request.client). It is in `records`, it must
#   not go out, and the documentation must not promise it.
#   https://fastapi.tiangolo.com/tutorial/response-model/

# TODO(3.5): a function `recent` that answers GET /runs with the last runs, newest first: 10 of
#   them, or as many as ?limit= says, which is from 1 to 100.
#   https://fastapi.tiangolo.com/tutorial/query-params-str-validations/
