"""What two agencies have in the hub: each other's must stay each other's."""

from dataclasses import dataclass
from typing import Any

from tests.e2e.journey import ACTOR, a_citizen
from tests.security.hub import OURS, THEIRS, Hub
from tests.support.stack import eventually

MARK = "DauCuaSoKhac"
"""Stands in everything of the other agency: no answer to us may contain it (invariant I5)."""


@dataclass(frozen=True)
class Belongings:
    """One agency's objects, by the name of their kind in `rules`; `client` made them."""

    agency: str
    token: str
    dossier: str
    payment: str
    verification: str
    petition: str
    citizen: dict[str, Any]
    reference: str
    key: str
    filing: dict[str, Any]

    def of(self, kind: str) -> str:
        """The id of the object of this kind."""
        return str(getattr(self, kind))


@dataclass(frozen=True)
class World:
    """Ours, whose token is tried; theirs, on which it is tried."""

    ours: Belongings
    theirs: Belongings


def a_world(hub: Hub) -> World:
    """Both agencies' objects; all of them are also in synchronisation and reports when this returns."""
    return World(_belongings(hub, OURS, "CuaMinh"), _belongings(hub, THEIRS, MARK))


def a_filing(agency: str, citizen: dict[str, Any], mark: str, reference: str | None) -> dict[str, Any]:
    """A dossier with `mark` in every text that a citizen can write."""
    return {
        "procedure_code": "2.000488", "agency_code": agency, "channel": "online", "applicant": citizen,
        "abstract": f"Cấp phiếu {mark}", "form": {"ghi_chu": mark}, "external_reference": reference,
        "attachments": [{"name": f"{mark}.pdf", "component_code": "KQ.G01.000001"}],
    }  # fmt: skip


def _belongings(hub: Hub, agencies: tuple[str, ...], mark: str) -> Belongings:
    (agency,) = agencies
    token = hub.token("desk", agencies=agencies)
    citizen = a_citizen(full_name=f"Nguyễn Thị {mark}")
    reference = f"{mark}-{citizen['personal_id']}"
    key = f"key-{reference}"
    filing = a_filing(agency, citizen, mark, reference)
    filed = hub.call("POST", "/v1/dossiers", token, filing, headers={"idempotency-key": key})
    assert filed.status_code == 201, filed.text
    code = filed.json()["code"]
    receipt = {
        "dossier_code": code, "amount_vnd": 5_000, "collected_by": mark, "receipt_number": f"BL-{code}",
        "collected_at": filed.json()["received_at"] or filed.json()["submitted_at"],
    }  # fmt: skip
    paid = hub.call("POST", "/v1/payments/counter", token, receipt)
    assert paid.status_code == 201, paid.text
    question = {
        **{name: citizen[name] for name in ("personal_id", "full_name", "date_of_birth")},
        "purpose": mark, "legal_basis": "NĐ 61/2018", "dossier_code": code, "officer": mark,
    }  # fmt: skip
    asked = hub.call("POST", "/v1/citizens/verify", token, question)
    assert asked.status_code in (200, 202), asked.text
    petition = {"agency_code": agency, "dossier_code": code, "subject": f"Phản ánh {mark}", "actor": {"name": mark}}
    complained = hub.call("POST", "/v1/petitions", token, petition)
    assert complained.status_code == 201, complained.text
    acted = {"action": "receive", "actor": ACTOR | {"name": mark}, "reason": mark}
    assert hub.call("POST", f"/v1/dossiers/{code}/transitions", token, acted).status_code == 200
    eventually(
        lambda: hub.call("GET", f"/v1/sync/dossiers/{code}", token).status_code == 200, why=f"{code} in synchronisation"
    )
    return Belongings(
        agency,
        token,
        code,
        paid.json()["id"],
        asked.json()["verification_id"],
        complained.json()["petition_id"],
        citizen,
        reference,
        key,
        filing,
    )
