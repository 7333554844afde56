"""A schedule as an SVG: text is text, dark on light surfaces of its own, on any background."""

from html import escape

from explorer.findings import Finding
from explorer.lanes import lane_actors, more, rows
from explorer.trace import Step, Trace

WIDTH = 960
LEFT, TOP, ROW, CARD = 56, 20, 66, 46
CHARACTER = 10.4  # px, of a letter of the font for code; narrow fonts leave room
COLOURS = ("d-api", "d-worker", "d-kernel", "d-database")
STYLE = """
    .drawing {
      --ink: #1c2333; --ground: #f7f8fb; --edge: #8a94a8; --quiet: #475066; --api: #d9e7fd;
      --api-edge: #1d5fb8; --redis: #fdebc8; --redis-edge: #96590a; --worker: #d8f0dc;
      --worker-edge: #21783a; --kernel: #eadffb; --kernel-edge: #6c3fb5; --database: #d2eeef;
      --database-edge: #0e7078; --fault: #fde3e2; --fault-edge: #c21b22;
    }
    .drawing:root { color-scheme: light dark; }
    @media (prefers-color-scheme: dark) {
      .drawing {
        --ink: #e8ebf2; --ground: #1b212b; --edge: #7f8aa0; --quiet: #b4bccb; --api: #172c4d;
        --api-edge: #7fb2f7; --redis: #43300f; --redis-edge: #e8b04f; --worker: #173a22;
        --worker-edge: #74cf8d; --kernel: #33244f; --kernel-edge: #bf9cf5; --database: #103a3d;
        --database-edge: #62cbd3; --fault: #4c1a1a; --fault-edge: #ff7d76;
      }
    }
    .drawing { font: 18px system-ui, sans-serif; }
    .drawing text { fill: var(--ink); stroke: none; }
    .drawing .panel { fill: var(--ground); stroke: var(--edge); stroke-width: 2; }
    .drawing .name { font-size: 19px; font-weight: 700; }
    .drawing .code { font-family: ui-monospace, monospace; }
    .drawing .mid { text-anchor: middle; }
    .drawing .say {
      paint-order: stroke; stroke: var(--ground); stroke-width: 6px; stroke-linejoin: round; }
    .drawing .quiet { fill: var(--quiet); }
    .d-api { fill: var(--api); stroke: var(--api-edge); stroke-width: 2; }
    .d-redis { fill: var(--redis); stroke: var(--redis-edge); stroke-width: 2; }
    .d-worker { fill: var(--worker); stroke: var(--worker-edge); stroke-width: 2; }
    .d-kernel { fill: var(--kernel); stroke: var(--kernel-edge); stroke-width: 2; }
    .d-database { fill: var(--database); stroke: var(--database-edge); stroke-width: 2; }
    .d-fault { fill: var(--fault); stroke: var(--fault-edge); stroke-width: 3; }
    .drawing .life { fill: none; stroke-width: 2.5; stroke-dasharray: 3 6; }
"""


def as_svg(trace: Trace, finding: Finding, *, name: str = "schedule", full: bool = False) -> str:
    """The schedule as a drawing. `name` begins its ids, so that a page may hold several."""
    return _Drawing(trace).draw(finding, name, full)


class _Drawing:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.actors = lane_actors(trace)
        self.lane = (WIDTH - LEFT - 24) // max(1, len(self.actors))
        self.y = TOP
        self.parts: list[str] = []

    def draw(self, finding: Finding, name: str, full: bool) -> str:
        self._heads()
        begin = self.y
        for row in rows(self.trace, finding, full=full):
            if row.step is None:
                self._text(LEFT, self.y + 20, more(row.left_out), "say quiet")
                self.y += 34
            else:
                self._step(row.step, row.number)
        lives = [
            f'<path class="life {self._colour(n)}" d="M{self._centre(n):g} {begin - 8}V{self.y}"/>'
            for n in range(len(self.actors))
        ]
        self._ends()
        self._sentence(finding.sentence)
        title = f"A schedule of {', '.join(self.actors)}"[:90]
        told = [
            f"{step.actor}: {step.asked}; {step.saw or 'for all'}." for step in self.trace.steps
        ]
        told += [f"{outcome.actor} ends with {outcome}." for outcome in self.trace.outcomes]
        height = self.y + 12
        return "\n".join(
            [
                '<svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="img" '
                f'aria-labelledby="{name}-title {name}-desc" viewBox="0 0 {WIDTH} {height}" '
                f'width="{WIDTH}" height="{height}">',
                f'  <title id="{name}-title">{escape(title)}</title>',
                f'  <desc id="{name}-desc">{escape(" ".join([*told, finding.sentence]))}</desc>',
                f"  <style>{STYLE}  </style>",
                "  <defs></defs>",
                f'  <rect class="panel" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" '
                'rx="14"/>',
                *(f"  {part}" for part in [*lives, *self.parts]),
                "</svg>",
                "",
            ]
        )

    def _heads(self) -> None:
        for number, actor in enumerate(self.actors):
            left = self._centre(number) - 110
            self._box(self._colour(number), left, 220, CARD)
            self._text(left + 110, self.y + 30, self._fitted(actor, 200), "name mid")
        self.y += CARD + 24

    def _step(self, step: Step, number: int) -> None:
        self._text(16, self.y + 33, str(number), "quiet")
        if step.event:
            self._box("d-redis", LEFT, WIDTH - LEFT - 24, CARD)
            self._text(WIDTH / 2, self.y + 30, step.asked, "mid")
        else:
            lane = self.actors.index(step.actor)
            left, width = LEFT + lane * self.lane, self.lane - 16
            self._box(self._colour(lane), left, width, CARD + 8)
            self._text(left + 10, self.y + 22, self._fitted(step.asked, width - 20), "code")
            self._text(left + 10, self.y + 45, self._fitted(f"→ {step.saw}", width - 20), "quiet")
        self.y += ROW

    def _ends(self) -> None:
        self.y += 4
        for number, actor in enumerate(self.actors):
            ends = [str(one) for one in self.trace.outcomes if one.actor == actor]
            self._text(
                self._centre(number),
                self.y + 24,
                self._fitted(" ".join(ends), self.lane),
                "name mid",
            )
        self.y += 44

    def _sentence(self, sentence: str) -> None:
        lines = [""]
        for word in sentence.split():
            if len(lines[-1]) + len(word) > 88:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}".strip()
        self._box("d-fault", 24, WIDTH - 48, 26 * len(lines) + 20)
        for number, line in enumerate(lines):
            self._text(44, self.y + 29 + 26 * number, line, "")
        self.y += 26 * len(lines) + 24

    def _centre(self, number: int) -> float:
        return LEFT + number * self.lane + (self.lane - 16) / 2

    def _colour(self, number: int) -> str:
        return COLOURS[number % len(COLOURS)]

    def _fitted(self, text: str, width: float) -> str:
        size = int(width / CHARACTER)
        return text if len(text) <= size else text[: size - 1] + "…"

    def _box(self, colour: str, left: float, width: float, height: float) -> None:
        self.parts.append(
            f'<rect class="{colour}" x="{left:g}" y="{self.y}" width="{width:g}" '
            f'height="{height:g}" rx="10"/>'
        )

    def _text(self, x: float, y: float, text: str, classes: str) -> None:
        kind = f' class="{classes}"' if classes else ""
        self.parts.append(f'<text{kind} x="{x:g}" y="{y:g}">{escape(text)}</text>')
