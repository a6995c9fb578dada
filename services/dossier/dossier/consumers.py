"""What other services and ministries say: one function per topic. At most one event per dossier in a call.

| topic           | folded as | when it cannot be |
|---|---|---|
| `lgsp.identity` | identity_recorded; then what waited of the ministry is taken up | poison, unknown dossier |
| `lgsp.payment` | payment_recorded, settled when nothing is open; likewise | poison, unknown dossier |
| `lgsp.ministry` | the action itself, as role `ministry` | too early: waits; else partner |

Real senders' bad practices (wire §1.7) are refused in words: the paper that was filed sent back as the result, a result
called "Dinhkem", a time without its offset, a step that the life does not have (5, 6 or 8 told as 9).
"""

from collections.abc import Callable, Sequence

from dossier import fact, handling, message, store
from dossier.dossier import LIFE
from dossier.handling import Fold, Procedures, Refused, Wanted
from dossier.record import Dossier, Status
from dossier.refusal import ChargeOpen, IdentityPending, TransitionNotAllowed
from shared import inbox
from shared.db import Transaction
from shared.errors import InvalidRequest, Owner
from shared.events import Cause, Event
from shared.inbox import Park

IDENTITY, PAYMENT, MINISTRY = "lgsp.identity", "lgsp.payment", "lgsp.ministry"
Reading = Callable[[Event], Fold | None]


class Consumers:
    """The handlers of the three topics, with the catalogue that ministry's actions need."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def identity(self, tx: Transaction, batch: Sequence[Event]) -> list[Park]:
        """`identity.verified`; `identity.pending` says nothing the dossier does not know."""
        return await self._fold(tx, batch, IDENTITY, _identity_fold)

    async def payment(self, tx: Transaction, batch: Sequence[Event]) -> list[Park]:
        """Links, payments, failures."""
        return await self._fold(tx, batch, PAYMENT, _payment_fold)

    async def ministry(self, tx: Transaction, batch: Sequence[Event]) -> list[Park]:
        """Progress, results and tax notices of a ministry's own system."""
        parks: list[Park] = []
        wanted: list[tuple[Event, Wanted]] = []
        codes = {inbox.key_of(event) for event in batch}
        dossiers = await handling.lock(tx, codes)
        for event in batch:
            dossier = dossiers.get(inbox.key_of(event))
            try:
                command = message.command(event, None if dossier is None else dossier.status)
            except InvalidRequest as refusal:
                parks.append(_parked(event, message.reason(refusal), "partner"))
                continue
            if command is None:
                parks.append(_parked(event, "unknown_type", "partner"))
            elif dossier is None:
                parks.append(_parked(event, "unknown_dossier", "partner"))
            elif not message.covers(event, dossier.agency_code):
                parks.append(_parked(event, "agency_not_permitted", "partner"))
            else:
                client = event.headers.get("hub-client", "")
                cause = Cause(event.headers.get("hub-exchange-id"), event.headers.get("traceparent") or None)
                wanted.append((event, Wanted(dossier.code, command, client, cause)))
        filed = await store.filed_papers(tx, [(it.code, it.command.documents) for _, it in wanted])
        parks += [_parked(event, "result_is_a_filed_paper", "partner") for event, it in wanted if it.code in filed]
        wanted = [(event, it) for event, it in wanted if it.code not in filed]
        results = await handling.act(tx, [it for _, it in wanted], self._procedures, dossiers)
        for (event, it), result in zip(wanted, results, strict=True):
            if isinstance(result, Refused) and not _is_past(it, result):
                parks.append(Park(event, result.error.code, "partner", waiting=_too_early(it, result)))
        return parks

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
        await inbox.resume(tx, MINISTRY, sorted(facts), self.ministry)
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


def _too_early(it: Wanted, refused: Refused) -> bool:
    """Only a fact is missing: it will take the event up when it comes."""
    if isinstance(refused.error, IdentityPending | ChargeOpen):
        return True
    dossier = refused.dossier
    return (
        isinstance(refused.error, TransitionNotAllowed)
        and dossier is not None
        and dossier.status is Status.PAYMENT_REQUESTED
        and dossier.back_to in LIFE[it.command.action].sources
    )


_REACHED: dict[str, frozenset[int]] = {
    "receive": frozenset({2, 4, 9, 10}),
    "start": frozenset({4, 9, 10}),
    "finish": frozenset({9, 10}),
}


def _is_past(it: Wanted, refused: Refused) -> bool:
    """The dossier has already come to where the action leads, and the event brings nothing to keep."""
    dossier: Dossier | None = refused.dossier
    return (
        isinstance(refused.error, TransitionNotAllowed)
        and dossier is not None
        and dossier.status in _REACHED.get(it.command.action, frozenset())
        and not it.command.documents
    )
