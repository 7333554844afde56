"""junit/NAME.xml: a file for each submission, which CI services can show."""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from kit.checking.wording import hint_command, problem_text, task_text
from kit.classroom.reports.files import write_whole
from kit.classroom.results import ClassResult, LearnerResult
from kit.course.catalogue import Exercise
from kit.verdicts.verdict import TaskVerdict, Verdict

FOLDER = "junit"
# Characters that XML 1.0 cannot hold.
INVALID_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(result: ClassResult, out: Path) -> None:
    """Write a file for each learner. Raises KitError."""
    for learner in result.learners:
        write_whole(out / FOLDER / f"{learner.name}.xml", as_xml(learner, result.exercises))


def remove(names: list[str], out: Path) -> None:
    """Remove the files of these learners."""
    for name in names:
        file = out / FOLDER / f"{name}.xml"
        if file.parent == out / FOLDER:  # a name in a forged report.json could be a path
            file.unlink(missing_ok=True)


def as_xml(learner: LearnerResult, exercises: list[Exercise]) -> bytes:
    """The XML: a test suite for each exercise, a test case for each task."""
    suites = [_suite(learner, exercise) for exercise in exercises] or [_nothing_to_grade(learner)]
    top = Element("testsuites", {"name": _valid_in_xml(learner.name), **_totals(suites)})
    top.extend(suites)
    ElementTree.indent(top, " ")
    text: bytes = ElementTree.tostring(top, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(learner: LearnerResult, exercise: Exercise) -> Element:
    verdict = learner.verdict_on(exercise)
    suite = Element("testsuite", {"name": exercise.slug})
    for task in verdict.tasks:
        _add_case(suite, verdict, task, hint_command(exercise))
    return _with_counts(suite, verdict.seconds)


def _add_case(suite: Element, verdict: Verdict, task: TaskVerdict, hint: str) -> None:
    name = _valid_in_xml(f"{task.number} {task.title}")
    case = SubElement(suite, "testcase", {"classname": verdict.exercise, "name": name})
    if verdict.problem is not None:
        _add_outcome(case, "error", problem_text(verdict.problem), "could not be graded")
    elif not task.passed:
        _add_outcome(case, "failure", task_text(task, hint), "not passed")
    if task.notes:
        SubElement(case, "system-out").text = _valid_in_xml("\n".join(task.notes))


def _nothing_to_grade(learner: LearnerResult) -> Element:
    """A suite for a submission without any exercise: CI shows a file without a case as passed."""
    suite = Element("testsuite", {"name": "submission"})
    case = SubElement(suite, "testcase", {"classname": "submission", "name": "can be graded"})
    _add_outcome(case, "failure", learner.problem or "There is nothing to grade.", "not passed")
    return _with_counts(suite, 0.0)


def _add_outcome(case: Element, kind: str, message: str, type_: str) -> None:
    message = _valid_in_xml(message) or type_
    first = message.splitlines()[0] if message.strip() else type_
    SubElement(case, kind, {"message": first, "type": type_}).text = message


def _with_counts(suite: Element, seconds: float) -> Element:
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("./testcase/failure"))))
    suite.set("errors", str(len(suite.findall("./testcase/error"))))
    suite.set("skipped", "0")
    suite.set("time", f"{seconds:.2f}")
    return suite


def _totals(suites: list[Element]) -> dict[str, str]:
    def total(name: str) -> float:
        return sum(float(suite.get(name, "0")) for suite in suites)

    counts = {name: f"{total(name):.0f}" for name in ("tests", "failures", "errors")}
    return {**counts, "time": f"{total('time'):.2f}"}


def _valid_in_xml(text: str) -> str:
    return INVALID_IN_XML.sub("\ufffd", text)
