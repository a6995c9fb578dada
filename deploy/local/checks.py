"""What must be right about the machine before the stack starts: each fault is one sentence with its
remedy.
"""

import errno
import re
import shutil
import subprocess
from pathlib import Path

from deploy.local import broker
from deploy.local.problem import StackError

# PostgreSQL's write-ahead log alone may take 4 GiB under load; below this even an empty stack does not start
# safely.
NEEDED_FREE_BYTES = 1024**3
NEEDED_JAVA = 17


def disk(folder: Path, needed_bytes: int = NEEDED_FREE_BYTES) -> None:
    """Raises when the disk under `folder` is too full to start."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise StackError(
            f"Only {free // 1024**2} MiB are free under {folder}, {needed_bytes // 1024**2} MiB are needed: "
            "free some space, or choose another folder with --dir."
        )


def java() -> None:
    """Raises when Kafka's Java is missing or too old."""
    remedy = "install it (Debian: apt-get install openjdk-17-jre-headless), or set HUB_KAFKA_BOOTSTRAP to a Kafka"
    if shutil.which("java") is None:
        raise StackError(f"Java {NEEDED_JAVA} or newer, which Kafka runs on, is missing: {remedy} that already runs.")
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < NEEDED_JAVA:
        found = version[1] if version else "an unknown version"
        raise StackError(f"Java is {found}, but Kafka needs {NEEDED_JAVA} or newer: {remedy} that already runs.")


def maven() -> None:
    """Raises when Kafka's jars still have to be fetched and nothing here can do it."""
    if not broker.have_jars() and shutil.which("mvn") is None:
        raise StackError("Kafka's jars are missing and so is Maven, which fetches them: install the package `maven`.")


def worded(problem: OSError) -> StackError:
    """A sentence for an error of the operating system."""
    if problem.errno == errno.ENOSPC:
        return StackError("The disk is full: free some space, or choose another folder with --dir, and start again.")
    return StackError(f"The system refused: {problem.strerror or problem} ({problem.filename or 'no file'}).")
