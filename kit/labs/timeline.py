"""What several processes did over time, one lane each: the drawing that the labs show."""

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colours of Okabe and Ito, which colour-blind readers can tell apart, too.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, RED = "#56B4E9", "#D55E00"
GREY = "#BBBBBB"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)  # for what the caller gives no colour

BAR = 0.62  # of a lane's height
LETTER = 0.014  # of the drawing's width


@dataclass
class Span:
    """Something that lasted. `end` is None while it goes on."""

    lane: str
    what: str
    begin: float
    end: float | None = None

    def until(self, now: float) -> float:
        return now if self.end is None else self.end


@dataclass(frozen=True)
class Mark:
    """Something that happened at one moment."""

    lane: str
    what: str
    at: float


@dataclass(frozen=True)
class Clash:
    """Two lanes that did the same at the same time."""

    lanes: tuple[str, str]
    begin: float
    end: float


class Timeline:
    """Lanes in the order in which they were first named. Threads may write at the same time."""

    def __init__(self, *lanes: str) -> None:
        self.lanes = list(lanes)
        self.spans: list[Span] = []
        self.marks: list[Mark] = []
        self._zero = time.monotonic()
        self._lock = threading.Lock()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._zero

    def become(self, lane: str, what: str) -> None:
        """From now on `lane` does `what`; nothing new when it does so already."""
        with self._lock:
            now, open_ = self.now, self._open(lane)
            if open_ is not None and open_.what == what:
                return
            if open_ is not None:
                open_.end = now
            self.spans.append(Span(self._known(lane), what, now))

    def end(self, lane: str) -> None:
        """From now on `lane` does nothing."""
        with self._lock:
            open_ = self._open(lane)
            if open_ is not None:
                open_.end = self.now

    def mark(self, lane: str, what: str) -> None:
        """`lane` does `what` at this moment."""
        with self._lock:
            self.marks.append(Mark(self._known(lane), what, self.now))

    def path(self, lane: str) -> str:
        """What `lane` did, in order."""
        return " → ".join(span.what for span in self.spans if span.lane == lane)

    def clashes(self, what: str) -> list[tuple[str, str]]:
        """The lanes that did `what` at the same time, in pairs, the earliest first."""
        return [clash.lanes for clash in self._clashes(what)]

    def draw(
        self,
        title: str,
        *,
        begin: float = 0.0,
        clash: str = "",
        colours: Mapping[str, str] | None = None,
    ) -> None:
        """Show it, from `begin` on. Where two lanes do `clash` at once, it says so."""
        import matplotlib.pyplot as plt
        from matplotlib.patches import Patch

        now = self.now
        size = (8.0, 0.9 + 0.45 * len(self.lanes))
        figure, axes = plt.subplots(figsize=size, layout="constrained")
        ends = [span.until(now) for span in self.spans] + [mark.at for mark in self.marks]
        _dress(axes, title, self.lanes, max([*ends, begin + 0.001]) - begin)
        chosen = self._colours(colours or {})
        for span in self.spans:
            left, right = max(span.begin, begin) - begin, span.until(now) - begin
            if left < right:
                _bar(axes, self.lanes.index(span.lane), left, right, span.what, chosen)
        for mark in self.marks:
            _sign(axes, self.lanes.index(mark.lane), mark.at - begin, mark.what)
        for each in self._clashes(clash):
            _warn(axes, each.begin - begin, each.end - begin)
        handles = [Patch(color=colour) for colour in chosen.values()]
        figure.legend(handles, list(chosen), loc="outside right center", frameon=False, fontsize=8)
        plt.show()

    def _colours(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """A colour for each thing done: first those in `wanted`, then the others in their order."""
        done = dict.fromkeys(span.what for span in self.spans)
        rest = (what for what in done if what not in wanted)
        free = (colour for colour in itertools.cycle(COLOURS) if colour not in wanted.values())
        return {what: wanted[what] for what in wanted if what in done} | dict(
            zip(rest, free, strict=False)
        )

    def _clashes(self, what: str) -> list[Clash]:
        now = self.now
        found = []
        doing = [span for span in self.spans if span.what == what]
        for one, other in itertools.combinations(doing, 2):
            begin, end = max(one.begin, other.begin), min(one.until(now), other.until(now))
            if one.lane != other.lane and begin < end:
                found.append(Clash((one.lane, other.lane), begin, end))
        return sorted(found, key=lambda clash: clash.begin)

    def _known(self, lane: str) -> str:
        if lane not in self.lanes:
            self.lanes.append(lane)
        return lane

    def _open(self, lane: str) -> Span | None:
        return next((s for s in reversed(self.spans) if s.lane == lane and s.end is None), None)


def _dress(axes: "Axes", title: str, lanes: list[str], width: float) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_yticks(range(len(lanes)), lanes)
    axes.set_ylim(len(lanes) - 0.45, -0.95)  # the first lane on top, and room for words over it
    axes.set_xlim(0, width * 1.01)
    axes.set_xlabel("seconds")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _bar(
    axes: "Axes", row: int, left: float, right: float, what: str, colours: Mapping[str, str]
) -> None:
    colour = colours[what]
    axes.barh(row, right - left, left=left, height=BAR, color=colour, edgecolor="white")
    # Words on the bar, not only in the legend, for colour-blind readers.
    if (right - left) / axes.get_xlim()[1] > LETTER * len(what):
        middle, ink = (left + right) / 2, _ink_on(colour)
        axes.text(middle, row, what, ha="center", va="center", fontsize=8, color=ink)


def _sign(axes: "Axes", row: int, at: float, what: str) -> None:
    above = row - BAR / 2 - 0.1
    axes.plot(at, above, "v", color="black", markersize=6, clip_on=False)
    axes.annotate(what, (at, above), (6, 0), textcoords="offset points", fontsize=8, va="center")


def _warn(axes: "Axes", left: float, right: float) -> None:
    # Behind the bars, so that the words on them can be read.
    axes.axvspan(left, right, facecolor="none", edgecolor=RED, hatch="///", alpha=0.6, zorder=0.5)
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    words = axes.text((left + right) / 2, -0.65, "two at once", ha="center", va="center")
    words.set(fontsize=8, fontweight="bold", color="#A03C00", bbox=paper)


def _ink_on(colour: str) -> str:
    """Black or white: the one that is easier to read on `colour`."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return "black" if light > 0.18 else "white"
