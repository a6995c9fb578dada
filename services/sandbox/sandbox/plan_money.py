"""Which dossier pays what: transactions and amounts that add up to the đồng, the same in every run."""

from collections.abc import Sequence
from random import Random

from sandbox.plan_scale import Counts

_ROUND_VND = 1000


def split(random: Random, amount_vnd: int, transactions: int) -> list[int]:
    """`transactions` positive amounts whose sum is `amount_vnd`; round ones where that is possible."""
    if transactions == 0:
        return []
    unit = _ROUND_VND if amount_vnd >= transactions * _ROUND_VND else 1
    # Every one gets a unit; of the rest each gets around the mean by its weight, and the last what is left.
    spare = amount_vnd // unit - transactions
    weights = [random.randrange(50, 151) for _ in range(transactions)]
    whole = sum(weights)
    amounts = [unit * (1 + spare * weight // whole) for weight in weights]
    amounts[-1] += amount_vnd - sum(amounts)
    return amounts


def assigned(
    random: Random, counts: Counts, payers: Sequence[int]
) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Amounts per payer (any numbers), online and at the counter.

    As many different payers as there are; where transactions outnumber them, some pay several times.
    """
    order = list(payers)
    random.shuffle(order)
    online: dict[int, list[int]] = {}
    counter: dict[int, list[int]] = {}
    ways = (
        (online, counts.online_amount_vnd, counts.online_transactions),
        (counter, counts.counter_amount_vnd, counts.counter_transactions),
    )
    taken = 0
    for paid, amount_vnd, transactions in ways:
        for amount in split(random, amount_vnd, transactions):
            paid.setdefault(order[taken % len(order)], []).append(amount)
            taken += 1
    return online, counter
