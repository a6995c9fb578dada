"""What the payment platform remembers: one row per MaThamChieu, with its payer's decision and its callbacks.

state           waiting (the payer will decide at `pays_at`) · held (the payer does nothing) · paid · failed
callback_state  none · due (to be sent at `callback_at`) · delivered · given_up
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sandbox.store import Store, now_ms, rfc3339

Decision = Literal["pay", "fail", "hold"]
VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
PAYERS_BANK = "NHTM01"

_COLUMNS = (
    "reference, amount_vnd, currency, description, transaction_time, dossier_code, agency_code, url, state,"
    " bank, transaction_id, init_count, initiated_at, pays_at, decided_at, callback_state, callback_at,"
    " callback_tries, callback_copies, callbacks_sent, callbacks_answered"
)


@dataclass(frozen=True, slots=True)
class Payment:
    """One row; times in milliseconds since the epoch but `transaction_time`, which is INIT's ThoiGianGD."""

    reference: str
    amount_vnd: int
    currency: str
    description: str
    transaction_time: str
    dossier_code: str
    agency_code: str
    url: str
    state: str
    bank: str
    transaction_id: str
    init_count: int
    initiated_at: int
    pays_at: int | None
    decided_at: int | None
    callback_state: str
    callback_at: int | None
    callback_tries: int
    callback_copies: int
    callbacks_sent: int
    callbacks_answered: int

    def shown(self) -> dict[str, Any]:
        """For the controls; `transaction_at` is ThoiGianGD with its zone."""
        at = datetime.strptime(self.transaction_time, "%Y%m%d%H%M%S").replace(tzinfo=VIETNAM)
        return {
            "reference": self.reference,
            "dossier_code": self.dossier_code,
            "agency_code": self.agency_code,
            "amount_vnd": self.amount_vnd,
            "state": self.state,
            "transaction_id": self.transaction_id,
            "transaction_at": at.isoformat(),
            "initiated_at": rfc3339(self.initiated_at),
            "decided_at": rfc3339(self.decided_at),
            "init_count": self.init_count,
            "callbacks_sent": self.callbacks_sent,
            "callbacks_answered": self.callbacks_answered,
            "callback_state": self.callback_state,
        }


def find(store: Store, reference: str) -> Payment | None:
    row = store.connection.execute(
        f"SELECT {_COLUMNS} FROM payment WHERE reference = ?",
        (reference,),
    ).fetchone()
    return None if row is None else Payment(*row)


def add(store: Store, message: Mapping[str, Any], url: str, pays_at: int | None) -> None:
    """Remember a new INIT; `pays_at` None means a payer who does nothing."""
    receipt = message["ThongTinBienLai"]
    store.connection.execute(
        "INSERT INTO payment (reference, amount_vnd, currency, description, transaction_time, dossier_code,"
        " agency_code, url, state, initiated_at, pays_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message["MaThamChieu"],
            int(message["SoTien"]),
            message["MaTienTe"],
            message["ThongTinGiaoDich"],
            message["ThoiGianGD"],
            receipt["MaHoSo"],
            receipt["MaDonVi"],
            url,
            "held" if pays_at is None else "waiting",
            now_ms(),
            pays_at,
        ),
    )


def count_repeated_init(store: Store, reference: str) -> None:
    store.connection.execute("UPDATE payment SET init_count = init_count + 1 WHERE reference = ?", (reference,))


def due_to_pay(store: Store, limit: int) -> Sequence[str]:
    """References whose payer decides now."""
    found = store.connection.execute(
        "SELECT reference FROM payment WHERE pays_at <= ? ORDER BY pays_at LIMIT ?", (now_ms(), limit)
    )
    return [reference for (reference,) in found]


def decide(store: Store, decisions: Sequence[tuple[str, Decision, int | None]]) -> None:
    """Carry out payers' decisions: (reference, decision, copies of the callback to send; None: it gets lost)."""
    now = now_ms()
    with store.transaction() as connection:
        for reference, decision, copies in decisions:
            if decision == "hold":
                connection.execute(
                    "UPDATE payment SET state = 'held', pays_at = NULL WHERE reference = ?", (reference,)
                )
                continue
            state = "paid" if decision == "pay" else "failed"
            transaction_id = "GD" + hashlib.sha256(f"{reference}|{state}".encode()).hexdigest()[:18].upper()
            connection.execute(
                "UPDATE payment SET state = ?, bank = ?, transaction_id = ?, decided_at = ?, pays_at = NULL,"
                " callback_state = ?, callback_at = ?, callback_copies = ?, callback_tries = 0 WHERE reference = ?",
                (
                    state,
                    PAYERS_BANK,
                    transaction_id,
                    now,
                    "none" if copies is None else "due",
                    None if copies is None else now,
                    copies or 0,
                    reference,
                ),
            )


def due_callbacks(store: Store, limit: int) -> Sequence[Payment]:
    """Payments whose CONFIRM is to be sent now, longest due first."""
    found = store.connection.execute(
        f"SELECT {_COLUMNS} FROM payment WHERE callback_at <= ? ORDER BY callback_at LIMIT ?",
        (now_ms(), limit),
    )
    return [Payment(*row) for row in found]


def next_payer(store: Store) -> int | None:
    """When the next payer decides."""
    moment: int | None = store.connection.execute(
        "SELECT min(pays_at) FROM payment WHERE pays_at IS NOT NULL"
    ).fetchone()[0]
    return moment


def next_callback(store: Store, sending: Collection[str]) -> int | None:
    """When the next callback is due, those being sent left aside."""
    found = store.connection.execute(
        "SELECT callback_at, reference FROM payment WHERE callback_at IS NOT NULL ORDER BY callback_at LIMIT ?",
        (len(sending) + 1,),
    )
    return next((moment for moment, reference in found if reference not in sending), None)


def settle_callback(store: Store, payment: Payment, *, answered: bool, tries: int, wait_ms: int) -> None:
    """Write down one callback: its last copy was answered, another copy follows, or it is tried again in `wait_ms`.

    The row may have changed meanwhile (a late payment after a failure); then its newer callback stays due.
    """
    copies_left = payment.callback_copies - 1 if answered else payment.callback_copies
    is_over = (answered and copies_left <= 0) or (not answered and payment.callback_tries + 1 >= tries)
    store.connection.execute(
        "UPDATE payment SET callbacks_sent = callbacks_sent + 1, callbacks_answered = callbacks_answered + ?,"
        " callback_copies = ?, callback_tries = ?, callback_state = ?, callback_at = ?"
        " WHERE reference = ? AND transaction_id = ?",
        (
            int(answered),
            copies_left,
            0 if answered else payment.callback_tries + 1,
            ("delivered" if answered else "given_up") if is_over else "due",
            None if is_over else now_ms() + (0 if answered else wait_ms),
            payment.reference,
            payment.transaction_id,
        ),
    )


def page(store: Store, after: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
    """Payments in the order of their INIT; the second value is the cursor of the next page."""
    found = store.connection.execute(
        f"SELECT number, {_COLUMNS} FROM payment WHERE number > ? ORDER BY number LIMIT ?",
        (after, limit + 1),
    ).fetchall()
    shown = found[:limit]
    return [Payment(*row[1:]).shown() for row in shown], shown[-1][0] if len(found) > limit else None


def counts(store: Store) -> dict[str, int]:
    """How many payments there are by state, what the paid ones come to, and how many callbacks went out."""
    numbers = dict.fromkeys(("waiting", "held", "paid", "failed"), 0)
    numbers.update(store.connection.execute("SELECT state, count(*) FROM payment GROUP BY state"))
    paid_vnd, sent = store.connection.execute(
        "SELECT coalesce(sum(amount_vnd) FILTER (WHERE state = 'paid'), 0), coalesce(sum(callbacks_sent), 0)"
        " FROM payment"
    ).fetchone()
    return {**numbers, "paid_vnd": paid_vnd, "callbacks_sent": sent}
