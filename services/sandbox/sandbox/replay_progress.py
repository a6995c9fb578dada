"""The waves as progress bars on a terminal; elsewhere a line now and then."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_LINE_EVERY_SECONDS = 10.0


class Bars:
    """One bar per wave. `advance` is cheap enough to be called for every dossier."""

    def __init__(self, totals: dict[str, int], console: Console) -> None:
        self._console = console
        self._totals = totals
        self._done = dict.fromkeys(totals, 0)
        self._shown_at = 0.0
        self._printed_at = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description:>9}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {
            wave: self._progress.add_task(wave, total=total or None, said="") for wave, total in totals.items()
        }
        self._level = self._progress.add_task("level", total=None, said="", visible=False)

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show()
        self._progress.stop()

    def advance(self, wave: str, steps: int) -> None:
        """So many more steps of a wave are done."""
        self._done[wave] += steps
        now = time.monotonic()
        if now - self._shown_at > 0.2:
            self._shown_at = now
            self._show()
        if not self._console.is_terminal and now - self._printed_at > _LINE_EVERY_SECONDS:
            self._printed_at = now
            self._console.print(
                ", ".join(f"{name} {done}/{self._totals[name]}" for name, done in self._done.items()), style="dim"
            )

    def tell(self, what: str) -> None:
        """What is waited for after the play."""
        self._progress.update(self._level, visible=True, said=what)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._printed_at > _LINE_EVERY_SECONDS:
            self._printed_at = now
            self._console.print(what, style="dim")

    def _show(self) -> None:
        for wave, task in self._tasks.items():
            self._progress.update(task, completed=self._done[wave])
