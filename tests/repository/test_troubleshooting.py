"""Each sentence with which the kit refuses has an entry on the page of troubleshooting.

The sentences are read in the source: the texts of errors, with `…` where a value is put in.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kit.data import seed
from kit.setup.installer import EXPLANATIONS
from kit.workspace import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
# What carries a sentence, and the place of the sentence among its arguments.
CARRIERS = {
    "KitError": 0,
    "NotReady": 0,
    "NotStarted": 0,
    "ForkServerGone": 0,
    "Finding": 2,
    "Problem": 1,
    "not_checked": 2,
    "explain": 0,
    "_option": 1,
    "Refusal": 0,
    "stop": 0,
}
# These build the handbook and the drawings, and have classes of the same names.
NOT_OURS = ("kit/site/macros/", "kit/exploring/findings.py")
# Functions that return the reason in somebody else's sentence.
REASONS = ("why_no_redis", "_with_other_scheme")
GAP = re.compile(r"\{[^{}]*\}")
TABLES = [
    *(message for message, _ in EXPLANATIONS.values()),
    *(message for _, message, _ in seed.SYMPTOMS),
]
# Texts that are values, and no reasons.
VALUES = {"… to …"}
# Sentences that no error carries: they are printed, or another program prints them.
PRINTED = {
    "this is Python …, and the workshop needs 3.11 or newer": "workshop",
    "set-up interrupted; it is taken up again next time": "kit/setup/bootstrap.py",
    "another terminal is setting up: waiting for it": "kit/setup/bootstrap.py",
    "this is a fault of the workshop, not yours": "kit/cli.py",
    "… cannot be watched: …": "kit/checking/file_watcher.py",
    "it has started, and GET /ping gets no answer within …": "kit/grading/submission.py",
    "… was damaged, so it is set aside as … and begun anew; your work is as it was": (
        "kit/course/progress.py"
    ),
    "… was damaged, so it is set aside as …, and everything is graded anew": (
        "kit/classroom/reports/json_report.py"
    ),
    "it begins with a byte order mark": "tests/graders/test_01_poetry.py",
    "path cannot contain [] parametrization": "",  # pytest's
}


def in_words(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be, with `…` for each value in them."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(next(in_words(each), "…") for each in values)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*in_words(body), *in_words(orelse))
        case ast.BinOp(left=left, op=ast.Mod()):
            yield from (re.sub("%[sd]", "…", text) for text in in_words(left))


def names_in(node: ast.expr) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def said_in(function: ast.AST) -> Iterator[str]:
    """The sentences of errors in a function, and the reasons that it puts into them."""
    reasons = getattr(function, "name", "") in REASONS
    named: set[str] = set()
    assigned: list[tuple[str, ast.expr]] = []
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id=carrier), args=args) if carrier in CARRIERS:
                place = CARRIERS[carrier]
                harmless = carrier == "Finding" and "ok" in in_words(args[1])
                if len(args) > place and not harmless:
                    yield from in_words(args[place])
                    named |= names_in(args[place])
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                assigned.append((name, value))
            case ast.Return(value=ast.expr() as value) if reasons:
                yield from in_words(value)
    for name, value in assigned:
        if name in named:
            yield from in_words(value)


def sentences() -> set[str]:
    """All sentences, without those that consist of values alone."""
    found = {GAP.sub("…", sentence) for sentence in TABLES}
    for file in (*(ROOT / "kit").rglob("*.py"), *(ROOT / "tests" / "graders").glob("*.py")):
        if file.relative_to(ROOT).as_posix().startswith(NOT_OURS):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found |= set(said_in(node))
    return {sentence for sentence in found if re.search("[a-z]{2}.* ", sentence)} - VALUES


def entries() -> list[str]:
    """The sentences on the page: each a line of code, before the line that explains it."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = (re.fullmatch(r"(`+) ?(.+?) ?\1", line) for line in lines)
    return [each[2] for each in found if each]


def test_each_sentence_of_the_kit_has_an_entry_and_each_entry_is_said() -> None:
    listed = entries()
    assert len(listed) == len(set(listed)), "an entry is there twice"
    said = sentences()
    assert len(said) > 100
    assert sorted(said - set(listed)) == [], "without an entry in docs/troubleshooting.md"
    assert sorted(set(listed) - said - PRINTED.keys()) == [], "never said by the kit"


def test_what_is_only_printed_is_still_there() -> None:
    for sentence, file in PRINTED.items():
        if file:
            text = " ".join((ROOT / file).read_text(encoding="utf-8").split())
            longest = max(sentence.split("…"), key=len).strip(" ,")
            assert longest in text, sentence


def test_a_new_sentence_would_be_noticed(tmp_path: Path) -> None:
    told = """
def f(x):
    why = "it is odd" if x else f"{x} is even"
    raise KitError(f"{x} does not do: {why}", "another x")
"""
    (function,) = ast.parse(told).body
    assert set(said_in(function)) == {"… does not do: …", "it is odd", "… is even"}
