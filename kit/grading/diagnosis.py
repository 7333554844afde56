"""Reading in a process's log why it does not do what it should: one line for a learner."""

import re

# The rules are tried in order; the first that matches tells.
RULES = (
    (r'Attribute "(\w+)" not found in module "nb_runner\.main"', r"nb_runner/main.py has no `\1`"),
    (r'Could not import module "nb_runner\.main"', "there is no nb_runner/main.py to import"),
    (
        r"Module 'nb_runner\.tasks' has no attribute",
        "nb_runner/tasks.py has no Celery app: nothing called `app`",
    ),
    (
        r"attempting to bind on address \('([\d.]+)', (\d+)",
        r"importing it starts a server of its own, at \1:\2, and that port is taken",
    ),
    (r"The module nb_runner\.tasks was not found", "there is no nb_runner/tasks.py to import"),
)
FRAME = re.compile(r'File "[^"]*?(nb_runner/[^"]+\.py)", line (\d+)')
# Exceptions of the project's own are called as it pleases.
LAST = re.compile(
    r"^((?:[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Wrong)\b"
    r"|nb_runner\.[\w.]*\b[A-Z]\w*(?=:|$)).*)$",
    re.M,
)


# How FastAPI writes down what pydantic has found in an answer.
FOUND = re.compile(r"""'loc': \((.*?),?\), 'msg': (['"])(.*?)\2, 'input'""")


def reason(log: str) -> str:
    """Why, as far as the log tells. Empty: it does not."""
    for pattern, words in RULES:
        if found := re.search(pattern, log):
            return found.expand(words)
    errors = list(LAST.finditer(log))
    if not errors:
        return ""
    frames = FRAME.findall(log)
    where = f"{frames[-1][0]}, line {frames[-1][1]}: " if frames else ""
    error, rest = errors[-1][1], log[errors[-1].end() :]
    if "validation error" in error and (first := _first_of_pydantic(rest)):
        error = f"{error.removesuffix(':')}: {first}"
    return f"{where}{error}"


def place(log: str) -> str:
    """The file of the project that was at work when it went wrong. Empty: the log does not tell."""
    frames = FRAME.findall(log)
    return str(frames[-1][0]) if frames else ""


def _first_of_pydantic(told: str) -> str:
    """The first thing that pydantic has found: where, and what about it."""
    lines = [line.strip() for line in told.strip("\n").splitlines()[:2]]
    if lines and (found := FOUND.search(lines[0])):
        return f"{found[1].replace(chr(39), '').replace(', ', '.')}: {found[3]}"
    return ": ".join(line.partition(" [type=")[0] for line in lines)
