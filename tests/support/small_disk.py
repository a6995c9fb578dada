"""A disk that can be filled: a file system of a few megabytes in memory, mounted for as long as it is needed."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

_MIB = 1024 * 1024
_AGAIN_SECONDS = 0.05


class SmallDisk:
    """One that is mounted. Its ballast is a file that is there from the beginning: a full disk takes no new one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"
        self._ballast.touch()

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Not one byte is left while the block runs, whatever somebody else gives back meanwhile."""
        filling = asyncio.create_task(self._fill())
        try:
            yield
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
            os.truncate(self._ballast, 0)

    async def _fill(self) -> None:
        while True:
            with self._ballast.open("ab", buffering=0) as file:
                for size in (_MIB, 4096, 1):
                    try:
                        while file.write(b"x" * size):
                            pass
                    except OSError:
                        continue
            await asyncio.sleep(_AGAIN_SECONDS)


@contextmanager
def small_disk(path: Path, mib: int) -> Iterator[SmallDisk]:
    """Mounted on `path`, an empty folder. Skips the test where this user may not mount."""
    if os.geteuid() != 0:
        pytest.skip("a small disk needs root, who alone may mount one")
    options = f"size={mib}m,mode=0755"
    command = ["mount", "-t", "tmpfs", "-o", options, "lgsp-small-disk", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip().partition(chr(10))[0]}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
