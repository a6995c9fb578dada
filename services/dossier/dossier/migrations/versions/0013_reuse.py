"""A person's documents of earlier dossiers, of whatever agency: whether one is there, and nothing else about it."""

from alembic import op

revision = "0013_reuse"
down_revision = "0012_reception"
branch_labels = None
depends_on = None

# Runs as the owner, so that an agency may name another one's dossier as the source; it learns yes or no.
_HELD = """
CREATE FUNCTION person_document(hashes bytea[], source text, digest text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT CASE
    WHEN EXISTS (SELECT FROM jsonb_array_elements(d.detail->'results') r
                 WHERE lower(r->>'sha256') = lower(digest) AND r->>'url' IS NOT NULL) THEN 'result'
    WHEN d.received_at IS NOT NULL AND d.status NOT IN (3, 7) AND EXISTS (
                 SELECT FROM jsonb_array_elements(d.attachments) a
                 WHERE lower(a->>'sha256') = lower(digest) AND a->>'url' IS NOT NULL
                   AND (a->>'certified')::boolean) THEN 'component' END
  FROM dossier d WHERE d.code = source AND d.person_hash = ANY(hashes)
$$
"""


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run(_HELD)
    run("REVOKE ALL ON FUNCTION person_document FROM PUBLIC")
    run("GRANT EXECUTE ON FUNCTION person_document TO dossier_api, dossier_system")
