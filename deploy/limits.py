"""Kept small: no Python file over 400 lines, no function over 45 (house style). `python -m deploy.limits`."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 45


def main() -> int:
    """Prints what is too long; 1 when anything is."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line for name in listed.stdout.split() if Path(name).exists() for line in too_long(Path(name))]
    print("\n".join(found) or "All files and functions are within their limits.")
    return 1 if found else 0


def too_long(path: Path) -> Iterator[str]:
    """One sentence for each breach in a file."""
    text = path.read_text()
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{path}: {lines} lines, at most {FILE_LINES}: split it by noun"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES}"


if __name__ == "__main__":
    sys.exit(main())
