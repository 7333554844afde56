"""Every verb with its arguments and options, as the command line itself tells of them."""

import re
from dataclasses import dataclass
from typing import Any

import typer

from kit.markdown import code, fenced

RANGE = re.compile(r"(-?[\d.]+)<=x<=(-?[\d.]+)")


@dataclass(frozen=True)
class Parameter:
    """An argument or an option: how it is written, by all its names, and what it does."""

    shown: str  # "--port INTEGER"
    help: str
    names: tuple[str, ...]  # ("--port",), or nothing for an argument
    takes_value: bool


@dataclass(frozen=True)
class Verb:
    """One thing to type after ./workshop."""

    name: str  # "check", "dev diff"
    usage: str
    help: str  # sentences, without the example
    example: str
    parameters: tuple[Parameter, ...]


def load(app: typer.Typer) -> tuple[Verb, ...]:
    """All verbs of `app`, those below others too, in the order of `./workshop --help`."""
    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="./workshop")
    return tuple(_below(group, context))


def verbs(app: typer.Typer, *, level: int) -> str:
    """`[[verbs]]`: a section for each verb of `app`."""
    return "\n\n".join(_section(verb, "#" * (level + 1)) for verb in load(app))


def _below(group: Any, context: Any) -> list[Verb]:
    told = []
    for name, command in group.commands.items():
        inner = command.context_class(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            told += _below(command, inner)
        else:
            told.append(_verb(command, inner))
    return told


def _verb(command: Any, context: Any) -> Verb:
    text, _, example = (command.help or "").partition("Example: ")
    name = context.command_path.removeprefix("./workshop ")
    return Verb(
        name=name,
        usage=" ".join([context.command_path, *command.collect_usage_pieces(context)]),
        help=text.strip(),
        example=example.strip(),
        parameters=tuple(_parameter(each, context) for each in command.get_params(context)),
    )


def _parameter(parameter: Any, context: Any) -> Parameter:
    shown, help = parameter.get_help_record(context)
    is_option = parameter.param_type_name == "option"
    if not is_option:  # its type says nothing that its name does not
        shown = re.sub(r" <[^>]*>$", "", shown)
    return Parameter(
        shown=re.sub(r"<(int|float)( range)?>", "NUMBER", shown).replace("<str>", "TEXT"),
        help=RANGE.sub(r"\1 to \2", help),
        names=(*parameter.opts, *parameter.secondary_opts) if is_option else (),
        takes_value=is_option and not parameter.is_flag,
    )


def _section(verb: Verb, marks: str) -> str:
    parts = [f"{marks} {verb.name} {{ #{verb.name.replace(' ', '-')} }}", verb.help]
    parts += [
        f"{code(each.shown)}\n:   {' '.join(each.help.split())}"
        for each in verb.parameters
        if "--help" not in each.names  # each has it
    ]
    if verb.example:
        parts.append(fenced(f"$ {verb.example}", "console"))
    return "\n\n".join(parts)
