"""Taking in what the national portal sends: each thing once for ever, all of a message or nothing of it.

A new dossier gets the province's code like any other; the portal's own is kept with it (as its external reference, and
in `portal_received`, whose key a repeat runs into). The functions run in the transaction they are given.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from dossier import handling, intake_store, portal_store
from dossier.dossier import AHEAD
from dossier.handling import Procedures, Refused, Wanted
from dossier.intake_store import Line
from dossier.portal_message import PortalRefused, Update
from dossier.portal_store import Part
from dossier.record import Command, Dossier, Status, Step
from dossier.refusal import AgencyNotValid, ProcedureNotValid, TransitionNotAllowed
from shared import clock, idempotency
from shared.auth import Caller
from shared.db import Transaction
from shared.errors import HubError, InvalidRequest
from shared.events import Cause
from shared.partner_key import PORTAL

CALLER = Caller(
    client_id=PORTAL, role="portal", scopes=frozenset({"dossier:write", "dossier:transition", "dossier:import"}),
    agencies=("*",), audience="", token_id="", expires_at=0.0, subject=PORTAL,
)  # fmt: skip
"""The portal as the use cases know their callers: it files for all agencies, and what it sends may have waited."""

_WORDS: Mapping[type[HubError], str] = {
    AgencyNotValid: "đơn vị tiếp nhận không tồn tại hoặc đã hết hiệu lực vào ngày nộp",
    ProcedureNotValid: "đơn vị không thực hiện thủ tục này vào ngày nộp",
}
_STATUS_WORDS = {
    Status.SUBMITTED: "mới đăng ký", Status.RECEIVED: "được tiếp nhận", Status.NOT_ACCEPTED: "không được tiếp nhận",
    Status.IN_PROCESS: "đang xử lý", Status.SUPPLEMENT_REQUESTED: "yêu cầu bổ sung",
    Status.PAYMENT_REQUESTED: "yêu cầu nghĩa vụ tài chính", Status.WITHDRAWN: "đã rút", Status.STOPPED: "dừng xử lý",
    Status.PROCESSED: "đã xử lý xong", Status.RETURNED: "đã trả kết quả",
}  # fmt: skip


def words(refusal: HubError, dossier: Dossier | None = None) -> str:
    """A refusal by the hub's rules in the portal's language."""
    if isinstance(refusal, TransitionNotAllowed) and dossier is not None:
        return f"hồ sơ đang ở trạng thái {int(dossier.status)} ({_STATUS_WORDS[dossier.status]})"
    if isinstance(refusal, InvalidRequest) and refusal.errors:
        return "thời gian nộp ở tương lai" if refusal.errors[0].pointer == "/submitted_at" else "nội dung không hợp lệ"
    return _WORDS.get(type(refusal), f"không thực hiện được ({refusal.code})")


async def file(tx: Transaction, lines: Sequence[Line], exchange_id: str | None) -> set[str]:
    """Store those that are new, each with the portal's code; which they are."""
    parts = [
        Part(line.external_reference, "filing", line.dossier.code, line.dossier.agency_code)
        for line in lines
        if line.external_reference is not None
    ]
    new = await portal_store.claim(tx, parts, exchange_id)
    await intake_store.insert_all(tx, [line for line in lines if line.external_reference in new])
    return new


async def update(
    tx: Transaction,
    updates: Sequence[Update],
    codes: Mapping[str, str],
    procedures: Procedures,
    cause: Cause,
) -> set[str]:
    """Take the actions on the dossiers of these `codes` (by the portal's); whose were new.

    Raises `PortalRefused`: the transaction is to be rolled back then.
    """
    await tx.raw.execute(f"SET LOCAL lock_timeout = {idempotency.WAIT_MILLISECONDS}")
    dossiers = await handling.lock(tx, set(codes.values()))
    parts = [
        Part(it.portal_code, it.part, code, dossiers[code].agency_code)
        for it in updates
        if (code := codes[it.portal_code]) in dossiers
    ]
    new = await portal_store.claim(tx, parts, cause.exchange_id)
    taken: list[tuple[Wanted, Step]] = []
    for it in updates:
        if it.portal_code in new:
            dossier = dossiers[codes[it.portal_code]]
            _check(it, dossier)
            wanted = Wanted(dossier.code, _command(it, dossier, clock.now()), PORTAL, cause)
            result = handling.step(wanted, procedures, dossiers)
            if isinstance(result, Refused):
                raise PortalRefused(words(result.error, result.dossier), it.portal_code)
            taken.append((wanted, result))
    await handling.save(tx, taken)
    return new


def _check(it: Update, dossier: Dossier) -> None:
    """A supplement answers the request that stands open, by its number."""
    if it.supplement is not None and it.supplement != len(dossier.supplements):
        raise PortalRefused(f"không có yêu cầu bổ sung số {it.supplement} đang chờ", it.portal_code)


def _command(it: Update, dossier: Dossier, now: datetime) -> Command:
    # The wire tells seconds, and its clock is not ours: never before the last action, never ahead.
    at = None if it.at is None else min(max(it.at, dossier.last_at), now + AHEAD)
    action = "withdraw" if it.supplement is None else "supplement"
    return Command(action, CALLER.role, now, at=at, reason=it.reason, attachments=it.attachments, may_import=True)
