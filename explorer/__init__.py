"""Tries every interleaving and every crash point of a few processes that share a Redis.

README.md beside this file tells how.
"""

from explorer.actors import Actor
from explorer.commands import Command, is_step
from explorer.crashes import Point, crash_points
from explorer.data import Data
from explorer.findings import Finding, find
from explorer.gate import Gate
from explorer.lanes import as_lanes, as_table
from explorer.moments import Moment, time_passes
from explorer.play import DoesNotEnd, attempt, play_once
from explorer.schedules import Report, explore
from explorer.svg import as_svg
from explorer.trace import Outcome, Step, Trace

__all__ = [
    "Actor",
    "Command",
    "Data",
    "DoesNotEnd",
    "Finding",
    "Gate",
    "Moment",
    "Outcome",
    "Point",
    "Report",
    "Step",
    "Trace",
    "as_lanes",
    "as_svg",
    "as_table",
    "attempt",
    "crash_points",
    "explore",
    "find",
    "is_step",
    "play_once",
    "time_passes",
]
