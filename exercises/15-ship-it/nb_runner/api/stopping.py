"""Whether this API process has been told to stop: then streams of events end, and are not cut off.

The output of a run that is followed is cut off: who reads it has to notice that there is more. So
uvicorn needs --timeout-graceful-shutdown, or it waits until the run has ended.
"""

import signal
import threading
from types import FrameType

_told = threading.Event()


def told() -> bool:
    """Whether it has."""
    return _told.is_set()


def listen() -> None:
    """Notice the signals that end uvicorn, which gets them all the same."""
    if threading.current_thread() is not threading.main_thread():
        return  # a test client: nobody sends it signals
    for number in (signal.SIGTERM, signal.SIGINT):
        uvicorns = signal.getsignal(number)

        def handler(received: int, frame: FrameType | None, then: object = uvicorns) -> None:
            _told.set()
            if callable(then):
                then(received, frame)

        if callable(uvicorns):
            signal.signal(number, handler)
