"""What workers say of themselves, for GET /ready: whether a run would work where it runs.

The API may be on another machine, so it cannot look there. Each pool process looks itself, and
tells Redis under a name that expires. One that is stopped, or hangs, is known by its silence: the
worker's main process says how many should be heard.
"""

from pydantic import BaseModel

from ..config import get_settings
from ..connection import api_redis
from ..names import names

OK = "ok"


class WorkerState(BaseModel):
    """What a run needs of a worker: "ok", or a sentence that says what is wrong."""

    database: str = OK
    artifacts: str = OK
    temporary: str = OK
    kernel: str = OK
    pool: str = OK


async def of_all() -> WorkerState | None:
    """What the workers say; where one of them has a problem, that one's words. None: there is none.

    One is enough: nobody knows which of them will get the next run.
    """
    expected = await _values(names().pools("*"))
    told = await _values(names().pool("*", "*"))
    if not expected:
        return None
    result = WorkerState()
    for key, processes in expected.items():
        worker = key.removeprefix(names().pools(""))
        states = [text for name, text in told.items() if name.startswith(names().pool(worker, ""))]
        if len(states) < int(processes):
            missing = int(processes) - len(states)
            result.pool = (
                f"{worker}: not heard of its pool processes: {missing} of {processes}. "
                "Is one stopped, or only just starting?"
            )
        for text in states:
            for part, words in WorkerState.model_validate_json(text):
                if words != OK:
                    setattr(result, part, f"{worker}: {words}")
    return result


async def workers() -> int:
    """How many worker processes have been alive within the last few seconds."""
    return len(await _keys(names().worker("*")))


async def notebooks() -> set[str]:
    """Our notebook, and those of the workers: one, unless another runner has our namespace."""
    told = await _values(names().worker("*"))
    return {get_settings().notebook_path.name, *told.values()}


async def _values(pattern: str) -> dict[str, str]:
    """The keys of a pattern, with what is in them."""
    keys = await _keys(pattern)
    values = await api_redis().mget(keys) if keys else []
    return {key: str(value) for key, value in zip(keys, values, strict=True) if value is not None}


async def _keys(pattern: str) -> list[str]:
    return [str(key) async for key in api_redis().scan_iter(pattern, count=1000)]
