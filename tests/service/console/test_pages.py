"""The pages against a stand-in gateway: sign-in with PKCE, sessions, errors for people, headers."""

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.tokens import TokenIssuer

from .conftest import CODE, RECONCILIATION_ID, SYNC_STATUS, Console, Neighbours
from .signing import signed_in


async def test_whoever_is_not_signed_in_is_sent_to_the_gateway(console: Console) -> None:
    answer = await console.client.get("/console/reports/fees?from=2023-01-01")
    assert answer.headers["location"] == "/console/sign-in?to=%2Fconsole%2Freports%2Ffees%3Ffrom%3D2023-01-01"
    begun = await console.client.get(answer.headers["location"])
    question = parse_qs(urlsplit(begun.headers["location"]).query)
    assert question["code_challenge_method"] == ["S256"]
    assert question["redirect_uri"][0].endswith("/console/callback")
    assert "HttpOnly" in begun.headers["set-cookie"]
    assert "SameSite=lax" in begun.headers["set-cookie"]


async def test_operator_signs_in_and_sees_the_synchronisation(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    assert console.neighbours.verified
    page = await client.get("/console/sync")
    assert page.status_code == 200, page.text
    assert "Lê Thị Vận Hành" in page.text
    assert "75&nbsp;%" in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    live = await client.get("/console/sync/live", headers={"hx-request": "true"})
    assert "<html" not in live.text
    assert "Cần xử lý" in live.text


async def test_a_reconciliation_is_a_record_that_can_be_printed(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    listed = await client.get("/console/reconciliations")
    assert f'href="/console/reconciliations/{RECONCILIATION_ID}"' in listed.text
    assert "từ 01/03/2023" in listed.text
    page = await client.get(f"/console/reconciliations/{RECONCILIATION_ID}")
    assert page.status_code == 200, page.text
    for told in (
        "Biên bản đối soát", "12.345", "Báo cáo quý", "ab" * 32, "Dòng 6: Dòng có 1 ô, cần 6", CODE,
        "trạng thái 10 (Đã trả kết quả); hạn trả 17:00:00 15/03/2023", "trạng thái 4 (Đang xử lý); hạn trả 16/03/2023",
        "Ký, ghi rõ họ tên", "?cursor=x%3D%2F",
    ):  # fmt: skip
        assert told in page.text, told
    style = (await client.get("/console/static/console.css")).text
    assert "@media print" in style


async def test_a_forged_state_or_no_cookie_does_not_sign_in(console: Console) -> None:
    begun = await console.client.get("/console/sign-in")
    assert begun.status_code == 303
    forged = await console.client.get("/console/callback", params={"state": "other", "code": "good"})
    console.client.cookies.clear()
    without = await console.client.get("/console/callback", params={"state": "other", "code": "good"})
    refused = await console.client.get("/console/callback", params={"error": "access_denied"})
    assert [forged.status_code, without.status_code, refused.status_code] == [403, 403, 403]
    assert "hub_console=" not in str(console.client.cookies)


async def test_a_page_too_long_to_remember_leads_home(console: Console) -> None:
    for page in ("/console/" + "ệ" * 1500, "/console/sync?q=" + "a" * 1600):
        begun = await console.client.get("/console/sign-in", params={"to": page})
        assert begun.status_code == 303, begun.text


async def test_an_expired_token_leads_to_the_sign_in_again(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer, life_seconds=-60)
    assert (await client.get("/console")).status_code == 303
    live = await client.get(
        "/console/sync/live", headers={"hx-request": "true", "hx-current-url": "http://x/console/sync"}
    )
    assert live.headers["hx-redirect"] == "/console/sign-in?to=%2Fconsole%2Fsync"


async def test_one_dossier_with_every_hop(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    page = await client.get("/console/dossiers/H08.15-230301-0001")
    assert page.status_code == 200, page.text
    for text in ("POST /v1/dossiers", "Nộp hồ sơ", "Bị từ chối", "&lt;script&gt;", "Chưa đọc được: thanh toán"):
        assert text in page.text
    assert "<script>alert" not in page.text
    missing = await client.get("/console/dossiers/H08.15-230301-9999")
    assert missing.status_code == 404
    assert "Không tìm thấy" in missing.text


async def test_a_path_that_is_no_page_apologises_and_a_slash_too_many_is_forgiven(
    console: Console, token_issuer: TokenIssuer
) -> None:
    client = await signed_in(console, token_issuer)
    lost = await client.get("/console/no-such-page")
    assert (lost.status_code, "Không tìm thấy" in lost.text) == (404, True)
    for path, page in (("/console/", "/console"), ("/console/sync/", "/console/sync")):
        assert (await client.get(path)).headers["location"] == page
    assert (await client.get("/console/static/console.css")).status_code == 200


async def test_search_leads_to_the_dossier(console: Console) -> None:
    found = await console.client.get("/console/dossiers", params={"code": " H08.15-230301-0001 "})
    assert found.headers["location"] == "/console/dossiers/H08.15-230301-0001"
    odd = await console.client.get("/console/dossiers", params={"code": "//evil.example/?#"})
    assert odd.headers["location"] == "/console/dossiers/%2F%2Fevil.example%2F%3F%23"


@pytest.mark.parametrize("kind", ["agencies", "fees"])
async def test_reports_as_page_and_file(console: Console, token_issuer: TokenIssuer, kind: str) -> None:
    client = await signed_in(console, token_issuer)
    page = await client.get(f"/console/reports/{kind}", params={"from": "2023-01-01", "to": "2023-12-25"})
    assert "Sở Tư pháp" in page.text
    assert "Tổng" in page.text
    sheet = await client.get(f"/console/reports/{kind}", params={"format": "csv"})
    assert sheet.headers["content-disposition"].startswith("attachment")
    wrong = await client.get(f"/console/reports/{kind}", params={"from": "2023-02-01", "to": "2023-01-01"})
    assert wrong.status_code == 422
    assert "<html" in wrong.text


async def test_a_gateway_that_is_away_is_said_in_words(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    console.neighbours.is_down = True
    page = await client.get("/console/sync")
    assert page.status_code == 503
    assert "Tạm thời không đọc được" in page.text
    live = await client.get("/console/sync/live", headers={"hx-request": "true"})
    assert live.status_code == 200
    assert "Trang tự thử lại" in live.text


async def test_one_service_away_closes_no_other_page(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    console.neighbours.away = "sync/"
    # More often than a breaker would take.
    for _ in range(8):
        assert (await client.get("/console/sync")).status_code == 503
    assert (await client.get("/console/attention")).status_code == 200
    page = await client.get(f"/console/dossiers/{CODE}")
    assert (page.status_code, "Chưa đọc được: thanh toán, đồng bộ" in page.text) == (200, True)
    console.neighbours.away = "dossiers"
    assert "–" in (await client.get("/console/sync")).text
    assert (await client.get("/console/attention")).status_code == 503


async def test_sign_out_forgets_the_session(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    foreign = await client.post("/console/sign-out", headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    assert (await client.get("/console")).status_code == 200
    assert (await client.post("/console/sign-out")).status_code == 200
    assert (await client.get("/console")).status_code == 303


def test_the_stand_in_checks_pkce() -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v").digest()).rstrip(b"=").decode()
    assert Neighbours(challenge=challenge).fits("v")
    assert SYNC_STATUS["destinations"]
