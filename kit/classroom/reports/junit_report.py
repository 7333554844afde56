"""junit/NAME.xml: what continuous integration shows, a file for each submission."""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from kit.checking.wording import hint_command, problem_text, task_text
from kit.classroom.reports.files import write_whole
from kit.classroom.results import ClassResult, LearnerResult
from kit.course.catalogue import Exercise
from kit.grading.verdict import TaskVerdict, Verdict

FOLDER = "junit"
# XML 1.0 has no way to write these.
IMPOSSIBLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(result: ClassResult, out: Path) -> None:
    """Write a file for each learner. Raises KitError."""
    for learner in result.learners:
        write_whole(out / FOLDER / f"{learner.name}.xml", as_xml(learner, result.exercises))


def remove(names: list[str], out: Path) -> None:
    """Take away the files of learners who are no longer there."""
    for name in names:
        file = out / FOLDER / f"{name}.xml"
        if file.parent == out / FOLDER:  # a name out of a report could be anything
            file.unlink(missing_ok=True)


def as_xml(learner: LearnerResult, exercises: list[Exercise]) -> bytes:
    """A suite for each exercise, a case for each task."""
    suites = [_suite(learner, exercise) for exercise in exercises] or [_unread(learner)]
    top = Element("testsuites", {"name": _possible(learner.name), **_sums(suites)})
    top.extend(suites)
    ElementTree.indent(top, " ")
    text: bytes = ElementTree.tostring(top, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(learner: LearnerResult, exercise: Exercise) -> Element:
    verdict = learner.verdict_on(exercise)
    suite = Element("testsuite", {"name": exercise.slug})
    for task in verdict.tasks:
        _case(suite, verdict, task, hint_command(exercise))
    return _counted(suite, verdict.seconds)


def _case(suite: Element, verdict: Verdict, task: TaskVerdict, hint: str) -> None:
    name = _possible(f"{task.number} {task.title}")
    case = SubElement(suite, "testcase", {"classname": verdict.exercise, "name": name})
    if verdict.problem is not None:
        _reason(case, "error", problem_text(verdict.problem), "could not be graded")
    elif not task.passed:
        _reason(case, "failure", task_text(task, hint), "not passed")
    if task.notes:
        SubElement(case, "system-out").text = _possible("\n".join(task.notes))


def _unread(learner: LearnerResult) -> Element:
    """For work in which there is nothing to grade: a file without a case would be green."""
    suite = Element("testsuite", {"name": "submission"})
    case = SubElement(suite, "testcase", {"classname": "submission", "name": "can be graded"})
    _reason(case, "failure", learner.problem or "There is nothing to grade.", "not passed")
    return _counted(suite, 0.0)


def _reason(case: Element, kind: str, message: str, type_: str) -> None:
    message = _possible(message) or type_
    first = message.splitlines()[0] if message.strip() else type_
    SubElement(case, kind, {"message": first, "type": type_}).text = message


def _counted(suite: Element, seconds: float) -> Element:
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("./testcase/failure"))))
    suite.set("errors", str(len(suite.findall("./testcase/error"))))
    suite.set("skipped", "0")
    suite.set("time", f"{seconds:.2f}")
    return suite


def _sums(suites: list[Element]) -> dict[str, str]:
    def total(name: str) -> float:
        return sum(float(suite.get(name, "0")) for suite in suites)

    counts = {name: f"{total(name):.0f}" for name in ("tests", "failures", "errors")}
    return {**counts, "time": f"{total('time'):.2f}"}


def _possible(text: str) -> str:
    return IMPOSSIBLE.sub("\ufffd", text)
