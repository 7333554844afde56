"""`docs`: the handbook, built when something in it has changed, and served on this machine."""

from typing import Annotated

import typer

from kit.course import catalogue
from kit.live.app import learner_app
from kit.processes.stack import Stack
from kit.site import handbook
from kit.site.server import serving, wait_for_interrupt


def docs(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8001,
) -> None:
    """Read the handbook: builds it, and serves it on this machine. Ctrl-C stops it.

    Example: ./workshop docs --port 0
    """
    with Stack() as stack:
        folder = handbook.up_to_date(stack)
    with serving(folder, port, learner_app(catalogue.load())) as address:
        wait_for_interrupt("The handbook", address)
