"""Tries every interleaving and every crash point of a few processes that share a Redis."""

from explorer.actors import Actor
from explorer.commands import Command, is_step
from explorer.crashes import Point, crash_points
from explorer.data import Data
from explorer.gate import Gate
from explorer.moments import Moment, time_passes
from explorer.play import DoesNotEnd, attempt, play
from explorer.schedules import Report, explore
from explorer.trace import Trace

__all__ = [
    "Actor",
    "Command",
    "Data",
    "DoesNotEnd",
    "Gate",
    "Moment",
    "Point",
    "Report",
    "Trace",
    "attempt",
    "crash_points",
    "explore",
    "is_step",
    "play",
    "time_passes",
]
