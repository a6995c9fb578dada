"""Filing several dossiers of linked procedures as one intake; runs in the transaction it is given."""

from collections.abc import Sequence
from typing import Any

import uuid_utils

from dossier import intake_store, submitting
from dossier.bodies import Filing
from dossier.intake_store import Line
from dossier.refusal import ExternalReferenceTaken
from shared.db import Transaction


async def file_together(tx: Transaction, lines: Sequence[Line], filings: Sequence[Filing]) -> dict[str, Any]:
    """Store them all, linked; the answer. Raises `ExternalReferenceTaken` with the place of the first."""
    references = [line.external_reference for line in lines if line.external_reference is not None]
    taken = await intake_store.codes_by_reference(tx, lines[0].client_id, references) if references else {}
    for index, line in enumerate(lines):
        if line.external_reference in taken:
            place = submitting.location(taken[line.external_reference])
            raise ExternalReferenceTaken(headers={"location": place}, index=index)
    combined_id = str(uuid_utils.uuid7())
    await intake_store.insert_together(tx, combined_id, lines)
    items = [submitting.answer(line.dossier, filing) for line, filing in zip(lines, filings, strict=True)]
    linked = {"id": combined_id, "dossiers": [line.dossier.code for line in lines]}
    return {"combined_id": combined_id, "items": [{**item, "combined": linked} for item in items]}
