"""How one destination speaks: versioned configuration beside its examples (`profiles/*.json`, wire §1.1 to §1.5).

| member | means |
|---|---|
| `session` | a login gives a session, which every call carries |
| `envelope` | records travel in an object with `service` and `isUpdating`; else as a bare array |
| `places` | path per call; `{agency}` and `{updating}` are filled in; no `look_up`: what it holds cannot be asked |
| `most_records`, `most_rows` | of one call; rows of one dossier when it takes one record a call |
| `success_words` | words that must stand beside error_code 0 (`progress_answer: text`: alone) |
| `exists_codes` | codes with which "đã tồn tại" means that it is there already |
| `dates` | how times are written · `omit`, `values`, `add`: fields it does not know, writes otherwise, wants besides |
| `examples` | what is sent and how its answers are understood: the contract tests |

A version never changes once it has been used; a portal that changes gets another file.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

_FOLDER = Path(__file__).parent / "profiles"
_WIRE = "%Y%m%d%H%M%S"
_DATES = {"yyyyMMddHHmmss": _WIRE, "dd/MM/yyyy HH:mm:ss": "%d/%m/%Y %H:%M:%S", "iso": "%Y-%m-%dT%H:%M:%S+07:00"}
_MOMENTS = frozenset(
    ("NgayTiepNhan", "NgayHenTra", "NgayTra", "NgayKetThucXuLy", "NgayTuChoi", "NgayNopHoSo", "NgayBoSung",
     "NgayTiepNhanBoSung", "NgayHenTraTruoc", "NgayHenTraMoi", "ThoiDiemXuLy", "NgayBatDau", "NgayKetThucTheoQuyDinh")
)  # fmt: skip
_MOST_ROWS_TOGETHER = 1000
"""Rows of a batch go in one call where there is a session."""
_NEEDED = frozenset(("insert", "update", "progress"))
Doing = Literal["insert", "update", "progress"]


@dataclass(frozen=True)
class Profile:
    """One version of how a destination speaks."""

    name: str
    version: int
    source: str
    session: bool
    envelope: bool
    places: Mapping[str, str]
    most_records: int
    most_rows: int
    success_words: str
    exists_codes: Sequence[int]
    progress_answer: Literal["json", "text"]
    dates: str
    omit: Sequence[str]
    values: Mapping[str, Mapping[str, Any]]
    add: Mapping[str, Any]
    examples: Sequence[Mapping[str, Any]]

    @cached_property
    def is_plain(self) -> bool:
        """Whether records go as wire §1.4 and §1.5 have them."""
        return not (self.omit or self.values or self.add) and self.dates == "yyyyMMddHHmmss"

    @property
    def most_in_a_batch(self) -> int:
        """Records: with a session a batch is one call; without one as many calls as it takes."""
        return self.most_records if self.session else 1000

    def place(self, doing: str, *, agency: str, updating: bool) -> str:
        """The path of a call."""
        return self.places[doing].format(agency=agency, updating="True" if updating else "False")

    def shaped(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """A record or row of the wire as this destination wants it."""
        return dict(sent) if self.is_plain else {**self._shaped(sent, ""), **(self.add if "MaTTHC" in sent else {})}

    def _shaped(self, sent: Mapping[str, Any], above: str) -> dict[str, Any]:
        return {
            name: self._value(above + name, name, value)
            for name, value in sent.items()
            if above + name not in self.omit
        }

    def _value(self, place: str, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._shaped(it, f"{place}/") if isinstance(it, Mapping) else it for it in value]
        if isinstance(value, str):
            if value in self.values.get(place, ()):
                return self.values[place][value]
            if name in _MOMENTS and value and self.dates != "yyyyMMddHHmmss":
                return datetime.strptime(value, _WIRE).strftime(_DATES[self.dates])  # noqa: DTZ007 - local both
        return value


def named(text: str) -> Profile:
    """`name@version`. Raises `ValueError` for one that is not there, or not whole."""
    found = known()
    if text not in found:
        raise ValueError(f"there is no profile {text}; there are {', '.join(sorted(found))}")
    return found[text]


def known(folder: Path = _FOLDER) -> dict[str, Profile]:
    """Every profile there is. Raises `ValueError` naming the first file that is wrong."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            profile = _checked(json.loads(path.read_text(encoding="utf-8")))
            if path.stem != f"{profile.name}@{profile.version}":
                raise ValueError("is not called after its name and version")
        except (ValueError, TypeError, KeyError) as fault:
            raise ValueError(f"profile {path.name}: {fault}") from fault
        found[path.stem] = profile
    return found


def _checked(members: Mapping[str, Any]) -> Profile:
    names = {field.name for field in fields(Profile)}
    if unlike := names.symmetric_difference(members):
        raise ValueError(f"missing or unknown: {', '.join(sorted(unlike))}")
    profile = Profile(**members)
    if missing := _NEEDED - profile.places.keys():
        raise ValueError(f"no place for {', '.join(sorted(missing))}")
    _check_manner(profile)
    if profile.dates not in _DATES or profile.progress_answer not in ("json", "text"):
        raise ValueError("unknown dates or progress_answer")
    if not (1 <= profile.most_records <= 1000 and profile.most_rows >= 1):
        raise ValueError("most_records is 1 to 1000, most_rows at least 1")
    return profile


def _check_manner(profile: Profile) -> None:
    """With a session all is spoken as wire §1.1 has it, without one as §1.3: what nobody would heed is refused."""
    if profile.session != ("login" in profile.places):
        raise ValueError("a session and a place for login belong together")
    if profile.session != profile.envelope:
        raise ValueError("an envelope carries the session, a bare array none")
    if profile.session and (profile.success_words or profile.progress_answer != "json"):
        raise ValueError("success_words and answers in text are for destinations without a session")
    if not profile.session and "look_up" in profile.places:
        raise ValueError("there is no way to look up without a session")
    if profile.session and profile.most_rows < _MOST_ROWS_TOGETHER:
        raise ValueError(f"most_rows of a destination with sessions is at least {_MOST_ROWS_TOGETHER}")


NATIONAL = named("national-adapter@2")
"""The national adapter as the newest sender speaks to it."""
