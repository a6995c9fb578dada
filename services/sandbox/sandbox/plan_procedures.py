"""The procedures a replay registers: real names with time limits of its own, and three for what tables demand.

Codes get the province's suffix (`2.000488.H08`, wire §4.4), so they never touch the catalogue's own entries.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from shared.vietnamese import fold

FILE = Path(__file__).with_name("replay_procedures.csv")
HOLIDAYS = timedelta(days=14)
"""More than any run of public holidays and the weekends beside it (Tết: 7 to 9 days)."""


@dataclass(frozen=True, slots=True)
class Procedure:
    """One procedure. `limit_unit`: hours | working_days | calendar_days; hours are working hours."""

    code: str
    name: str
    field_code: str
    field_name: str
    limit_value: int
    limit_unit: str

    @property
    def at_least(self) -> timedelta:
        """No due time comes sooner than this after receipt."""
        return timedelta(0) if self.limit_unit == "hours" else timedelta(days=self.limit_value - 1)

    @property
    def at_most(self) -> timedelta:
        """No due time comes later than this after receipt: weekends, holidays and a hand-over included."""
        days = self.limit_value // 8 + 1 if self.limit_unit == "hours" else self.limit_value
        return timedelta(days=days * 7 // 5 + 3) + HOLIDAYS


@dataclass(frozen=True, slots=True)
class Procedures:
    """All of them, and who performs which."""

    all: tuple[Procedure, ...]
    of_agency: Mapping[int, tuple[Procedure, ...]]
    middling: Procedure
    """For an agency whose own limits are too short or too long for the dates a dossier needs."""
    short: Procedure
    """Due within hours: for one that must be overdue or late soon."""
    long: Procedure
    """Due after years: for one carried over that is still in progress in time when the period ends."""


def read(province: str, agencies: Mapping[int, str]) -> Procedures:
    """The procedures for these agencies (number → name): by the agency's name, else in turn."""
    groups: dict[str, list[Procedure]] = {}
    fields: dict[str, str] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            field = row["field_name"]
            field_code = fields.setdefault(field, f"{province}-LV{len(fields) + 1:02d}")
            procedure = Procedure(
                f"{row['code']}.{province}", row["name"], field_code, field, int(row["limit_value"]), row["limit_unit"]
            )
            groups.setdefault(fold(row["agency"]), []).append(procedure)
    in_turn = list(groups.values())
    of_agency = {no: tuple(groups.get(fold(name), in_turn[(no - 1) % len(in_turn)])) for no, name in agencies.items()}
    own_field = (f"{province}-LV{len(fields) + 1:02d}", "Lĩnh vực khác")
    middling = Procedure(f"9.000010.{province}", "Giải quyết hồ sơ trong mười ngày", *own_field, 10, "working_days")
    short = Procedure(f"9.000001.{province}", "Giải quyết hồ sơ trong một giờ", *own_field, 1, "hours")
    long = Procedure(
        f"9.003650.{province}", "Giải quyết hồ sơ theo chương trình nhiều năm", *own_field, 3650, "calendar_days"
    )
    every = [procedure for group in groups.values() for procedure in group]
    return Procedures((*every, middling, short, long), of_agency, middling, short, long)
