"""The layers of set-up, as kit/setup/layers.py has them."""

from kit.course import catalogue
from kit.markdown import code, table
from kit.setup.layers import LAYERS, VERBS, megabytes

ASKED_BY_SETTINGS = {"postgresql": ["a database URL for it"]}


def layers() -> str:
    """`[[layers]]`: what each is for, what asks for it, and how much it is to download."""
    rows = [
        (code(name), layer.purpose, _asked_by(name), f"{megabytes(name):.0f} MB")
        for name, layer in LAYERS.items()
    ]
    return table(("layer", "for", "installed by", "to download"), rows)


def _asked_by(name: str) -> str:
    verbs = [code(verb) for verb, layer in VERBS.items() if layer == name]
    numbers = [each.number for each in catalogue.load() if each.layer == name]
    exercises = [f"exercises {min(numbers):02} to {max(numbers):02}"] if numbers else []
    return ", ".join([*exercises, *verbs, *ASKED_BY_SETTINGS.get(name, [])])
