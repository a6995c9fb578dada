"""Lists: whatever index gives the page, all pages together are what the filters say, each dossier once."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from shared import web
from tests.service.dossier.conftest import Hub, a_filing

AGENCIES = ("H08.01", "H08.15", "H08.16", "H08.17")
CALLERS: tuple[tuple[str, ...], ...] = (("*",), ("H08",), ("H08.15",), ("H08.16", "H08.01"), ("H09",))
OPEN = {"submitted", "received", "in_process", "supplement_requested", "payment_requested", "stopped"}
NOW = datetime.now(UTC).replace(microsecond=0)
FILTERS: dict[str, tuple[str, ...]] = {
    "agency": ("H08", "H08.15", "H08.16"),
    "status": ("in_process", "1,2,4,5,6,8", "10", "3,7,9"),
    "channel": ("online", "counter"),
    "received_from": ((NOW - timedelta(days=20)).isoformat(),),
    "received_to": ((NOW - timedelta(days=10)).isoformat(),),
    "overdue": ("true", "false"),
    "late_within_hours": ("80",),
}
# Received n days ago, due after 15 days, in the statuses in turn.
_SPREAD = """
UPDATE dossier d SET status = s.status, channel = CASE WHEN n % 3 = 0 THEN 'counter' ELSE 'online' END,
  received_at = CASE WHEN s.status > 1 THEN now() - interval '1 day' * n - interval '6 hours' END,
  due_at = CASE WHEN s.status > 1 AND n % 9 > 0 THEN now() + interval '1 day' * (15 - n) + interval '12 hours' END,
  late_at = CASE WHEN s.status IN (2, 4) THEN now() + interval '1 day' * (15 - n) + interval '12 hours' END
FROM (SELECT code, row_number() OVER (ORDER BY code) AS n FROM dossier) AS numbered,
LATERAL (SELECT (ARRAY[1, 2, 3, 4, 4, 6, 7, 8, 9, 10, 4, 4])[1 + n % 12] AS status) AS s WHERE d.code = numbered.code
"""


def is_wanted(it: dict[str, Any], query: dict[str, str], soon: datetime) -> bool:
    """What the filters mean, told once more."""
    due = None if it["due_at"] is None else datetime.fromisoformat(it["due_at"])
    received = None if it["received_at"] is None else datetime.fromisoformat(it["received_at"])
    overdue = it["status"] in OPEN and due is not None and due < NOW
    numbers = {it["status"], str(it["status_code"])}
    tests: dict[str, Callable[[str], bool]] = {
        "agency": lambda wanted: f"{it['agency_code']}.".startswith(f"{wanted}."),
        "status": lambda wanted: bool(numbers & set(wanted.split(","))),
        "channel": lambda wanted: it["channel"] == wanted,
        "received_from": lambda wanted: received is not None and received >= datetime.fromisoformat(wanted),
        "received_to": lambda wanted: received is not None and received < datetime.fromisoformat(wanted),
        "overdue": lambda wanted: overdue == (wanted == "true"),
        "late_within_hours": lambda _: it["status_code"] in {2, 4} and due is not None and NOW < due < soon,
    }
    return all(tests[name](wanted) for name, wanted in query.items())


async def listed(hub: Hub, query: dict[str, str], agencies: tuple[str, ...], limit: int) -> list[dict[str, Any]]:
    """All pages."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        asked = {**query, "limit": str(limit), **({} if cursor is None else {"cursor": cursor})}
        answer = await hub.get(f"/v1/dossiers?{urlencode(asked)}", agencies=agencies)
        assert answer.status_code == 200, (asked, answer.text)
        found += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


async def a_spread(hub: Hub) -> list[dict[str, Any]]:
    filings = [a_filing(agency_code=agency, external_reference=f"r-{agency}-{n}")
               for agency in AGENCIES for n in range(9)]  # fmt: skip
    answers = await hub.batch("/v1/dossiers/batch", filings, role="portal")
    assert {it["status"] for it in answers} == {201}
    await hub.rows(_SPREAD)
    return await listed(hub, {}, ("*",), 500)


async def test_all_pages_together_are_what_the_filters_say(hub: Hub) -> None:
    every = await a_spread(hub)
    assert len(every) == len(AGENCIES) * 9
    soon = await _soon(hub)
    for names in (*itertools.combinations(FILTERS, 1), *itertools.combinations(FILTERS, 2)):
        for place, values in enumerate(itertools.product(*(FILTERS[name] for name in names))):
            query = dict(zip(names, values, strict=True))
            # Each filter by every caller; of two together by one, another each time.
            for agencies in CALLERS if len(names) == 1 else [CALLERS[(place + len(names[0])) % len(CALLERS)]]:
                own = [it for it in every if _covers(agencies, it["agency_code"])]
                wanted = sorted(it["code"] for it in own if is_wanted(it, query, soon))
                assert sorted(it["code"] for it in await listed(hub, query, agencies, 7)) == wanted, (query, agencies)
                assert await counted(hub, query, agencies) == len(wanted), (query, agencies)


async def counted(hub: Hub, query: dict[str, str], agencies: tuple[str, ...]) -> int:
    """What the list says of itself."""
    answer = await hub.get(f"/v1/dossiers?{urlencode({**query, 'counted': 'true', 'limit': '1'})}", agencies=agencies)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["count"])


def _covers(agencies: tuple[str, ...], code: str) -> bool:
    return any(own == "*" or f"{code}.".startswith(f"{own}.") for own in agencies)


async def _soon(hub: Hub) -> datetime:
    moment: datetime = hub.app.state.procedures.hours_ahead(80)
    return moment


async def test_each_list_has_its_order(hub: Hub) -> None:
    await a_spread(hub)
    for query, member in (
        ({}, "code"), ({"received_from": "2020-01-01"}, "received_at"), ({"overdue": "true"}, "due_at"),
        ({"late_within_hours": "80"}, "due_at"), ({"overdue": "false"}, "code"),
    ):  # fmt: skip
        found = [it[member] for it in await listed(hub, query, ("H08.15", "H08.16", "H08.01"), 4)]
        assert len(found) > 1
        assert found == sorted(found), query


async def test_a_cursor_of_another_order_is_none_of_ours(hub: Hub) -> None:
    await a_spread(hub)
    by_due = (await hub.get("/v1/dossiers?late_within_hours=80&limit=1")).json()["next_cursor"]
    by_code = (await hub.get("/v1/dossiers?limit=1")).json()["next_cursor"]
    beyond = web.encode_cursor("H08.15-230301-0001", "0001-01-01T00:00:00+14:00")
    for query, cursor in (
        ("overdue=true", by_code),
        ("overdue=true", beyond),
        ("received_from=2020-01-01", by_code),
        ("status=4", by_due),
    ):
        refused = await hub.get(f"/v1/dossiers?{query}&cursor={quote(cursor)}")
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
