"""A page of results for the terminal: both tables beside the plan, the promises, the speed."""

from rich import box
from rich.console import Console
from rich.table import Table

from sandbox.plan import Plan
from sandbox.plan_tables import FEES
from sandbox.promises import Checked

_SHORT = {
    "received_total": "received",
    "received_in_period": "in period",
    "received_online": "online",
    "carried_over": "carried",
    "resolved_on_time": "on time",
    "resolved_late": "late",
    "in_progress_total": "in progress",
    "population_db_use_rate_pct": "identity %",
    "digitised_component_rate_pct": "digitised %",
    "electronic_result_rate_pct": "e-result %",
}


def show(console: Console, plan: Plan, checked: Checked) -> None:
    """The whole page."""
    figures = checked.figures
    console.print(_agencies(plan, checked))
    if plan.tables.has_fees:
        console.print(_fees(plan, checked))
    console.print(_promises(checked))
    events = figures.get("events_per_second")
    console.print(
        f"[bold]{figures['dossiers']:,}[/] dossiers in [bold]{figures['seconds']:,.1f}[/] s "
        f"({figures['play_seconds']:,.1f} s playing, {figures['level_seconds']:,.1f} s until level): "
        f"[bold]{figures['dossiers_per_second']:,.1f}[/] dossiers/s"
        + (f", [bold]{events:,.0f}[/] events/s" if events else "")
        + f"; checked in {figures['check_seconds']:,.1f} s."
    )


def _agencies(plan: Plan, checked: Checked) -> Table:
    table = Table(title="Dossiers per agency: the hub's report (planned, where different)", box=box.SIMPLE_HEAD)
    table.add_column("no", justify="right")
    table.add_column("agency")
    for short in _SHORT.values():
        table.add_column(short, justify="right")
    _fill(table, plan, checked.figures["tables"]["agencies"], tuple(_SHORT))
    return table


def _fees(plan: Plan, checked: Checked) -> Table:
    table = Table(title="Fees per agency: the hub's report (planned, where different)", box=box.SIMPLE_HEAD)
    table.add_column("no", justify="right")
    table.add_column("agency")
    for heading in ("online", "đồng online", "at the counter", "đồng at the counter"):
        table.add_column(heading, justify="right")
    _fill(table, plan, checked.figures["tables"]["fees"], FEES)
    return table


def _fill(
    table: Table, plan: Plan, sides: dict[str, dict[str, dict[str, int | float]]], columns: tuple[str, ...]
) -> None:
    names = {str(counts.no): counts.name for counts in plan.counts} | {"total": "Tổng số"}
    for no, row in sides["planned"].items():
        reported = sides["reported"].get(no, {})
        if no == "total":
            table.add_section()
        cells = [_cell(row[column], reported.get(column)) for column in columns]
        table.add_row("Σ" if no == "total" else no, names[no], *cells)


def _cell(planned: float, reported: float | None) -> str:
    if reported is not None and float(planned) == float(reported):
        return f"{reported:,}"
    return f"[red]{reported}[/] ({planned:,})"


def _promises(checked: Checked) -> Table:
    table = Table(title="Promises", box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("promise")
    table.add_column("found")
    for promise in checked.promises:
        mark = "[green]✓[/]" if promise.holds else "[red]✗[/]"
        found = promise.found if promise.holds else f"[red]{promise.found}[/] (expected {promise.expected})"
        table.add_row(mark, promise.name, found)
    return table
