"""`doctor`: what is wrong with this machine, and the command that fixes it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kit.setup.doctor import CHECKS, Finding, State, run_check

STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "failure": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs to read.")] = False,
) -> None:
    """Look for what could go wrong on this machine. Exit code 2 when something will.

    Example: ./workshop doctor --json
    """
    findings = []
    progress = Console(stderr=True)
    with progress.status("looking …") as status:
        for name, check in CHECKS.items():
            status.update(f"looking at: {name}")
            findings.append(run_check(name, check))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if any(finding.state == "failure" for finding in findings):
        raise typer.Exit(2)


def _print(findings: Sequence[Finding]) -> None:
    table = Table("", "check", box=None, pad_edge=False)
    table.add_column("what we found", overflow="fold")
    for finding in findings:
        fixing = f"\nTry: {finding.fix}" if finding.fix else ""
        state = f"[{STYLES[finding.state]}]{finding.state}[/]"
        table.add_row(state, finding.check, escape(finding.message + fixing))
    console = Console()
    console.print(table)
    bad = sum(finding.state == "failure" for finding in findings)
    console.print(f"\n{bad} to fix first." if bad else "\nGood to go. Next: ./workshop")
