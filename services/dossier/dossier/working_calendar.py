"""The working calendar as data: the public holidays of `holidays`, and the yearly swaps of the government.

`holidays` knows Vietnam's holidays with their days in lieu and the older swaps; a swap is decided late, often
in December for January, so the newest stand in `seed/working_day_swaps.csv` (kind: off | working).
"""

import csv
from datetime import date
from functools import lru_cache
from importlib.resources import files

import holidays

from dossier.deadline import FIRST_DAY, LAST_DAY, WorkingCalendar


@lru_cache(maxsize=1)
def vietnam() -> WorkingCalendar:
    """The calendar of Vietnam's administration (about 0.3 s to build, hence once per process)."""
    known = holidays.country_holidays("VN", years=range(FIRST_DAY.year, LAST_DAY.year + 1))
    off, worked = set(known.keys()), set(known.weekend_workdays)
    for day, kind in _swaps():
        (off if kind == "off" else worked).add(day)
    return WorkingCalendar(frozenset(off), frozenset(worked))


def _swaps() -> list[tuple[date, str]]:
    text = files("dossier").joinpath("seed/working_day_swaps.csv").read_text("utf-8")
    return [(date.fromisoformat(row["date"]), row["kind"]) for row in csv.DictReader(text.splitlines())]
