"""Places where the fault suite kills the process: after an effect and before its record, each one a promise.

| point                  | in              | between                                               |
|------------------------|-----------------|-------------------------------------------------------|
| intake.before          | dossier         | request read, nothing written                         |
| intake.in_transaction  | dossier         | rows written, not committed                           |
| intake.after_commit    | dossier         | committed, not answered                               |
| relay.after_produce    | shared.outbox   | on Kafka, not yet marked                              |
| reader.after_effect    | shared.reader   | effect committed, offset not                          |
| portal.before_answer   | sync-national   | pushed, answer not read                               |
| portal.after_answer    | sync-national   | answer read, not saved                                |
| callback.verified      | payment         | CONFIRM verified, not committed                       |
| callback.committed     | payment         | committed, not answered                               |
| exchange.before_record | gateway         | the service has acted, the log does not know          |
"""

import os
import signal
from pathlib import Path


class _Armed:
    """One crash point, and how many passages are left."""

    name = ""
    passages = 0


def arm(setting: str) -> None:
    """`name:n` from the settings, or `@file`: such an order is taken from the file, now if it is there, or at SIGUSR2.

    "" arms nothing.
    """
    if setting.startswith("@"):
        order = Path(setting[1:])
        signal.signal(signal.SIGUSR2, lambda _signal, _frame: _take(order))
        if order.exists():
            _take(order)
    elif setting:
        name, _, passages = setting.partition(":")
        _Armed.name, _Armed.passages = name, int(passages or 1)


def _take(order: Path) -> None:
    """Takes the order and removes it, which tells whoever gave it."""
    setting = order.read_text()
    order.unlink()
    arm(setting)


def crashpoint(name: str) -> None:
    """No-op unless armed with this name; the n-th passage ends the process as `kill -9` would."""
    if name == _Armed.name:
        _Armed.passages -= 1
        if _Armed.passages <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def is_armed(name: str) -> bool:
    """Whether this point will end the process: a single statement is taken apart only then."""
    return name == _Armed.name
