"""The reason of a failure, read in the log of a process: one line for a learner."""

import re

# The first rule that matches gives the sentence.
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
# The project's own exceptions may have any name, so their module identifies them.
EXCEPTION = re.compile(
    r"^((?:[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Wrong)\b"
    r"|nb_runner\.[\w.]*\b[A-Z]\w*(?=:|$)).*)$",
    re.M,
)


# How FastAPI logs a pydantic error in an answer.
PYDANTIC_ERROR = re.compile(r"""'loc': \((.*?),?\), 'msg': (['"])(.*?)\2, 'input'""")


def reason(log: str) -> str:
    """The reason that the log gives; empty when it gives none."""
    for pattern, sentence in RULES:
        if found := re.search(pattern, log):
            return found.expand(sentence)
    errors = list(EXCEPTION.finditer(log))
    if not errors:
        return ""
    frames = FRAME.findall(log)
    where = f"{frames[-1][0]}, line {frames[-1][1]}: " if frames else ""
    error, rest = errors[-1][1], log[errors[-1].end() :]
    if "validation error" in error and (first := _first_pydantic_error(rest)):
        error = f"{error.removesuffix(':')}: {first}"
    return f"{where}{error}"


def place(log: str) -> str:
    """The project's file in the last frame of a traceback; empty when the log has none."""
    frames = FRAME.findall(log)
    return str(frames[-1][0]) if frames else ""


def _first_pydantic_error(text: str) -> str:
    """The first error of pydantic: the field, and what is wrong with it."""
    lines = [line.strip() for line in text.strip("\n").splitlines()[:2]]
    if lines and (found := PYDANTIC_ERROR.search(lines[0])):
        return f"{found[1].replace(chr(39), '').replace(', ', '.')}: {found[3]}"
    return ": ".join(line.partition(" [type=")[0] for line in lines)
