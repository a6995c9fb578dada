"""`python -m sandbox serve | replay | demo`."""

import asyncio
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvloop
from rich.console import Console

from sandbox.plan_tables import TablesUnusable
from sandbox.play_times import DueTimeImpossible
from sandbox.replay_client import GaveUp, Refused

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def serve() -> None:
    """The national systems: portal, payment platform, population register (settings in README.md)."""
    from sandbox.main import serve as serve_systems  # noqa: PLC0415 - the replay needs no web server

    serve_systems()


@app.command()
def replay(
    data: Annotated[Path, typer.Option(help="Folder of appendix_1_dossiers.csv and, if any, appendix_2_fees.csv.")],
    province: Annotated[str, typer.Option(help="The province's code, for instance H08.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the period.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day of the period.")],
    scale: Annotated[str, typer.Option(help="1 plays every dossier; 0.02 every fiftieth.")] = "1",
    seed: Annotated[int, typer.Option(help="Another seed makes other people and dates.")] = 1,
    gateway: Annotated[str, typer.Option(help="The hub.")] = "http://127.0.0.1:8080",
    sandbox: Annotated[str, typer.Option(help="The national systems.")] = "http://127.0.0.1:8090",
    credentials: Annotated[Path, typer.Option(help="The clients bootstrap and operator.")] = Path(".run/clients.json"),
    report: Annotated[Path | None, typer.Option(help="Where promises and figures are written as JSON.")] = None,
    level_seconds: Annotated[float, typer.Option(help="How long to wait for the hub to be level.")] = 900.0,
) -> None:
    """Play a province's period from its published tables, then check every promise."""
    from sandbox import replay as replaying  # noqa: PLC0415 - the national systems need neither Kafka nor PostgreSQL
    from sandbox import results  # noqa: PLC0415 - likewise

    console = Console()
    try:
        part = Fraction(scale)
    except (ValueError, ZeroDivisionError):
        _fail(f"The scale {scale!r} is not a number.")
    order = replaying.Order(
        data, province, first.date(), last.date(), part, seed, gateway, sandbox, credentials, level_seconds
    )
    try:
        plan, checked = uvloop.run(replaying.run(order, console))
    except (TablesUnusable, Refused, GaveUp, DueTimeImpossible) as refusal:
        _fail(str(refusal))
    except BaseExceptionGroup as group:
        _fail(_first_sentence(group))
    if report is not None:
        replaying.write_report(report, checked)
    results.show(console, plan, checked)
    raise typer.Exit(0 if checked.all_hold else 1)


@app.command()
def demo() -> None:
    """The whole hub on an empty `.run/demo`: stack, replay at scale 0.02, results."""
    from sandbox import demo as demonstration  # noqa: PLC0415 - as above

    raise typer.Exit(asyncio.run(demonstration.run(Console())))


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)


def _first_sentence(group: BaseExceptionGroup[BaseException]) -> str:
    """Tasks fail in groups; the first refusal says it all. Anything else is a bug and is raised."""
    known, others = group.split((Refused, GaveUp, DueTimeImpossible))
    if known is None:
        raise group
    del others
    first: BaseException = known
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return str(first)


if __name__ == "__main__":
    app()
