"""The tests of a grader, with the tasks that their marks name. The file is read, not imported."""

import ast
from pathlib import Path

MARK = "pytest.mark.task"


def tests_of(grader: Path) -> dict[str, frozenset[str]]:
    """The tasks of each test function, by its name. Raises SyntaxError for what is no Python."""
    if not grader.is_file():
        return {}
    module = ast.parse(grader.read_text(encoding="utf-8"))
    return {
        node.name: frozenset(task for each in node.decorator_list for task in _tasks(each))
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def _tasks(decorator: ast.expr) -> list[str]:
    if not isinstance(decorator, ast.Call) or ast.unparse(decorator.func) != MARK:
        return []
    return [str(each.value) for each in decorator.args if isinstance(each, ast.Constant)]
