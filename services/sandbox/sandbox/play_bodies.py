"""What the three clients send for a planned dossier: filings, transitions, counter payments, ministry events."""

import hashlib
from datetime import datetime
from typing import Any

from sandbox.plan import Plan, PlannedDossier
from sandbox.play_times import Times
from shared.clock import VIETNAM

EVENT_SOURCE = "/ministry/specialised-software"
_DESK = {"name": "Nguyễn Thị Tiếp Nhận", "title": "Chuyên viên", "unit": "Trung tâm Phục vụ hành chính công"}
_EXPERT = {"name": "Trần Văn Thụ Lý", "title": "Chuyên viên", "unit": "Phòng chuyên môn"}
_RETURN_METHODS = ("direct", "electronic", "post")


def moment(seconds: int) -> str:
    """RFC 3339 in Vietnam's time."""
    return datetime.fromtimestamp(seconds, VIETNAM).isoformat()


def external_reference(plan: Plan, number: int) -> str:
    """Names a dossier among its client's: a second replay of the same period would meet the first's."""
    return f"replay-{plan.province}-{plan.period.first}-{number:06d}"


def filing(plan: Plan, dossier: PlannedDossier) -> dict[str, Any]:
    """The body of an intake."""
    reference = external_reference(plan, dossier.number)
    attachments = [_attachment(reference, "KQ.G01.000001", "to-khai.pdf", dossier.digitised)]
    if dossier.number % 3 == 0:
        attachments.append(_attachment(reference, "KQ.G01.000002", "giay-to-kem-theo.pdf", False))
    return {
        "procedure_code": dossier.procedure.code,
        "agency_code": plan.agency_code(dossier.agency_no),
        "channel": dossier.channel,
        "applicant": plan.applicant(dossier).body,
        "abstract": dossier.procedure.name[:200],
        "submitted_at": moment(dossier.submitted_at),
        "form": {"so_ban": 1 + dossier.number % 3},
        "attachments": attachments,
        "return_method": _RETURN_METHODS[dossier.number % 3],
        "external_reference": reference,
    }


def transition(action: str, at: int, **members: Any) -> dict[str, Any]:
    """The body of a transition at a moment."""
    actor = _DESK if action in ("receive", "request_payment", "return_result") else _EXPERT
    return {"action": action, "at": moment(at), "actor": actor, **members}


def fees(dossier: PlannedDossier, n: int) -> list[dict[str, Any]]:
    """The lines of its n-th online transaction."""
    return _lines(dossier, dossier.online_amounts[n])


def _lines(dossier: PlannedDossier, amount_vnd: int) -> list[dict[str, Any]]:
    # Now and then a fee and a charge, mostly a fee alone.
    if dossier.number % 4 == 0 and amount_vnd >= 2000:
        charge = amount_vnd // 2000 * 1000
        return [_line("LP01", "fee", amount_vnd - charge), _line("PH01", "charge", charge)]
    return [_line("LP01", "fee", amount_vnd)]


def finish(plan: Plan, dossier: PlannedDossier) -> dict[str, Any]:
    """What a finish carries besides its time: documents or a reason, and why a strange identity is accepted."""
    members: dict[str, Any] = {"reason": "Đã có kết quả giải quyết"}
    if dossier.electronic:
        members["result"] = {"documents": [document(plan, dossier)]}
    if dossier.identity in ("mismatch", "no_information"):
        members["identity_reason"] = "Đã đối chiếu bản chính giấy tờ tại quầy"
    return members


def document(plan: Plan, dossier: PlannedDossier) -> dict[str, Any]:
    """An electronic result: it has an address and a digest."""
    reference = external_reference(plan, dossier.number)
    return {
        "result_code": "KQ01",
        "name": "Kết quả giải quyết",
        "number": f"{dossier.number + 1}/QĐ",
        "url": f"https://ket-qua.example/{reference}.pdf",
        "sha256": hashlib.sha256(reference.encode()).hexdigest(),
    }


def counter_payment(plan: Plan, dossier: PlannedDossier, code: str, when: Times, n: int) -> dict[str, Any]:
    """The n-th payment of a dossier at the counter."""
    amount_vnd = dossier.counter_amounts[n]
    return {
        "dossier_code": code,
        "amount_vnd": amount_vnd,
        "lines": _lines(dossier, amount_vnd),
        "collected_by": "Lê Thị Thu Ngân",
        "collected_at": moment(when.collected[n]),
        "receipt_number": f"BL-{plan.period.first:%y%m%d}-{dossier.number:06d}-{n + 1}",
    }


def event(plan: Plan, dossier: PlannedDossier, code: str, action: str, at: int) -> dict[str, Any]:
    """A ministry's CloudEvent that starts or finishes a dossier."""
    data: dict[str, Any]
    if action == "finish" and dossier.electronic and "identity_reason" not in finish(plan, dossier):
        kind = "result-issued"
        data = {"dossier_code": code, "documents": [document(plan, dossier)], "at": moment(at)}
    else:
        kind = "progressed"
        data = {"dossier_code": code, **transition(action, at)}
        if action == "finish":
            data.update(finish(plan, dossier))
    return {
        "specversion": "1.0",
        "id": f"{external_reference(plan, dossier.number)}-{plan.seed}-{action}",
        "source": EVENT_SOURCE,
        "type": f"vn.gov.ministry.dossier.{kind}.v1",
        "subject": code,
        "time": moment(at),
        "datacontenttype": "application/json",
        "data": data,
    }


def _attachment(reference: str, component: str, name: str, digitised: bool) -> dict[str, Any]:
    return {
        "component_code": component,
        "name": name,
        "media_type": "application/pdf",
        "size": 20480,
        "sha256": hashlib.sha256(f"{reference}/{name}".encode()).hexdigest(),
        "url": f"https://ho-so.example/{reference}/{name}",
        "digitised": digitised,
        "reused": "none",
    }


def _line(code: str, kind: str, amount_vnd: int) -> dict[str, Any]:
    return {"code": code, "name": "Lệ phí" if kind == "fee" else "Phí", "kind": kind, "amount_vnd": amount_vnd}
