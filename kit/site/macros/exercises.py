"""An exercise in the handbook: its facts, tasks, hints and solution."""

import ast
import posixpath
import re
import textwrap

from kit.course import advice, catalogue, line
from kit.course.catalogue import Exercise
from kit.course.diff import difference
from kit.errors import KitError
from kit.markdown import fenced, table
from kit.site.macros.markdown import Problem, folded, headings_below, outside_fences

SOLUTION = "Our solution: what changes in each file"


def facts(number: str, *, page: str) -> str:
    """`[[facts NN]]`: its station on the line; minutes, tracks, and what comes before."""
    exercise = find(number)
    parts = [f"**{exercise.minutes} minutes**", f"Tracks: {', '.join(exercise.tracks)}"]
    before = next((each for each in catalogue.load() if each.number == exercise.number - 1), None)
    if before is None:
        parts.append("Nothing comes before it")
    else:
        parts.append(f"Before it: [{_title(before)}]({link(before, page)})")
    where = _line(page, here=exercise)
    return f"{where}\n\n{' · '.join(parts)}\n{{ .facts }}"


def course_line(*, page: str) -> str:
    """`[[line]]`: the course as a line, with a station for each exercise."""
    return _line(page)


def exercises(*, page: str) -> str:
    """`[[exercises]]`: the table of all of them."""
    rows = [
        (f"[{_title(each)}]({link(each, page)})", f"{each.minutes}&nbsp;min", _rooms(each))
        for each in catalogue.load()
    ]
    return table(("Exercise", "Time", "Also in"), rows)


def tasks(number: str, *, level: int) -> str:
    """`[[tasks NN]]`: the section of that name of the exercise's README."""
    exercise = find(number)
    readme = exercise.starter / "README.md"
    text = section(readme.read_text(encoding="utf-8"), "Tasks")
    if not text:
        raise Problem(f"there is no section Tasks in exercises/{exercise.slug}/README.md")
    text = headings_below(text, level)
    # A short anchor, which other pages can name: #task-7-1.
    return re.sub(
        r"^(#+) (\d+)\.(\d+) (.*)$", r"\1 \2.\3 \4 { #task-\2-\3 }", text, flags=re.MULTILINE
    )


def hints(number: str) -> str:
    """`[[hints NN]]`: for each task its hints, each folded by itself."""
    parts = []
    for task in find(number).tasks:
        inner = [
            folded("note", f"Hint {i} of {len(task.hints)}{_kind(text)}", _hint(text))
            for i, text in enumerate(task.hints, start=1)
        ]
        back = f"[Back to the task](#task-{task.number.replace('.', '-')}){{ .to-task }}"
        told = folded("tip", f"{task.number} {task.title}", "\n\n".join([*inner, back]))
        # The served handbook shows one hint after the other; it finds them by the task.
        parts.append(f'<div data-hints="{task.number}" markdown>\n\n{told}\n\n</div>')
    return "\n\n".join(parts)


def solution(number: str) -> str:
    """`[[solution NN]]`: folded, what leads from the starter to our solution, file by file."""
    exercise = find(number)
    if not exercise.solution.is_dir():
        raise Problem(f"there is no folder solutions/{exercise.slug}")
    old, new = f"exercises/{exercise.slug}", f"solutions/{exercise.slug}"
    text = difference(exercise.starter, exercise.solution, old, new)
    blocks = [_changed_file(part) for part in re.split(r"^(?=--- )", text, flags=re.MULTILINE)]
    return folded("success", SOLUTION, "\n\n".join(filter(None, blocks)))


def what_to_say(number: str) -> str:
    """`[[what-to-say NN]]`: ways to be wrong, how each looks, and what instructors say."""
    rows = [(each.did, each.looks, each.say) for each in advice.of(find(number))]
    return table(("what they did", "how it looks", "what to say"), rows)


def find(number: str) -> Exercise:
    """The exercise of that number. Raises Problem."""
    try:
        return catalogue.find(number)
    except KitError as error:
        raise Problem(error.message) from None


def link(exercise: Exercise, page: str) -> str:
    """From `page` (its path in docs/) to the exercise's chapter."""
    return posixpath.relpath(f"exercises/{exercise.slug}.md", posixpath.dirname(page) or ".")


def section(text: str, title: str) -> str:
    """What stands below `## title`, up to the next heading of that level."""
    lines = text.splitlines()
    prose = outside_fences(lines)
    heads = [i for i, line in enumerate(lines) if prose[i] and re.match(r"##? ", line)]
    begin = next((i for i in heads if lines[i] == f"## {title}"), None)
    if begin is None:
        return ""
    end = next((i for i in heads if i > begin), len(lines))
    return "\n".join(lines[begin + 1 : end]).strip("\n")


def _line(page: str, here: Exercise | None = None) -> str:
    folder = page.removesuffix("index.md").removesuffix(".md") or "."

    def link(exercise: Exercise) -> str:
        return f"{posixpath.relpath(f'exercises/{exercise.slug}', folder)}/"

    return line.as_html(catalogue.load(), link=link, here=here, small=here is not None)


def _title(exercise: Exercise) -> str:
    return f"{exercise.slug[:2]} {exercise.title}"


def _rooms(exercise: Exercise) -> str:
    """Its tracks but for the one that has all."""
    return ", ".join(track for track in exercise.tracks if track != "self-paced")


def _kind(text: str) -> str:
    """For the title of a hint: a reader who wants no code yet leaves it folded."""
    return ": code" if _is_code(textwrap.dedent(text).strip("\n")) else ""


def _is_code(text: str) -> bool:
    """A hint is a sentence or code; which, it does not say."""
    return "\n" in text or _is_python(text)


def _hint(text: str) -> str:
    text = textwrap.dedent(text).strip("\n")
    if not _is_code(text):
        return text
    others = {"[": "toml", "$": "console", "poetry ": "text"}
    return fenced(text, next((others[each] for each in others if text.startswith(each)), "python"))


def _is_python(line: str) -> bool:
    try:
        ast.parse(f"{line} pass" if line.endswith(":") else line)
    except SyntaxError:
        return False
    return True


def _changed_file(diff: str) -> str:
    """One file of a unified diff, its header turned into a title."""
    header, _, rest = diff.partition("\n")
    second, _, body = rest.partition("\n")
    if not header.startswith("--- "):
        return fenced(diff, "text") if diff.strip() else ""
    old, new = header.removeprefix("--- "), second.removeprefix("+++ ")
    title = {"(new)": f"{new} (new)", "(gone)": f"{old} (gone)"}
    name = title["(new)"] if old == "(new)" else title["(gone)"] if new == "(gone)" else new
    return fenced(body, "diff", title=name)
