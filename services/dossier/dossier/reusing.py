"""Papers that are not asked for again: what a dossier says it reuses is there, and the applicant's own.

An attachment with `reused_from` names the earlier dossier; its digest names the document in it. Without `reused_from`,
`reused` stays the filer's word (the national wire has no more).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dossier import reuse_store
from dossier.person import PersonKeys
from dossier.refusal import ActionNotForRole, ReusedDocumentNotFound
from shared.db import Reading
from shared.errors import FieldError, InvalidRequest

Paper = Mapping[str, Any]
OFFICERS = ("desk", "ministry", "post", "hub")
"""Who may call a component certified: they have seen the original."""


def names_sources(papers: Sequence[Paper]) -> bool:
    """Whether any of them has to be looked up."""
    return any(paper.get("reused_from") for paper in papers)


def require_officer(papers: Sequence[Paper], role: str) -> None:
    """Raises `ActionNotForRole` where somebody else certifies a component."""
    if role not in OFFICERS and any(paper.get("certified") for paper in papers):
        raise ActionNotForRole("Only officers certify a component")


async def require(rx: Reading, keys: PersonKeys, personal_id: str | None, papers: Sequence[Paper]) -> None:
    """Each named source has the document, and the person is the same.

    Raises `InvalidRequest` for a source without a digest, `ReusedDocumentNotFound`: unknown and another person's alike.
    """
    hashes = [] if personal_id is None else keys.hashes(personal_id)
    for index, paper in enumerate(papers):
        if not paper.get("reused_from"):
            continue
        if paper["reused"] == "none" or not paper.get("sha256"):
            pointer = f"/attachments/{index}/{'reused' if paper['reused'] == 'none' else 'sha256'}"
            raise InvalidRequest(errors=[FieldError(pointer, "is required with reused_from")])
        kind = await reuse_store.held(rx, hashes, paper["reused_from"], paper["sha256"])
        if kind != paper["reused"]:
            raise ReusedDocumentNotFound(attachment=index)


async def require_for(rx: Reading, keys: PersonKeys, code: str, papers: Sequence[Paper]) -> None:
    """`require` for the applicant of this dossier, which the reading sees."""
    row = await reuse_store.applicant(rx, code)
    await require(rx, keys, None if row is None else keys.shown(row)["applicant"]["personal_id"], papers)
