"""What other services and ministries say: one function per topic. At most one event per dossier in a call.

| topic           | folded as | when it cannot be |
|---|---|---|
| `lgsp.identity` | identity_recorded; then what waited of the ministry is taken up | poison, unknown dossier |
| `lgsp.payment` | payment_recorded, settled when nothing is open; likewise | poison, unknown dossier |
| `lgsp.ministry` | the action itself, as role `ministry` | stands in table ministry_event (`settling`) |
"""

from collections.abc import Callable, Sequence

from dossier import fact, handling, message
from dossier.handling import Fold, Procedures
from dossier.settling import Ministries
from shared import inbox
from shared.db import Transaction
from shared.errors import InvalidRequest, Owner
from shared.events import Cause, Event
from shared.inbox import Park

IDENTITY, PAYMENT, MINISTRY = "lgsp.identity", "lgsp.payment", "lgsp.ministry"
Reading = Callable[[Event], Fold | None]


class Consumers:
    """The handlers of the three topics."""

    def __init__(self, procedures: Procedures, ministries: Ministries) -> None:
        self._procedures = procedures
        self._ministries = ministries

    async def identity(self, tx: Transaction, batch: Sequence[Event]) -> list[Park]:
        """`identity.verified`; `identity.pending` says nothing the dossier does not know."""
        return await self._fold(tx, batch, IDENTITY, _identity_fold)

    async def payment(self, tx: Transaction, batch: Sequence[Event]) -> list[Park]:
        """Links, payments, failures."""
        return await self._fold(tx, batch, PAYMENT, _payment_fold)

    async def ministry(self, tx: Transaction, batch: Sequence[Event]) -> list[Park]:
        """What ministries' own systems say; whatever it is, it is kept and holds nothing up (`settling`)."""
        await self._ministries.take_in(tx, batch)
        return []

    async def _fold(self, tx: Transaction, batch: Sequence[Event], topic: str, read: Reading) -> list[Park]:
        parks: list[Park] = []
        facts: dict[str, tuple[Fold, Cause]] = {}
        events: dict[str, Event] = {}
        for event in batch:
            try:
                fold = read(event)
            except InvalidRequest as refusal:
                parks.append(_parked(event, message.reason(refusal), "poison"))
                continue
            if fold is not None:
                code = inbox.key_of(event)
                # The exchange itself had its effect elsewhere; what follows from it goes on in its trace.
                facts[code], events[code] = (fold, Cause(None, event.traceparent)), event
        refused = await handling.fold(tx, facts, self._procedures, topic)
        parks += [_parked(events[code], reason, "hub") for code, reason in refused.items()]
        await self._ministries.take_up(tx, sorted(facts))
        return parks


def _identity_fold(event: Event) -> Fold | None:
    if event.type != "vn.lgsp.identity.verified.v1":
        return None
    said = message.parse(message.Verified, event)
    return lambda dossier, _terms: fact.identity_recorded(
        dossier, said.verification_id, said.outcome, said.mismatched_fields, said.checked_at
    )


def _payment_fold(event: Event) -> Fold | None:
    kind = event.type.removeprefix("vn.lgsp.payment.")
    if kind == "completed.v1":
        payment = message.parse(message.Completed, event).payment()
        return lambda dossier, terms: fact.payment_recorded(dossier, payment, terms)
    if kind == "link_ready.v1":
        link = message.parse(message.LinkReady, event)
        return lambda dossier, _terms: fact.link_ready(
            dossier, link.payment_id, link.payment_url, link.amount_vnd, event.time
        )
    state = message.CHARGE_STATES.get(kind)
    if state is None:
        return None
    said = message.parse(message.PaymentOutcome, event)
    return lambda dossier, _terms: fact.payment_outcome(
        dossier, said.payment_id, said.request_version, state, event.time
    )


def _parked(event: Event, reason: str, owner: Owner) -> Park:
    return Park(event, reason, owner)
