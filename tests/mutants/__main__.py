"""`python -m tests.mutants [word …]`: are the tests able to fail? Applies each mutant to a copy of the tree.

First the tests must pass on the untouched copy, then, for each mutant, at least one of its own must fail there. A run
that dies for another reason (an import, a fixture) proves nothing and counts against the mutant, as does one that
does not apply. One line each; exit code 1 when any was not caught. The work tree itself is never changed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import cache_from_source
from pathlib import Path
from typing import NamedTuple

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import DoesNotApply, Mutant
from tests.support import servers

ROOT = Path(__file__).parents[2]
_LONGEST_RUN_SECONDS = 600
_LONGEST_TEST_SECONDS = 90


class Verdict(NamedTuple):
    """What became of a mutant: `caught`, or why that cannot be said."""

    word: str
    why: str


def main(words: Sequence[str]) -> int:
    """Run the mutants whose name contains one of the words, or all; the exit code."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    with _servers() as environment, tempfile.TemporaryDirectory(prefix="lgsp-mutants-") as folder:
        copy = Copy(Path(folder) / "tree", environment)
        untouched = copy.run(sorted({test for mutant in chosen for test in mutant.tests}))
        if untouched.word != "survived":
            print(f"the tests do not pass on the untouched copy: {untouched.why}")
            return 1
        missed = 0
        for mutant in chosen:
            started = time.monotonic()
            verdict = copy.judge(mutant)
            missed += verdict.word != "caught"
            print(f"{verdict.word:9} {time.monotonic() - started:5.1f} s  {mutant.name}: {verdict.why}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} mutants caught")
    return 1 if missed or not chosen else 0


class Copy:
    """The tree in another place, where it may be broken."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self._root = root
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        folders = [root, root / "shared", *(root / "services").iterdir()]
        self._environment = environment | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
        self._require_own_code()

    def judge(self, mutant: Mutant) -> Verdict:
        """Break the copy, run the mutant's tests, mend the copy."""
        path = self._root / mutant.path
        sound = path.read_text()
        try:
            self._write(path, mutant.mutated(self._root))
            return self.run(mutant.tests)
        except DoesNotApply as fault:
            return Verdict("NOT THERE", str(fault))
        finally:
            self._write(path, sound)

    def run(self, tests: Sequence[str]) -> Verdict:
        """Run these tests on the copy as it stands."""
        report = self._root / "report.xml"
        command = [
            sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--junitxml={report}",
            f"--timeout={_LONGEST_TEST_SECONDS}", *tests,
        ]  # fmt: skip
        report.unlink(missing_ok=True)
        done = subprocess.run(
            command, cwd=self._root, env=self._environment, capture_output=True, text=True, check=False,
            timeout=_LONGEST_RUN_SECONDS,
        )  # fmt: skip
        if done.returncode == 0:
            return Verdict("survived", f"all of {', '.join(test.rsplit('::')[-1] for test in tests)} passed")
        failed = list(_failed(report)) if report.exists() else []
        if done.returncode == 1 and failed:
            return Verdict("caught", f"by {failed[0]}")
        return Verdict("UNCLEAR", f"pytest ended with {done.returncode}: {done.stdout[-800:]}{done.stderr[-400:]}")

    def _require_own_code(self) -> None:
        """The copy's tests must run the copy's code, not the installed one."""
        code = "import shared, gateway, deploy; print(shared.__path__[0], gateway.__file__, deploy.__file__)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self._root,
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        if done.stdout.count(str(self._root)) != 3:
            raise RuntimeError(f"the copy would not be tested: {done.stdout}")

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        # Two versions within one second and of one size would pass for the same.
        Path(cache_from_source(str(path))).unlink(missing_ok=True)


def _failed(report: Path) -> Iterator[str]:
    """The tests that failed themselves: not those whose fixtures did."""
    for case in ET.parse(report).iter("testcase"):
        if case.find("failure") is not None:
            yield str(case.get("name"))


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    """One PostgreSQL and one Kafka for all the runs, as environment variables."""
    with (
        servers.folder() as home,
        servers.a_postgres(home) as postgres_url,
        servers.a_kafka(home) as bootstrap,
    ):
        yield {**os.environ, "HUB_POSTGRES_URL": postgres_url, "HUB_KAFKA_BOOTSTRAP": bootstrap}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
