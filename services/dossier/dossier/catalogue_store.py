"""Tables agency, procedure_version and catalogue_version."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from dossier.catalogue import Agency, ChannelLimit, Component, Fee, Procedure, Result
from dossier.deadline import Limit
from shared import agency_codes, strict_json
from shared.db import Reading, Transaction

_AGENCY = "code, name, level, parent, valid_from, valid_to, successor, aliases, is_vertical"
_PROCEDURE = "code, version, valid_from, body"


async def number(rx: Reading) -> int:
    """How often the catalogue has changed."""
    return int(await rx.value("SELECT number FROM catalogue_version"))


async def lock(tx: Transaction) -> None:
    """Changes of the catalogue take turns, so that versions are numbered without gaps."""
    await tx.execute("SELECT FROM catalogue_version FOR UPDATE")


async def count_change(tx: Transaction) -> None:
    """Tell the other processes."""
    await tx.execute("UPDATE catalogue_version SET number = number + 1")


async def agency(rx: Reading, code: str) -> Agency | None:
    """The agency of this code or alias, in either form."""
    row = await rx.row(
        f"SELECT {_AGENCY} FROM agency WHERE code = :code OR aliases && CAST(:forms AS text[]) "
        "ORDER BY code = :code DESC LIMIT 1",
        code=agency_codes.canonical(code),
        forms=agency_codes.forms(code),
    )
    return None if row is None else _an_agency(row)


async def alias_taken(rx: Reading, code: str, aliases: Sequence[str]) -> bool:
    """Whether one of these aliases, in any form, names another agency."""
    forms = [form for alias in aliases for form in agency_codes.forms(alias)]
    return bool(
        await rx.value(
            "SELECT EXISTS (SELECT FROM agency WHERE code <> :code AND "
            "(code = ANY(CAST(:forms AS text[])) OR aliases && CAST(:forms AS text[])))",
            code=code,
            forms=forms,
        )
    )


async def agencies(
    rx: Reading, parent: str | None, after: str, limit: int | None, day: date | None = None
) -> list[Agency]:
    """Agencies in order of their codes, those after `after`; of a `day` those valid then."""
    rows = await rx.rows(
        f"SELECT {_AGENCY} FROM agency WHERE code > :after "
        "AND (CAST(:parent AS text) IS NULL OR parent = :parent) "
        "AND (CAST(:day AS date) IS NULL OR coalesce(valid_from <= :day, true) AND coalesce(valid_to >= :day, true)) "
        "ORDER BY code LIMIT :limit",
        after=after,
        day=day,
        parent=parent,
        limit=limit,
    )
    return [_an_agency(row) for row in rows]


async def put_agency(tx: Transaction, it: Agency) -> None:
    """Insert the agency or overwrite it."""
    await tx.execute(
        "INSERT INTO agency (code, name, level, parent, valid_from, valid_to, successor, aliases, "
        "is_vertical) VALUES (:code, :name, CAST(:level AS jsonb), :parent, :valid_from, :valid_to, :successor, "
        ":aliases, :is_vertical) "
        "ON CONFLICT (code) DO UPDATE SET name = EXCLUDED.name, level = EXCLUDED.level, "
        "parent = EXCLUDED.parent, valid_from = EXCLUDED.valid_from, valid_to = EXCLUDED.valid_to, "
        "successor = EXCLUDED.successor, aliases = EXCLUDED.aliases, is_vertical = EXCLUDED.is_vertical, "
        "recorded_at = now()",
        code=it.code,
        name=it.name,
        level=strict_json.dumps(it.level).decode(),
        parent=it.parent,
        valid_from=it.valid_from,
        valid_to=it.valid_to,
        successor=it.successor,
        aliases=list(it.aliases),
        is_vertical=it.is_vertical,
    )


async def versions(rx: Reading, code: str) -> list[Procedure]:
    """All versions of one procedure."""
    rows = await rx.rows(
        f"SELECT {_PROCEDURE} FROM procedure_version WHERE code = :code ORDER BY version",
        code=code,
    )
    return [_a_procedure(row) for row in rows]


async def all_procedures(rx: Reading) -> list[Procedure]:
    """All versions of all procedures."""
    rows = await rx.rows(f"SELECT {_PROCEDURE} FROM procedure_version ORDER BY code, version")
    return [_a_procedure(row) for row in rows]


async def procedures(rx: Reading, day: date, field_code: str | None, after: str, limit: int) -> list[Procedure]:
    """One version per procedure, in order of the codes after `after`: in force on `day`, else the latest."""
    rows = await rx.rows(
        f"SELECT * FROM (SELECT DISTINCT ON (code) {_PROCEDURE}, field_code FROM procedure_version "
        "WHERE code > :after ORDER BY code, (valid_from IS NULL OR valid_from <= :day) DESC, "
        "valid_from DESC NULLS LAST, version DESC) AS shown "
        "WHERE CAST(:field AS text) IS NULL OR field_code = :field ORDER BY code LIMIT :limit",
        day=day,
        field=field_code,
        after=after,
        limit=limit,
    )
    return [_a_procedure(row) for row in rows]


async def put_procedure(tx: Transaction, it: Procedure) -> None:
    """Add a version."""
    await tx.execute(
        "INSERT INTO procedure_version (code, version, valid_from, field_code, body) "
        "VALUES (:code, :version, :valid_from, :field_code, CAST(:body AS jsonb))",
        code=it.code,
        version=it.version,
        valid_from=it.valid_from,
        field_code=it.field_code,
        body=strict_json.dumps(_body(it)).decode(),
    )


def _an_agency(row: Mapping[str, Any]) -> Agency:
    return Agency(**{**row, "aliases": tuple(row["aliases"])})


def _body(it: Procedure) -> dict[str, Any]:
    return {
        "name": it.name,
        "field_code": it.field_code,
        "field_name": it.field_name,
        "online_level": it.online_level,
        "limits": [[entry.channel, entry.limit.value, entry.limit.unit] for entry in it.limits],
        "fees": [[fee.code, fee.name, fee.kind, fee.amount_vnd, fee.channel] for fee in it.fees],
        "components": [[paper.code, paper.name, paper.is_required] for paper in it.components],
        "results": [[result.code, result.name] for result in it.results],
        "agencies": it.agencies,
        "supplement_policy": it.supplement_policy,
        "valid_to": None if it.valid_to is None else it.valid_to.isoformat(),
    }


def _a_procedure(row: Mapping[str, Any]) -> Procedure:
    body = row["body"]
    return Procedure(
        code=row["code"],
        version=row["version"],
        valid_from=row["valid_from"],
        name=body["name"],
        field_code=body["field_code"],
        field_name=body["field_name"],
        online_level=body["online_level"],
        limits=tuple(ChannelLimit(channel, Limit(value, unit)) for channel, value, unit in body["limits"]),
        fees=tuple(Fee(*fee) for fee in body["fees"]),
        components=tuple(Component(*paper) for paper in body["components"]),
        results=tuple(Result(*result) for result in body["results"]),
        agencies=tuple(body["agencies"]),
        supplement_policy=body["supplement_policy"],
        # What versions from before did not have yet: fees are then any channel's, and the end is open.
        valid_to=date.fromisoformat(body["valid_to"]) if body.get("valid_to") else None,
    )
