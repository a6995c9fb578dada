"""The volume of the logs is full: whoever logs goes on, and how many lines are missing is said when there is room."""

import errno
import io
import json
import subprocess
import sys
from pathlib import Path

from shared.telemetry import COUNTERS, LogOutput


class FillingUp(io.StringIO):
    """A file that has room or not."""

    has_room = True

    def write(self, text: str) -> int:
        if not self.has_room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_what_cannot_be_written_is_counted_and_told_of_with_the_next_line() -> None:
    file = FillingUp()
    output = LogOutput(file)
    before = COUNTERS.log_lines_lost._value.get()
    output.write('{"event": "first"}\n')
    file.has_room = False
    for _ in range(3):
        output.write('{"event": "lost"}\n')
        output.flush()
    file.has_room = True
    output.write('{"event": "last"}\n')
    output.write('{"event": "after"}\n')
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["first", "log_lines_lost", "last", "after"]
    assert lines[1]["lines"] == 3
    assert COUNTERS.log_lines_lost._value.get() - before == 3


def test_a_process_whose_log_is_refused_goes_on() -> None:
    code = """if True:
        import logging, sys
        from shared.telemetry import log, start_logging
        start_logging()
        for number in range(5000):  # more than any buffer on the way
            log.info("something", number=number)
            logging.getLogger("library").warning("something else")
        print("went on", file=sys.stderr)
    """
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr.startswith("went on"), done.stderr[-2000:]
