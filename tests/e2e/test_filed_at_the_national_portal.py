"""A citizen files at the national portal: the province works on it, and the portal hears of it under its own code."""

import pytest

from tests.e2e.journey import a_citizen, at_the_portal, documents, done, dossier, identified, registered, synced
from tests.support.stack import Stack, eventually

pytestmark = pytest.mark.timeout(300)


def at_portal(stack: Stack, do: str, **order: object) -> dict[str, object]:
    """What the portal was answered, once each time it asked."""
    found: dict[str, object] = stack.control("/_sandbox/portal/filings", {"do": do, **order})
    return found


def codes(told: dict[str, object]) -> list[tuple[int, object]]:
    answers = told["answers"]
    assert isinstance(answers, list)
    return [(it["status"], it["answer"]["error_code"]) for it in answers]


def test_from_the_portal_and_back(stack: Stack) -> None:
    citizen = registered(stack, a_citizen())
    who = {"full_name": citizen["full_name"], "personal_id": citizen["personal_id"]}
    told = at_portal(stack, "file", repeat=3, **who)
    assert codes(told) == [(200, 0), (200, 1), (200, 1)], "a repeat is a duplicate"
    answers = told["answers"]
    assert isinstance(answers, list)
    (code,) = {it["answer"]["result"][0]["MaHoSoTiepNhan"] for it in answers}
    theirs = str(told["code"])
    assert dossier(stack, code)["portal_code"] == theirs
    assert identified(stack, code) == "match"

    done(stack, code, "receive")
    done(stack, code, "request_supplement", reason="Thiếu bản sao giấy khai sinh")
    synced(stack, code)
    assert at_the_portal(stack, theirs)["record"]["TrangThaiHoSo"] == "5"
    assert codes(at_portal(stack, "supplement", code=theirs, papers=["ban-sao.pdf"], repeat=2)) == [(200, 0), (200, 1)]
    assert dossier(stack, code)["status"] == "received"
    done(stack, code, "start")
    done(stack, code, "finish", result=documents())
    synced(stack, code)
    held = at_the_portal(stack, theirs)
    assert (held["inserted"], held["record"]["TrangThaiHoSo"], held["record"]["NoiNopHoSo"]) == (1, "9", "1")
    rows = [row["row"]["TrangThai"] for row in held["progress"]]
    # Received again within the second of its first reception: the portal knows equal rows as one.
    assert (rows[-2:], {"2", "5"} <= set(rows)) == (["4", "9"], True)
    portal_codes = {item["code"] for item in stack.control("/_sandbox/portal/dossiers?limit=500")["items"]}
    assert code not in portal_codes, "the nation has one dossier, not two"
    assert codes(at_portal(stack, "withdraw", code=theirs)) == [(200, -1)], "too late"

    logged = stack.read(f"/v1/exchanges?dossier_code={code}&limit=500")["items"]
    brought = [it for it in logged if it["route"] == "/dvcqg/dossiers"]
    assert {it["client_id"] for it in brought} == {"dvcqg"}
    assert len(brought) >= 5

    again = at_portal(stack, "file", **who)
    assert codes(at_portal(stack, "withdraw", code=again["code"])) == [(200, 0)]
    answers = again["answers"]
    assert isinstance(answers, list)
    other = answers[0]["answer"]["result"][0]["MaHoSoTiepNhan"]
    eventually(lambda: dossier(stack, other)["status"] == "withdrawn", why="withdrawn")
