"""Tries every interleaving and every crash point of a few processes that share a Redis."""

from explorer.actors import Actor
from explorer.commands import Command, is_step
from explorer.crashes import Point, crash_points
from explorer.data import Data
from explorer.gate import Gate
from explorer.moments import Moment, time_passes
from explorer.schedules import Report, explore
from explorer.trace import Trace

__all__ = [
    "Actor",
    "Command",
    "Data",
    "Gate",
    "Moment",
    "Point",
    "Report",
    "Trace",
    "crash_points",
    "explore",
    "is_step",
    "time_passes",
]
