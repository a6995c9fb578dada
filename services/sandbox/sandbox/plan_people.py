"""Invented applicants. Nobody here exists: names are drawn from lists, numbers follow the form of wire §3.6.

A person is a function of (province, seed, number), so that the plan need not hold a hundred thousand of them.
"""

import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any, Literal

Identity = Literal["match", "mismatch", "no_information", "not_required"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FAMILY = _words("Nguyễn Trần Lê Phạm Huỳnh Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương Lý Đinh Mai Trịnh Đoàn Tô")
_MIDDLE = {0: _words("Văn Hữu Đức Minh Quốc Thanh Công Xuân"), 1: _words("Thị Ngọc Thu Thanh Kim Mỹ Bích Diệu")}
_GIVEN = {
    0: _words("An Bình Cường Dũng Hải Hùng Khoa Lâm Long Nam Phúc Quang Sơn Thắng Tuấn Việt"),
    1: _words("An Châu Dung Hà Hạnh Hoa Hương Lan Linh Mai Ngân Nhung Oanh Thảo Trang Yến"),
}
_TRADES = ("Xây dựng", "Thương mại", "Vận tải", "Thủy sản", "Du lịch", "Dược phẩm", "Cơ khí", "Nông nghiệp")
_SIGNS = ("Bình An", "Phú Quý", "Thành Công", "Hưng Thịnh", "Đại Phát", "Minh Tâm", "Hoàng Gia", "Biển Xanh")
_WARDS = ("Phường 1", "Phường 2", "Phường 3", "Xã An Hòa", "Xã Mỹ Lợi", "Thị trấn Phú Phong")
_BIRTH_CODES = _words(
    "001 002 004 006 008 010 011 012 014 015 017 019 020 022 024 025 026 027 030 031 033 034 "
    "035 036 037 038 040 042 044 045 046 048 049 051 052 054 056 058 060 062 064 066 067 068 "
    "070 072 074 075 077 079 080 082 083 084 086 087 089 091 092 093 094 095 096 "
)
_OLDEST, _YOUNGEST = date(1945, 1, 1), date(2004, 12, 31)
_UNKNOWN_FROM = 990_000
"""Last six digits from here on belong to nobody: the unknown stay unknown whatever else is loaded."""


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who files. `register` is what the population register holds under this ID, None if nothing."""

    body: dict[str, Any]
    register: dict[str, Any] | None


def applicant(salt: str, number: int, identity: Identity) -> Applicant:
    """The applicant of the dossier with this number. `salt` names province and seed."""
    random = Random(zlib.crc32(salt.encode()) << 32 | number)
    if identity == "not_required":
        return Applicant(_organisation(random), None)
    gender = random.randrange(2)
    born = _OLDEST + timedelta(days=random.randrange((_YOUNGEST - _OLDEST).days))
    name = _name(random, gender)
    personal_id = _personal_id(salt, number, gender, born, identity)
    address = f"{random.randrange(1, 400)} đường số {random.randrange(1, 40)}, {random.choice(_WARDS)}"
    body = {
        "kind": "citizen",
        "full_name": name,
        "personal_id": personal_id,
        "date_of_birth": born.isoformat(),
        "phone": f"0900{number % 1_000_000:06d}",
        "email": None,
        "organisation_tax_code": None,
        "address": address,
    }
    if identity == "no_information":
        return Applicant(body, None)
    held = {
        "personal_id": personal_id,
        "full_name": name,
        "date_of_birth": born.isoformat(),
        "gender": "female" if gender else "male",
        "address": address,
    }
    if identity == "mismatch":
        # 033 compares number and name only, so a mismatch always has another name; some another birth date too.
        held["full_name"] = _another_name(random, gender, name)
        if number % 2:
            held["date_of_birth"] = (born + timedelta(days=31)).isoformat()
    return Applicant(body, held)


def _personal_id(salt: str, number: int, gender: int, born: date, identity: Identity) -> str:
    # Numbers count up from a start drawn from the salt, so no two dossiers of one plan share an ID; everybody of
    # a plan was born in one province, drawn from the salt too: two plans in one register hardly ever meet.
    start = zlib.crc32(salt.encode())
    if identity == "no_information":
        serial = _UNKNOWN_FROM + number % (1_000_000 - _UNKNOWN_FROM)
    else:
        serial = (start + number) % _UNKNOWN_FROM
    century = 2 * (born.year // 100 - 19) + gender
    return f"{_BIRTH_CODES[start % len(_BIRTH_CODES)]}{century}{born.year % 100:02d}{serial:06d}"


def _name(random: Random, gender: int) -> str:
    return f"{random.choice(_FAMILY)} {random.choice(_MIDDLE[gender])} {random.choice(_GIVEN[gender])}"


def _another_name(random: Random, gender: int, name: str) -> str:
    while (other := _name(random, gender)) == name:
        pass
    return other


def _organisation(random: Random) -> dict[str, Any]:
    chosen = random.random()
    if chosen < 0.8:
        kind, name = "business", f"Công ty TNHH {random.choice(_TRADES)} {random.choice(_SIGNS)}"
    elif chosen < 0.95:
        kind, name = "organisation", f"Hội {random.choice(_TRADES)} {random.choice(_SIGNS)}"
    else:
        kind, name = "state_agency", f"Ban quản lý dự án {random.choice(_TRADES)} {random.randrange(1, 9)}"
    return {
        "kind": kind,
        "full_name": name,
        "personal_id": None,
        "date_of_birth": None,
        "phone": f"0900{random.randrange(1_000_000):06d}",
        "email": None,
        "organisation_tax_code": f"00{random.randrange(100_000_000):08d}",
        "address": f"{random.randrange(1, 400)} đường số {random.randrange(1, 40)}, {random.choice(_WARDS)}",
    }
