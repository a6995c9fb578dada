"""The local stack beside the credentials: where its databases and broker are, and what its processes weigh."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

_SAMPLE_EVERY_SECONDS = 2.0
"""At first; later less often, so that an hour makes a few hundred samples."""
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stack:
    """What `stack.json` says. `postgres`: service package → URL of its database."""

    folder: Path
    postgres: dict[str, str]
    kafka: str
    kafka_prefix: str
    gateway: str

    def processes(self) -> dict[str, int]:
        """Program name → process id, of those that run."""
        try:
            state = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {name: program["pid"] for name, program in state.get("programs", {}).items() if program.get("pid")}


def beside(credentials: Path) -> Stack | None:
    """The stack whose `stack.json` stands in the folder of the credentials, or None."""
    try:
        described: dict[str, Any] = json.loads((credentials.parent / "stack.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Stack(
        credentials.parent,
        described["postgres"],
        described["kafka"],
        described.get("kafka_prefix", ""),
        described["gateway"],
    )


@dataclass(slots=True)
class Weights:
    """Resident memory of every process of the stack, sampled while something runs."""

    stack: Stack
    samples: list[tuple[float, dict[str, int]]] = field(default_factory=list)

    async def watch(self) -> None:
        """Samples until cancelled."""
        began = time.monotonic()
        while True:
            sizes = await asyncio.to_thread(self._sizes)
            self.samples.append((time.monotonic() - began, sizes))
            await asyncio.sleep(_SAMPLE_EVERY_SECONDS + len(self.samples) / 20)

    def figures(self) -> dict[str, dict[str, float]]:
        """MiB per process: after the first tenth of the time, at the end, and at most."""
        if not self.samples:
            return {}
        whole = self.samples[-1][0]
        early = next(sizes for at, sizes in self.samples if at >= whole / 10)
        late = self.samples[-1][1]
        return {
            name: {
                "first_tenth_mib": round(early.get(name, 0) / _MIB, 1),
                "end_mib": round(late.get(name, 0) / _MIB, 1),
                "most_mib": round(max(sizes.get(name, 0) for _, sizes in self.samples) / _MIB, 1),
            }
            for name in sorted(late)
        }

    def _sizes(self) -> dict[str, int]:
        sizes = {}
        for name, pid in self.stack.processes().items():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                sizes[name] = _weight(process, with_children=name == "postgres")
        return sizes


def _weight(process: psutil.Process, *, with_children: bool) -> int:
    """Resident bytes. PostgreSQL's connections are processes of their own: what they share is counted once."""
    memory = process.memory_info()
    own, shared = memory.rss - memory.shared, memory.shared
    for child in process.children(recursive=True) if with_children else ():
        with contextlib.suppress(psutil.Error):
            memory = child.memory_info()
            own, shared = own + memory.rss - memory.shared, max(shared, memory.shared)
    return own + shared
