"""Both published tables, as the hub reports them, beside the plan: equal cell by cell."""

from typing import Any

from sandbox import plan as planning
from sandbox.plan import Plan
from sandbox.plan_tables import FEES
from sandbox.promise import Findings, of_differences
from sandbox.replay_client import HubClient


async def check(plan: Plan, operator: HubClient) -> Findings:
    """Reads both reports and compares them."""
    period = {"from": plan.period.first.isoformat(), "to": plan.period.last.isoformat()}
    asked = {"province": plan.province, **period}
    planned = planning.agencies_table(plan)
    reported = rows_by_number(await operator.get("/v1/reports/agencies", asked))
    columns = {no: planning.compared_columns(plan, no) for no in planned}
    promises = [
        of_differences(
            "the agencies table is the planned one, cell by cell",
            f"{sum(map(len, columns.values()))} cells",
            differences(planned, reported, columns),
        )
    ]
    figures: dict[str, Any] = {
        "agencies": {"planned": planned, "reported": reported},
        "deviations_from_published_rates": planning.deviations(plan),
    }
    fees_planned = planning.fees_table(plan)
    fees_reported = rows_by_number(await operator.get("/v1/reports/fees", asked))
    promises.append(
        of_differences(
            "the fees table is the planned one, cell by cell",
            f"{len(FEES) * len(fees_planned)} cells",
            differences(fees_planned, fees_reported, {no: set(FEES) for no in fees_planned}),
        )
    )
    figures["fees"] = {"planned": fees_planned, "reported": fees_reported}
    return Findings(promises, figures)


def rows_by_number(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of a report under their agency's number, and "total"."""
    rows = {str(int(item["no"])): dict(item) for item in report["items"]}
    return rows | {"total": dict(report["total"])}


def differences(
    planned: dict[str, dict[str, Any]], reported: dict[str, dict[str, Any]], columns: dict[str, set[str]]
) -> list[str]:
    """One phrase per unequal cell; an agency that the plan lacks must be empty in the report."""
    found = []
    for no, row in planned.items():
        for column in sorted(columns[no]):
            cell = reported.get(no, {}).get(column)
            if cell is None or float(cell) != float(row[column]):
                found.append(f"row {no} {column}: {cell}, planned {row[column]}")
    for no in reported.keys() - planned.keys():
        compared = columns["total"] & reported[no].keys()
        found += [
            f"row {no} {column}: {reported[no][column]}, not planned" for column in compared if reported[no][column]
        ]
    return found
