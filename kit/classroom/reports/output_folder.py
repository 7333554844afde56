"""The folder of the reports, `--out`: it is never a submission, nor a part of one."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from kit.classroom.intake.sources import Source, find_sources
from kit.classroom.reports import (
    csv_report,
    html_report,
    json_report,
    junit_report,
    markdown_report,
)
from kit.classroom.reports.files import cannot_be_written
from kit.classroom.results import ClassResult
from kit.course import catalogue
from kit.errors import KitError
from kit.workspace import shown


def sources_outside(out: Path, paths: Sequence[Path]) -> list[Source]:
    """The submissions at `paths`, without `out` itself, which may lie beside them.

    Raises KitError when `out` is one of the paths or a part of a learner's work, when a path holds
    no work, and when no submission is left.
    """
    folder = out.resolve()
    if any(path.resolve() == folder for path in paths):
        raise _conflict(out, "the work is there")
    sources = find_sources(paths)
    for source in sources:
        repository = source.path.resolve()
        if folder.is_relative_to(repository) and _is_work(folder, repository):
            raise _conflict(out, f"that is {source.name}'s work")
    sources = [source for source in sources if source.path.resolve() != folder]
    if not sources:
        raise KitError("there is no learner's work to grade", "./workshop grade --help")
    return sources


def prepare(out: Path) -> None:
    """Make the folder. Raises KitError, before the grading begins, when it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise cannot_be_written(out, error) from None


def write_all(result: ClassResult, out: Path, previous_learners: Sequence[str]) -> None:
    """Write all reports, and remove the files of previous learners without a result now."""
    names = {learner.name for learner in result.learners}
    junit_report.remove([name for name in previous_learners if name not in names], out)
    for report in (json_report, junit_report, markdown_report, csv_report, html_report):
        report.write(result, out)


def _is_work(folder: Path, repository: Path) -> bool:
    """Whether a folder in a repository, or the repository itself, is graded."""
    if folder == repository:
        return any(repository.glob("[0-9][0-9]-*")) or (repository / "work").is_dir()
    top = folder.relative_to(repository).parts[0]
    return top == "work" or catalogue.number_of(Path(top)) is not None


def _conflict(out: Path, why: str) -> KitError:
    return KitError(
        f"the reports cannot go to {shown(out.absolute())}: {why}",
        "./workshop grade PATH --out grades",
    )
