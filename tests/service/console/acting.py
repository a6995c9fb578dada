"""What the stand-in gateway answers to the pages on which operators act."""

from typing import Any

AT = "2023-03-01T08:30:00+07:00"
CODE = "H08.15-230301-0001"
INCIDENT_ID = "01920000-0000-7000-8000-000000000002"
REPLAY_ID = "01920000-0000-7000-8000-000000000003"
MAINTENANCE_ID = "01920000-0000-7000-8000-000000000004"

INCIDENT: dict[str, Any] = {
    "id": INCIDENT_ID, "destination": "dvcqg", "owner": "partner", "message": "hồ sơ … <b>không</b> hợp lệ",
    "state": "open", "count": 12, "dossiers": 4, "agencies": 2, "first_at": AT, "last_at": AT,
    "sample": {"code": CODE, "reason": f"Hồ sơ {CODE} không hợp lệ"}, "resolved_at": None, "resolved_by": None,
    "resolution": None, "replay": None,
}  # fmt: skip
REPLAY: dict[str, Any] = {
    "id": REPLAY_ID, "destination": "dvcqg", "kind": "retry", "state": "planned", "count": 4, "executed": 0,
    "filter": {"states": ["parked"], "agency": "H08.15"}, "reason": "Cổng đã sửa", "per_second": 100,
    "planned_by": "vanhanh", "planned_at": AT, "expires_at": AT, "confirmed_by": None, "confirmed_at": None,
    "cancelled_by": None, "finished_at": None, "reconciliation": None, "verification": None,
}  # fmt: skip
SHOWN_REPLAY = {
    **REPLAY, "outcomes": {"left": 4}, "states": {"parked": 4},
    "sample": [{"code": CODE, "agency_code": "H08.15", "state": "parked", "reason": "Sai mã", "owner": "partner"}],
}  # fmt: skip
MAINTENANCE: dict[str, Any] = {
    "id": MAINTENANCE_ID, "destination": "dvcqg", "agency_code": None, "state": "planned", "starts_at": AT,
    "ends_at": AT, "reason": "Cổng nâng cấp", "planned_by": "vanhanh", "planned_at": AT, "cancelled_by": None,
    "cancelled_at": None,
}  # fmt: skip
HOLD: dict[str, Any] = {
    "destination": "dvcqg", "agency_code": "H08.15", "reason": "Sở đổi phần mềm", "held_by": "vanhanh",
    "held_since": AT, "ends_at": None, "maintenance": None,
}  # fmt: skip
DRAIN: dict[str, Any] = {
    "waiting": 30, "per_second": 2.5, "released_at": AT, "waiting_at_release": 100, "done_pct": 70.0,
    "expected_at": "2023-03-01T08:42:00+07:00",
}  # fmt: skip
LAYOUT = {
    "name": "dvcqg", "version": 1, "headings": {"code": ["MaHoSo"]}, "words": {}, "delimiter": ",",
    "declared_by": None, "declared_at": None,
}  # fmt: skip
VERDICT = {"outcome": "late", "reason": "Đã quá hạn trả kết quả.", "reason_code": "after_due_time", "is_final": False}
VERDICTS = {
    "local": VERDICT,
    "national": {
        "outcome": "on_time", "reason": "Còn trong hạn nhờ quy tắc 2.1 trừ thời gian bổ sung.",
        "reason_code": "supplement_time_subtracted", "is_final": False,
    },
    "differ": True,
}  # fmt: skip
STUCK = {
    "as_of": AT,
    "counts": [
        {"kind": "no_transition", "agency_code": code, "count": count, "oldest_since": AT, "oldest_age_hours": 400.0}
        for code, count in (("H08.15", 2), ("H08.16", 1))
    ],
    "items": [
        {
            "code": CODE, "agency_code": "H08.15", "procedure_code": "2.000488", "status": "in_process", "due_at": AT,
            "kind": "no_transition", "since": AT, "age_hours": 400.0,
            "frees": {"kind": "transition", "name": "finish", "words": "Kết thúc xử lý hồ sơ."},
        }
    ],
    "next_cursor": "n/=",
}  # fmt: skip
UNSETTLED_EVENT = {
    "number": 7, "client_id": "bo-tu-phap", "source": "/bo-tu-phap/ho tich", "id": "e/1&", "type": "vn.moj.x.v1",
    "dossier_code": CODE, "state": "unmapped", "reason": "unmapped_value: /data/<b>", "owner": "partner",
    "action": None, "happened_at": AT, "version": None, "vocabulary_version": 1, "published_at": AT, "taken_at": AT,
    "applied_at": None,
}  # fmt: skip
UNSETTLED = {
    "counts": [{"client_id": "bo-tu-phap", "source": "/bo-tu-phap/ho tich", "type": "vn.moj.x.v1",
                "state": "unmapped", "reason": "unmapped_value", "count": 1_200, "oldest_at": AT}],
    "items": [UNSETTLED_EVENT], "next_cursor": "n/=",
}  # fmt: skip
DELIVERED = {
    **UNSETTLED_EVENT, "accepted_at": AT, "stored_at": AT, "synced_at": None, "state": "unknown", "reason": None,
    "owner": None, "exchange_id": None, "sync_state": None, "unknown": ["applied_at", "synced_at"],
}  # fmt: skip
LISTED = {
    "count": 1_001, "next_cursor": None,
    "items": [
        {
            "code": CODE, "agency_code": "H08.15", "procedure_code": "2.000488", "status": "in_process", "due_at": AT,
            "verdicts": VERDICTS,
        }
    ],
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "/v1/sync/incidents": {"items": [INCIDENT], "next_cursor": None},
    f"/v1/sync/incidents/{INCIDENT_ID}": INCIDENT,
    "/v1/sync/retries": {"items": [REPLAY], "next_cursor": None},
    f"/v1/sync/retries/{REPLAY_ID}": SHOWN_REPLAY,
    "/v1/sync/maintenance": {"items": [MAINTENANCE], "next_cursor": None},
    "/v1/sync/layouts": {"items": [LAYOUT], "next_cursor": None},
    "/v1/dossiers/stuck": STUCK,
    "/v1/dossiers": LISTED,
    "/v1/events/unsettled": UNSETTLED,
    "/v1/events": {"items": [DELIVERED], "next_cursor": None},
}
CLOCK = {
    "started_at": AT, "due_at": "2023-03-08T09:00:00+07:00", "used_hours": 16.0, "left_hours": 4.0, "paused": None,
    "pauses": [{"kind": "supplement", "began_at": AT, "ended_at": AT}],
    "line": {
        "until": AT, "hours": 24.0, "due_hours": 28.0, "national_due_at": AT, "national_due_hours": 20.0,
        "parts": [
            {"kind": kind, "began_at": AT, "ended_at": AT, "hours": 8.0, "counts_here": kind == "work",
             "counts_nationally": True}
            for kind in ("work", "payment", "work")
        ],
    },
}  # fmt: skip
NEXT_ACTIONS = [
    {"action": "finish", "roles": ["desk"], "blocked_by": "charge_open"},
    {"action": "extend", "roles": ["desk"], "blocked_by": None},
    {"action": "apologise", "roles": ["desk"], "blocked_by": "not_late"},
]
