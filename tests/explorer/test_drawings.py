"""A schedule is drawn from data: as lanes of text, as SVG, as JSON; and the sentence follows."""

import json
import re
from dataclasses import replace

import pytest

from explorer import Command, Finding, Outcome, Step, Trace, as_lanes, as_svg, as_table, find
from explorer.crashes import Point
from explorer.resp import Value
from tests.site import test_drawings as drawings

EVENT = "time"


def steps(*lines: str) -> tuple[Step, ...]:
    """Steps, written `actor: COMMAND key → reply`; a star means that the data are others then."""
    made = []
    for line in lines:
        actor, _, rest = line.partition(": ")
        text, _, said = rest.partition(" → ")
        reply: Value = None if said.strip("*") == "nothing" else said.strip("*")
        made.append(
            Step(
                actor,
                Command((text,) if actor == EVENT else tuple(text.split())),
                reply,
                said.endswith("*"),
                event=actor == EVENT,
            )
        )
    return tuple(made)


def trace(*lines: str, **outcomes: object) -> Trace:
    ends = tuple(Outcome(actor, "done", result) for actor, result in outcomes.items())
    return Trace(steps(*lines), ends, fault="both have started")


BOTH_LOOKED = trace(
    "Ada: GET job → nothing",
    "Bob: GET job → nothing",
    "Bob: SET own:1 x → OK*",
    "Bob: SET job b → OK*",
    "Ada: SET job a → OK*",
    Ada="started",
    Bob="started",
)
DELETED = trace(
    "Ada: SET lock a NX → OK*",
    "Bob: SET lock b NX → nothing",
    "Bob: DEL lock → 1*",
    "Cleo: SET lock c NX → OK*",
    Ada="started",
    Bob="refused",
    Cleo="started",
)
ENDED = trace(
    "Ada: SET lock a NX EX 10 → OK*",
    "time: 11 s pass",
    "Bob: SET lock b NX EX 10 → OK*",
    "Ada: SET job a → OK*",
    Ada="started",
    Bob="started",
)


@pytest.mark.parametrize(
    ("drawn", "kind", "told", "sentence"),
    [
        (
            BOTH_LOOKED, "both looked", (0, 1, 3, 4),
            "Bob looked at job before Ada had written: both saw nothing.",
        ),
        (
            DELETED, "deleted by another", (0, 1, 2, 3),
            "Bob deleted lock, which Ada held: so Cleo took it, too.",
        ),
        (
            ENDED, "ended too early", (0, 1, 2, 3),
            "The key lock ended while Ada was at work: so Bob took it, too.",
        ),
        (
            trace("Ada: GET n → 1", "Bob: SET n 2 → OK*", "Ada: SET n 3 → OK*"),
            "looked too early", (0, 1, 2),
            "Ada looked at n, then Bob wrote it: Ada went on with what it had seen before.",
        ),
        (
            trace("Ada: SET a 1 → OK*", "Bob: SET b 1 → OK*"), "nobody looked", (0, 1),
            "Ada and Bob wrote, and none of them looked at what another had written.",
        ),
        (
            trace("Ada: SET a 1 → OK*", "Bob: GET a → 1", "Bob: SET b 1 → OK*"),
            "order", (0, 1), "In this order: both have started",
        ),
    ],
)  # fmt: skip
def test_the_sentence_follows_from_the_steps(
    drawn: Trace, kind: str, told: tuple[int, ...], sentence: str
) -> None:
    assert find(drawn) == Finding(kind, sentence, told)


def test_a_lock_that_its_holder_releases_is_no_finding() -> None:
    right = trace(
        "Ada: SET lock a NX → OK*",
        "Bob: SET lock b NX → nothing",
        "Ada: DEL lock → 1*",
        "Bob: SET lock b NX → OK*",
    )
    assert find(replace(right, fault=None)).kind == "order"


def test_the_lanes() -> None:
    assert as_lanes(BOTH_LOOKED, find(BOTH_LOOKED), width=60).splitlines() == [
        "    Ada                         Bob",
        "    ──────────────────────────  ──────────────────────────",
        "  1 GET job → nothing",
        "  2                             GET job → nothing",
        "    ⋮ 1 other step",
        "  4                             SET job b → OK",
        "  5 SET job a → OK",
        "    ──────────────────────────  ──────────────────────────",
        "    started                     started",
        "",
        "Bob looked at job before Ada had written: both saw nothing.",
    ]


def test_lanes_show_all_steps_when_asked_and_never_get_wider() -> None:
    long = trace(f"Ada: SET {'k' * 200} v → OK*", "time: 11 s pass", Ada="started", Bob="x" * 90)
    text = as_lanes(long, find(long), width=60, full=True)
    assert all(len(line) <= 60 for line in text.splitlines()[:-1])
    assert "── 11 s pass ──" in text and "→ OK" in text


@pytest.mark.parametrize("drawn", [BOTH_LOOKED, DELETED, ENDED])
def test_the_drawing_is_one_of_the_family(drawn: Trace) -> None:
    drawing = drawings.Drawing("two", as_svg(drawn, find(drawn), name="two"))
    drawings.require_family(drawing)


def test_what_no_terminal_can_print_is_a_dot() -> None:
    odd = trace("Ada: SET queue\x06\x163 v → OK*", Ada="202")
    for drawn in (as_lanes(odd, find(odd)), as_svg(odd, find(odd))):
        assert "queue·3" in drawn and "\x06" not in drawn


def test_the_drawing_shows_what_each_saw_and_the_sentence() -> None:
    wild = trace("Ada: SET a<b>&c v → OK*", "Bob: GET x → nothing", Ada="202", Bob="409")
    drawing = drawings.Drawing("x", as_svg(wild, find(wild), full=True))
    texts = ["".join(text.itertext()) for text in drawing.root.iter("text")]
    for words in ("Ada", "Bob", "SET a<b>&c v", "→ OK", "→ nothing", "202", "409"):
        assert words in texts
    assert find(wild).sentence in texts


def test_the_data_can_be_read_again() -> None:
    finding = find(BOTH_LOOKED)
    told = json.loads(BOTH_LOOKED.as_json(finding.sentence, finding.steps))
    assert told["sentence"] == finding.sentence
    assert [step["telling"] for step in told["steps"]] == [True, True, False, True, True]
    assert told["steps"][1] == {
        "actor": "Bob",
        "command": "GET job",
        "keys": ["job"],
        "reply": "nothing",
        "changed": False,
        "at": 0.0,
        "event": False,
        "telling": True,
    }
    assert told["outcomes"][0] == {"actor": "Ada", "state": "done", "result": "started"}


def test_the_table_of_crash_points() -> None:
    good = Point("kill", 0, Trace((), (Outcome("Ada", "killed"),)))
    step = replace(BOTH_LOOKED.steps[3], cut=True)
    bad = Point("cut", 1, Trace((step,), (Outcome("Ada", "done"),), fault="never again"))
    lines = as_table([good, bad]).splitlines()
    assert lines[0] == "✓ killed   before the first command"
    assert re.fullmatch(r"✗ cut off  after 1: SET job b +never again", lines[1])
