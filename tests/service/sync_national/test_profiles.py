"""Every profile's examples hold both ways, and the sandbox plays each of them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response

from sandbox.main import create_app as create_sandbox
from sandbox.settings import Settings as SandboxSettings
from shared.http import Breaker, Peer
from sync_national import portal_profile
from sync_national.middleware import Middleware
from sync_national.portal import Account, Portal
from sync_national.portal_profile import Profile
from tests.service.sync_national.conftest import Hub
from tests.service.sync_national.province import a_dossier
from tests.support.national_messages import CODE, a_progress_row, a_record
from tests.support.neighbours import eventually

PROFILES = portal_profile.known()
EXAMPLES = [(name, example) for name, profile in PROFILES.items() for example in profile.examples]
OTHER, THIRD = "H08.15-230301-0002", "H08.15-230301-0003"
Speaking = Callable[[str, str], Portal]


@pytest_asyncio.fixture
async def speaking() -> AsyncIterator[Speaking]:
    """`speaking(profile, url)`: the hub's side of a profile."""
    peers: list[Peer] = []

    def made(name: str, url: str) -> Portal:
        peers.append(Peer("portal", url, deadline_seconds=5, breaker=Breaker(100, 1)))
        speaks = Portal if PROFILES[name].session else Middleware
        account = Account("hub", "hub", "H08", "VN:GOV:DVCQG")
        return speaks(peers[-1], account, deadline_seconds=5, profile=PROFILES[name])

    yield made
    for peer in peers:
        await peer.close()


async def pushed(portal: Portal, doing: str, data: list[Any], codes: list[str] | None = None) -> Any:
    """As a visit pushes: records and rows in the profile's shape."""
    shaped = [portal.profile.shaped(it) for it in data]
    names = {name: name for name in codes or [str(it["MaHoSo"]) for it in data]}
    if doing == "progress":
        return (await portal.push_progress(shaped, names))[0]
    return (await portal.push(shaped, names, updating=doing == "update"))[0]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{name}: {it['name']}" for name, it in EXAMPLES])
async def test_an_example_is_sent_and_understood_as_it_says(
    name: str, example: dict[str, Any], served: Callable[[FastAPI], Awaitable[str]], speaking: Speaking
) -> None:
    seen: list[tuple[str, Any]] = []
    app = FastAPI()

    @app.post("/{path:path}")
    async def answer(path: str, request: Request) -> Response:
        if path == "login":
            return Response(b'{"error_code": 0, "session": "<session>", "message": ""}', media_type="application/json")
        query = f"?{request.url.query}" if request.url.query else ""
        seen.append((f"/{path}{query}", json.loads(await request.body())))
        told = example["answer"]
        return Response(told if isinstance(told, str) else json.dumps(told), example["status"])

    portal = speaking(name, await served(app))
    found = await pushed(portal, example["does"], example["sent"])
    assert seen == [(example["path"], example["body"])]
    means = example["means"]
    assert (found.kind, found.named) == (means["kind"], means.get("named"))
    assert {code: one.kind for code, one in found.each.items()} == means.get("each", {})
    assert (found.trouble and found.trouble.kind) == means.get("trouble")


@pytest_asyncio.fixture
async def sandbox(served: Callable[[FastAPI], Awaitable[str]], tmp_path: Path) -> str:
    return await served(create_sandbox(SandboxSettings(sandbox_file=tmp_path / "sandbox.sqlite3")))


@pytest.mark.parametrize("name", PROFILES)
async def test_the_sandbox_plays_it(name: str, sandbox: str, speaking: Speaking) -> None:
    portal = speaking(name, f"{sandbox}/portal")
    async with httpx2.AsyncClient(base_url=sandbox, trust_env=False) as control:

        async def held(code: str) -> dict[str, Any] | None:
            items = (await control.get("/_sandbox/portal/dossiers")).json()["items"]
            return next((it for it in items if it["code"] == code), None)

        async def kind(doing: str, *data: Any) -> str:
            return str((await pushed(portal, doing, list(data))).kind)

        # Every type of error_code is understood by the adapter's profiles; the middlewares have no "00".
        for style in ("string", "integer", "double_zero") if PROFILES[name].session else ("string", "integer"):
            (await control.post("/_sandbox/reset")).raise_for_status()
            await control.post("/_sandbox/faults", json={"system": "portal", "error_code": style})
            assert await kind("insert", a_record()) == "accepted"
            assert await kind("update", a_record(TrangThaiHoSo="4")) == "accepted"
            again = await pushed(portal, "insert", [a_record()])
            assert (again.kind, again.named) == ("exists", CODE)
            assert await kind("update", a_record(OTHER)) == "missing"
            refused = await pushed(portal, "insert", [a_record(THIRD, KenhThucHien="9")])
            assert (refused.kind, refused.named) == ("refused", THIRD)
            rows = [a_progress_row(ThoiDiemXuLy=f"202303010{n // 60}{n % 60:02d}00") for n in range(12)]
            assert await kind("progress", *rows) == "accepted"
            assert await kind("progress", a_progress_row(MaHoSo=OTHER)) == "missing"
            there = await held(CODE)
            assert there is not None
            assert (there["inserted"], there["updated"], len(there["progress"])) == (1, 1, 12)
            assert await held(OTHER) is await held(THIRD) is None
        await control.post("/_sandbox/faults", json={"system": "portal", "mode": "expire_session", "every_calls": 1})
        for _ in range(3):
            assert await kind("update", a_record()) == "accepted", "a session that is over is renewed"
        await control.post("/_sandbox/faults", json={"system": "portal", "mode": "lose_answer"})
        lost = await pushed(portal, "update", [a_record()])
        assert (lost.kind, lost.trouble and lost.trouble.kind) == ("trouble", "lost")


@pytest.mark.parametrize("name", ["ha-giang@1", "thanh-hoa@1"])
async def test_a_batch_through_a_middleware_leaves_the_bad_one_alone(
    name: str, sandbox: str, speaking: Speaking
) -> None:
    portal = speaking(name, f"{sandbox}/portal")
    found = await pushed(portal, "insert", [a_record(), a_record(OTHER, KenhThucHien="9"), a_record(THIRD)])
    if PROFILES[name].most_records > 1:
        assert (found.kind, found.named) == ("refused", OTHER)
        return
    assert found.kind == "each"
    assert {code: one.kind for code, one in found.each.items()} == {OTHER: "refused"}
    async with httpx2.AsyncClient(base_url=sandbox, trust_env=False) as control:
        order = {"system": "portal", "mode": "lose_answer", "times": 1}
        await control.post("/_sandbox/faults", json=order)
        found = await pushed(portal, "update", [a_record(), a_record(THIRD)])
    troubles = {code: one.trouble and one.trouble.kind for code, one in found.each.items()}
    assert troubles == {CODE: "lost", THIRD: "unreachable"}, "what was not sent was certainly not executed"


@pytest.mark.parametrize("name", ["national-adapter@1", "ha-giang@1", "thanh-hoa@1"])
async def test_dossiers_reach_the_portal_and_come_right_after_lost_answers(name: str, hub: Hub) -> None:
    client = await hub.start(portal_profile=name)
    codes = await hub.province.file(*(a_dossier(number) for number in range(1, 5)))
    await hub.portal.client.post("/_sandbox/faults", json={"system": "portal", "mode": "lose_answer", "rate": 0.3})
    for code in codes:
        await hub.province.move(code, 2)

    async def level() -> bool:
        items = (await client.get("/v1/sync/dossiers")).json()["items"]
        return len(items) == 4 and all(it["state"] == "synced" and it["acknowledged_version"] == 2 for it in items)

    await hub.portal.client.post("/_sandbox/faults", json={"system": "portal", "mode": "normal"})
    await eventually(level, seconds=60)
    items = (await hub.portal.client.get("/_sandbox/portal/dossiers")).json()["items"]
    assert {it["code"]: it["record"]["TrangThaiHoSo"] for it in items} == dict.fromkeys(codes, "2")
    assert all(len(it["progress"]) == 2 for it in items)


def a_profile(**changes: Any) -> dict[str, Any]:
    path = Path(portal_profile.__file__).parent / "profiles" / "national-adapter@2.json"
    members: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {**members, "name": "made-up", "version": 1, **changes}


def known_of(folder: Path, **changes: Any) -> Profile:
    (folder / "made-up@1.json").write_text(json.dumps(a_profile(**changes)))
    return portal_profile.known(folder)["made-up@1"]


async def test_a_session_profiles_own_places_and_codes_are_heeded(
    tmp_path: Path, served: Callable[[FastAPI], Awaitable[str]]
) -> None:
    seen: list[str] = []
    app = FastAPI()

    @app.post("/{path:path}")
    async def answer(path: str) -> dict[str, Any]:
        seen.append(path)
        return {"error_code": 7, "message": f"Hồ sơ {CODE} đã tồn tại"} if path == "moi" else {
            "error_code": 0, "session": "s", "message": "", "result": []}  # fmt: skip

    places = {"login": "/vao", "insert": "/moi", "update": "/sua", "progress": "/buoc", "look_up": "/xem"}
    profile = known_of(tmp_path, places=places, exists_codes=[7])
    peer = Peer("portal", await served(app), deadline_seconds=5, breaker=Breaker(100, 1))
    portal = Portal(peer, Account("hub", "hub", "H08", "x"), deadline_seconds=5, profile=profile)
    assert (await pushed(portal, "insert", [a_record()])).kind == "exists"
    assert (await pushed(portal, "update", [a_record()])).kind == "accepted"
    assert (await pushed(portal, "progress", [a_progress_row()])).kind == "accepted"
    assert (await portal.look_up(CODE))[0].record is None
    await peer.close()
    assert seen == ["vao", "moi", "sua", "buoc", "xem"]


def test_dates_additions_and_omissions_are_data(tmp_path: Path) -> None:
    profile = known_of(
        tmp_path, dates="dd/MM/yyyy HH:mm:ss", omit=["Fax", "TaiLieuNop/DuocSoHoa"], add={"MaTinh": "52"},
        values={"KenhThucHien": {"2": "TT"}},
    )  # fmt: skip
    sent = profile.shaped(a_record(Fax="1"))
    assert (sent["NgayTiepNhan"], sent["NgayTuChoi"], sent["MaTinh"]) == ("01/03/2023 08:30:00", "", "52")
    assert "Fax" not in sent
    assert "DuocSoHoa" not in sent["TaiLieuNop"][0]
    assert sent["KenhThucHien"] == "TT"
    row = profile.shaped(a_progress_row(ThoiDiemXuLy="20230301083000"))
    assert row["ThoiDiemXuLy"] == "01/03/2023 08:30:00"
    assert "MaTinh" not in row


@pytest.mark.parametrize(
    "changes",
    [
        {"dates": "whenever"},
        {"places": {}},
        {"most_records": 0},
        {"colour": "red"},
        {"name": "other"},
        {"session": False},
        {"envelope": False},
        {"success_words": "thành công"},
        {"progress_answer": "text"},
        {"most_rows": 10},
    ],
)
def test_a_wrong_profile_is_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"made-up@1\.json"):
        known_of(tmp_path, **changes)


def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="thanh-hoa@1"):
        portal_profile.named("nowhere@1")
