"""The package stands alone, and its README is true."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import explorer

FOLDER = Path(explorer.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
ROOT = FOLDER.parent


def test_it_imports_the_standard_library_and_redis_only() -> None:
    imported = set()
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"explorer", "redis"}


def test_the_example_in_the_readme_prints_what_the_readme_says(redis_url: str) -> None:
    [code] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    [expected] = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (expected, "")


def test_the_readme_names_what_there_is() -> None:
    rows = re.findall(r"^\| (`.+?) \|", README, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert named - {"trace"} <= set(explorer.__all__)
