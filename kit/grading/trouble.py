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


def reason(log: str) -> str:
    """Why, as far as the log tells. Empty: it does not."""
    for pattern, words in RULES:
        if found := re.search(pattern, log):
            return found.expand(words)
    errors = LAST.findall(log)
    if not errors:
        return ""
    frames = FRAME.findall(log)
    where = f"{frames[-1][0]}, line {frames[-1][1]}: " if frames else ""
    return f"{where}{errors[-1]}"
