"""When a dossier becomes late, here and by the national rule; the pauses of dossiers that wait.

`late_at` and `national_late_at` follow from the transitions (`dossier.verdict`): from then on the dossier is late,
empty when it can no more become so or nothing runs. `clocks_differ`: the two are not the same moment.

Neither is indexed, nor in an index's condition: an action that moves no due time then still writes no index (HOT, see
0001). The lists look by `due_at` (`late_at` is that or empty), and among those few whose clocks differ.
"""

from alembic import op

revision = "0005_clock"
down_revision = "0004_exchanges"
branch_labels = None
depends_on = None

# Rows from before: a pause that has not ended began with the last action; supplements have known times.
_PAUSES = """
UPDATE dossier SET detail = jsonb_set(detail, '{pauses}',
  coalesce((SELECT jsonb_agg(jsonb_build_object('kind', 'supplement', 'began_at', s->'requested_at',
                                                'ended_at', s->'answered_at'))
            FROM jsonb_array_elements(detail->'supplements') s WHERE s->>'answered_at' IS NOT NULL), '[]'::jsonb)
  || CASE WHEN status IN (5, 6, 8) THEN jsonb_build_array(jsonb_build_object(
       'kind', CASE status WHEN 5 THEN 'supplement' WHEN 6 THEN 'payment' ELSE 'stop' END,
       'began_at', to_jsonb(last_at), 'ended_at', NULL)) ELSE '[]'::jsonb END)
WHERE status IN (5, 6, 8) OR detail ? 'supplements'
"""
_LATE = """
UPDATE dossier SET
  late_at = CASE
    WHEN coalesce(finished_at, CASE WHEN status IN (5, 6, 7, 8) THEN last_at END, 'infinity') > due_at
    THEN due_at END,
  national_late_at = CASE
    WHEN jsonb_array_length(coalesce(detail->'supplements', '[]')) > 1
    THEN (detail->'supplements'->1->>'requested_at')::timestamptz
    WHEN coalesce(finished_at, CASE WHEN status IN (5, 7, 8) THEN last_at END, 'infinity') > due_at + spent
    THEN due_at + spent END
FROM (SELECT d.code AS of, coalesce(sum((p->>'ended_at')::timestamptz - (p->>'began_at')::timestamptz)
        FILTER (WHERE p->>'kind' = 'supplement'), interval '0') AS spent
      FROM dossier d LEFT JOIN jsonb_array_elements(d.detail->'pauses') p ON true GROUP BY d.code) waited
WHERE code = waited.of AND received_at IS NOT NULL AND status <> 3
"""


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run(
        "ALTER TABLE dossier ADD late_at timestamptz, ADD national_late_at timestamptz,"
        " ADD clocks_differ boolean NOT NULL DEFAULT false"
    )
    run(_PAUSES)
    run(_LATE)
    run("UPDATE dossier SET clocks_differ = true WHERE late_at IS DISTINCT FROM national_late_at")
    run("CREATE INDEX ON dossier (due_at) WHERE due_at IS NOT NULL")
    run("CREATE INDEX dossier_clocks_differ ON dossier (code) WHERE clocks_differ")
