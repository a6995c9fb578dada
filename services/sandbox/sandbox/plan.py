"""A province's period as single dossiers: deterministic from two tables, a seed and a scale, blind to the hub.

```
tables ──scale──▶ counts per agency ──▶ dossiers: origin × outcome, dates, identity, money ──▶ by day of filing
```
Of those carried over as many as possible are resolved in the period; the rest stay in progress under a long
limit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

from sandbox import plan_dates, plan_money, plan_procedures, plan_scale
from sandbox.plan_dates import Outcome, Period
from sandbox.plan_people import Applicant, Identity, applicant
from sandbox.plan_procedures import Procedure, Procedures
from sandbox.plan_scale import Counts, tenths
from sandbox.plan_tables import COUNTS, FEES, RATES, Tables, TablesUnusable

STRANGE_IDENTITIES = 0.03
"""About this part of those with a personal ID is unknown to the register or held there under another name."""
POST_PART = 0.02
"""This part of what is not filed online comes by public post."""


class PlannedDossier(NamedTuple):
    """One dossier as it is to end. Moments are seconds since the epoch, amounts đồng."""

    number: int
    agency_no: int
    procedure: Procedure
    channel: str
    carried: bool
    outcome: Outcome
    submitted_at: int
    received_at: int
    identity: Identity
    digitised: bool
    electronic: bool
    online_amounts: tuple[int, ...]
    counter_amounts: tuple[int, ...]

    @property
    def is_resolved(self) -> bool:
        return self.outcome in ("on_time", "late")


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole period, in order of filing."""

    province: str
    period: Period
    seed: int
    scale: Fraction
    tables: Tables
    counts: tuple[Counts, ...]
    procedures: Procedures
    dossiers: tuple[PlannedDossier, ...]

    @property
    def salt(self) -> str:
        """Names the plan: what is invented differs between two plans."""
        return f"{self.province}:{self.period.first}:{self.seed}:{self.scale}"

    def agency_code(self, no: int) -> str:
        return f"{self.province}.{no:02d}"

    def applicant(self, dossier: PlannedDossier) -> Applicant:
        return applicant(self.salt, dossier.number, dossier.identity)


def make(tables: Tables, province: str, period: Period, scale: Fraction, seed: int) -> Plan:
    """The plan of a period. Raises `TablesUnusable`."""
    if not 0 < scale <= 1:
        raise TablesUnusable("The scale must be above 0 and at most 1.")
    period.require_playable()
    procedures = plan_procedures.read(province, {each.no: each.name for each in tables.agencies})
    counts = plan_scale.scaled(tables, scale)
    drafts = [draft for agency in counts for draft in _agency(agency, procedures, period, seed)]
    if not drafts:
        raise TablesUnusable("At this scale no dossier is left.")
    drafts.sort(key=lambda draft: (draft.submitted_at, draft.agency_no))
    dossiers = tuple(draft._replace(number=number) for number, draft in enumerate(drafts))
    return Plan(province, period, seed, scale, tables, counts, procedures, dossiers)


def _agency(counts: Counts, procedures: Procedures, period: Period, seed: int) -> list[PlannedDossier]:
    """One agency's dossiers, not yet numbered."""
    random = Random(f"{seed}:{counts.no}")
    origins = _origins_with_outcomes(random, counts)
    in_period = [n for n, (origin, _) in enumerate(origins) if origin != "carried"]
    resolved = [n for n, (_, outcome) in enumerate(origins) if outcome in ("on_time", "late")]
    registered = set(random.sample(in_period, counts.with_register_outcome))
    digitised = set(random.sample(in_period, counts.digitised))
    electronic = set(random.sample(resolved, counts.electronic))
    # Money is taken on dossiers of the period; on those carried over only where an agency has no others.
    online, counter = plan_money.assigned(random, counts, in_period or range(len(origins)))
    dossiers = []
    for n, (origin, outcome) in enumerate(origins):
        carried = origin == "carried"
        if carried:
            channel = random.choice(("online", "counter"))
        else:
            channel = "post" if origin == "counter" and random.random() < POST_PART else origin
        aim = plan_dates.Aim(counts.no, carried, outcome)
        procedure, received_at = plan_dates.choose(random, period, procedures, aim)
        has_id = n in registered or (carried and random.random() < 0.9)
        dossiers.append(
            PlannedDossier(
                number=-1,
                agency_no=counts.no,
                procedure=procedure,
                channel=channel,
                carried=carried,
                outcome=outcome,
                submitted_at=plan_dates.submitted(random, received_at, channel),
                received_at=received_at,
                identity=_identity(random, has_id),
                digitised=n in digitised or (carried and random.random() < 0.5),
                electronic=n in electronic,
                online_amounts=tuple(online.get(n, ())),
                counter_amounts=tuple(counter.get(n, ())),
            )
        )
    return dossiers


def _origins_with_outcomes(random: Random, counts: Counts) -> list[tuple[str, Outcome]]:
    """Pairs of origin and outcome with exactly these margins; what was carried over is resolved first."""
    resolved: dict[Outcome, int] = {"on_time": counts.on_time, "late": counts.late}
    unresolved: dict[Outcome, int] = {"in_progress": counts.in_progress, "overdue": counts.overdue}
    outcomes = [outcome for outcome, number in resolved.items() for _ in range(number)]
    random.shuffle(outcomes)
    outcomes += [outcome for outcome, number in unresolved.items() for _ in range(number)]
    rest = outcomes[counts.carried_over :]
    random.shuffle(rest)
    origins = ["carried"] * counts.carried_over + ["online"] * counts.online + ["counter"] * counts.counter
    return list(zip(origins, outcomes[: counts.carried_over] + rest, strict=True))


def _identity(random: Random, has_id: bool) -> Identity:
    if not has_id:
        return "not_required"
    if random.random() >= STRANGE_IDENTITIES:
        return "match"
    return random.choice(("mismatch", "no_information"))


def agencies_table(plan: Plan) -> dict[str, dict[str, Any]]:
    """What `GET /v1/reports/agencies` must say: rows by agency number, and "total"."""
    payers = _payers(plan.dossiers)
    rows = {str(counts.no): _row((counts,), *payers.get(counts.no, (0, 0))) for counts in plan.counts}
    everyone = [sum(each[n] for each in payers.values()) for n in (0, 1)]
    return rows | {"total": _row(plan.counts, *everyone)}


def fees_table(plan: Plan) -> dict[str, dict[str, Any]]:
    """What `GET /v1/reports/fees` must say: rows by agency number, and "total"."""
    rows = {str(counts.no): {column: getattr(counts, column) for column in FEES} for counts in plan.counts}
    return rows | {"total": {column: sum(row[column] for row in rows.values()) for column in FEES}}


def deviations(plan: Plan) -> list[dict[str, Any]]:
    """Where the planned rate is not the published one: whole dossiers cannot give every rate."""
    table = agencies_table(plan)
    found = []
    for published in plan.tables.agencies:
        for column, given in published.tenths.items():
            planned = table[str(published.no)][column]
            if given is not None and planned != given / 10:
                found.append({"no": published.no, "rate": column, "published": given / 10, "planned": planned})
    return found


def compared_columns(plan: Plan, no: str) -> set[str]:
    """The columns of a row that count: all but the rates that the table leaves empty."""
    empty: dict[str, set[str]] = {
        str(each.no): {column for column, given in each.tenths.items() if given is None}
        for each in plan.tables.agencies
    }
    empty["total"] = set().union(*empty.values())
    return set(COUNTS + RATES) - empty[no]


def _payers(dossiers: Iterable[PlannedDossier]) -> Mapping[int, tuple[int, int]]:
    """Per agency: dossiers with an online payment, dossiers with any."""
    found: dict[int, tuple[int, int]] = {}
    for dossier in dossiers:
        if dossier.online_amounts or dossier.counter_amounts:
            online, any_way = found.get(dossier.agency_no, (0, 0))
            found[dossier.agency_no] = (online + bool(dossier.online_amounts), any_way + 1)
    return found


def _row(agencies: Iterable[Counts], paid_online: int, paid: int) -> dict[str, Any]:
    of = tuple(agencies)

    def add(column: str) -> int:
        return sum(getattr(counts, column) for counts in of)

    received, resolved = add("received_in_period"), add("resolved_total")
    return {
        "received_total": add("received_total"),
        "received_in_period": received,
        "received_online": add("online"),
        "carried_over": add("carried_over"),
        "resolved_total": resolved,
        "resolved_on_time": add("on_time"),
        "resolved_late": add("late"),
        "in_progress_total": add("in_progress") + add("overdue"),
        "in_progress_on_time": add("in_progress"),
        "in_progress_overdue": add("overdue"),
        "online_rate_pct": tenths(add("online"), received) / 10,
        "online_payment_rate_pct": tenths(paid_online, paid) / 10,
        "population_db_use_rate_pct": tenths(add("with_register_outcome"), received) / 10,
        "digitised_component_rate_pct": tenths(add("digitised"), received) / 10,
        "electronic_result_rate_pct": tenths(add("electronic"), resolved) / 10,
    }
