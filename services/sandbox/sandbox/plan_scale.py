"""The published counts at a scale: whole numbers that add up, by the same rules for every province.

An agency's total is rounded half up and then split by largest remainder twice: by origin (online, at the
counter, carried over) and by outcome (on time, late, in progress, overdue). If that leaves no late dossier in the
province though some were published, one on-time becomes late at the agency with most late.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from sandbox.plan_tables import Published, Tables


@dataclass(frozen=True, slots=True)
class Counts:
    """How many dossiers and how much money one agency is to have. Amounts in đồng."""

    no: int
    name: str
    online: int
    counter: int
    carried_over: int
    on_time: int
    late: int
    in_progress: int
    overdue: int
    with_register_outcome: int
    digitised: int
    electronic: int
    online_transactions: int
    online_amount_vnd: int
    counter_transactions: int
    counter_amount_vnd: int

    @property
    def received_in_period(self) -> int:
        return self.online + self.counter

    @property
    def received_total(self) -> int:
        return self.received_in_period + self.carried_over

    @property
    def resolved_total(self) -> int:
        return self.on_time + self.late


def half_up(value: Fraction) -> int:
    """The nearest whole number; a half goes up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def largest_remainder(weights: Sequence[int], total: int) -> list[int]:
    """`total` split in proportion to the weights; what flooring leaves goes to the largest remainders.

    Among equal remainders the first comes first.
    """
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    shares = [weight * total // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda n: (-(weights[n] * total % whole), n))
    for n in by_remainder[: total - sum(shares)]:
        shares[n] += 1
    return shares


def tenths(numerator: int, denominator: int) -> int:
    """A rate in tenths of a percent, half up, as provinces publish it; a zero denominator gives 0."""
    return half_up(Fraction(1000 * numerator, denominator)) if denominator else 0


def scaled(tables: Tables, scale: Fraction) -> tuple[Counts, ...]:
    """Every agency's counts at a scale in (0, 1]."""
    counts = [_agency(published, scale) for published in tables.agencies]
    if not any(agency.late for agency in counts):
        _make_one_late(counts, tables)
    return tuple(_with_rates(agency, published) for agency, published in zip(counts, tables.agencies, strict=True))


def _agency(published: Published, scale: Fraction) -> Counts:
    given = published.counts
    total = half_up(given["received_total"] * scale)
    at_counter = given["received_in_period"] - given["received_online"]
    online, counter, carried = largest_remainder((given["received_online"], at_counter, given["carried_over"]), total)
    outcomes = ("resolved_on_time", "resolved_late", "in_progress_on_time", "in_progress_overdue")
    on_time, late, in_progress, overdue = largest_remainder([given[name] for name in outcomes], total)
    money: dict[str, int] = {}
    for way in ("online", "counter"):
        transactions = published.fees[f"{way}_transactions"]
        kept = half_up(transactions * scale) if total else 0
        money[f"{way}_transactions"] = kept
        amount = published.fees[f"{way}_amount_vnd"]
        money[f"{way}_amount_vnd"] = amount * kept // transactions if transactions else 0
    return Counts(
        no=published.no,
        name=published.name,
        online=online,
        counter=counter,
        carried_over=carried,
        on_time=on_time,
        late=late,
        in_progress=in_progress,
        overdue=overdue,
        with_register_outcome=0,
        digitised=0,
        electronic=0,
        **money,
    )


def _make_one_late(counts: list[Counts], tables: Tables) -> None:
    candidates = [
        (-published.counts["resolved_late"], published.no, n)
        for n, published in enumerate(tables.agencies)
        if published.counts["resolved_late"] and counts[n].on_time
    ]
    if candidates:
        n = min(candidates)[2]
        counts[n] = replace(counts[n], on_time=counts[n].on_time - 1, late=1)


def _with_rates(counts: Counts, published: Published) -> Counts:
    def nearest(rate: str, denominator: int) -> int:
        # A rate left empty is not compared; any number will do, so every dossier has it.
        given = published.tenths[rate]
        return denominator if given is None else half_up(Fraction(given * denominator, 1000))

    return replace(
        counts,
        with_register_outcome=nearest("population_db_use_rate_pct", counts.received_in_period),
        digitised=nearest("digitised_component_rate_pct", counts.received_in_period),
        electronic=nearest("electronic_result_rate_pct", counts.resolved_total),
    )
