"""Where everything of one stack stands: the folder given by --dir (default `.run`)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one stack. Nothing outside it is written (but see `postgres.py` for closed folders)."""

    folder: Path

    @property
    def marker(self) -> str:
        """What every process of this stack carries in its environment."""
        return str(self.folder)

    @property
    def secrets(self) -> Path:
        """Keys and passwords, readable by the owner only."""
        return self.folder / "secrets"

    @property
    def state(self) -> Path:
        """What the supervisor is doing, for `up` and `status`."""
        return self.folder / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the living supervisor; the kernel frees it when it dies, however it dies."""
        return self.folder / "lock"

    def log(self, name: str) -> Path:
        """The log of one program."""
        return self.folder / "logs" / f"{name}.log"

    def pid_file(self, name: str) -> Path:
        """Process id and start time of one program."""
        return self.folder / "pids" / f"{name}.json"

    def held(self, name: str) -> Path:
        """Stands as long as the program is to stay down."""
        return self.folder / "held" / name

    def next_start(self, name: str) -> Path:
        """Settings of the program's next start alone."""
        return self.folder / "next" / f"{name}.json"

    def make(self) -> None:
        """Makes the folders that are missing."""
        for path in (self.folder, *(self.folder / name for name in ("logs", "pids", "held", "next"))):
            path.mkdir(parents=True, exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Replaces the file whole: a reader sees the old one or the new one."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", mode)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Replaces the file whole, with these rights from its first byte on."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    scratch.replace(path)


def read_json(path: Path) -> Any:
    """The file's value; None when it is missing or torn."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
