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


# TODO(3.1): a model `Run` (run_id, requested_by, queued: the time of the start, which goes out as
#   text such as 2026-11-22T13:49:30Z), and a function `start` that answers POST /start with a new
#   run and status 202. Nothing is executed yet.
#   https://fastapi.tiangolo.com/tutorial/response-status-code/

# TODO(3.2): a model `StartRequest` for the body of POST /start. The body is optional, and so is
#   each field: requested_by (text of 1 to 100 characters, or null; else None), seconds (a number
#   from 0 to 600, else 1), rows (a whole number from 0 to 1000000, else 100). A value that is out
#   of bounds, or cannot be read as its type, gets 422.
#   https://fastapi.tiangolo.com/tutorial/body-fields/

# TODO(3.3): keep each run in a dict `records`. A function `status` answers GET /status/{run_id}
#   with the run: 404 and a sentence for a run that nobody started, 422 for an id of more than 40
#   characters.
#   https://fastapi.tiangolo.com/tutorial/handling-errors/

# TODO(3.4): keep more than you show: a model `Record`, which is a `Run` with one more field,
#   `client`, the address that the request came from (request.client). `records` has the field, and
#   neither an answer nor the documentation has it.
#   https://fastapi.tiangolo.com/tutorial/response-model/

# TODO(3.5): a function `recent` that answers GET /runs with the last runs, newest first: 10 of
#   them, or as many as ?limit= says, from 1 to 100.
#   https://fastapi.tiangolo.com/tutorial/query-params-str-validations/
