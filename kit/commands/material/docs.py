"""`docs`: handbook and slides, built when something in them has changed, and served here."""

from typing import Annotated

import typer

from kit.course import catalogue
from kit.live.app import learner_app
from kit.site.server import PORT, serving_both, wait_for_interrupt


def docs(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = PORT,
) -> None:
    """Read the handbook: builds it, and serves it on this machine. Ctrl-C stops it.

    Example: ./workshop docs --port 0
    """
    with serving_both(learner_app(catalogue.load()), port) as address:
        wait_for_interrupt("The handbook", address)
