"""The handbook and the slides, served beside a watch of the learner's work."""

import contextlib
from collections.abc import Iterator

from kit.course.catalogue import Exercise
from kit.setup.bootstrap import has
from kit.setup.layers import megabytes, with_needs
from kit.terminal.screen import wrapped
from kit.workspace import ROOT, workspace


@contextlib.contextmanager
def serving_handbook(exercises: list[Exercise]) -> Iterator[str]:
    """Serve both meanwhile, and say where. Yields the address of the handbook.

    It is empty where there is none: another course, or packages that were never installed.
    """
    if workspace().course != ROOT:  # handbook and slides are about our own course
        yield ""
    elif not has("site"):
        size = sum(megabytes(name) for name in with_needs(["site"]) if not has(name))
        print(wrapped(f"Handbook: ./workshop docs, in another terminal ({size:.0f} MB, once)"))
        yield ""
    else:
        from kit.live.app import learner_app
        from kit.site.server import serving_both

        with serving_both(learner_app(exercises)) as address:
            print(wrapped(f"Handbook: {address}   Slides: {address}slides/"))
            yield address
