"""Models of what petitions and ratings are answered: what OpenAPI shows."""

from datetime import datetime

from dossier.answers import ActorAnswer
from dossier.petition import PetitionState, Score
from shared.web import Answer


class PetitionLimits(Answer):
    """Until when each step may be taken; `publish_by` once it is answered."""

    refuse_by: datetime
    request_supplement_by: datetime
    answer_by: datetime
    publish_by: datetime | None


class PetitionStep(Answer):
    """A step that was taken."""

    version: int
    action: str
    at: datetime
    recorded_at: datetime
    reason: str | None
    actor: ActorAnswer | None


class PetitionAnswer(Answer):
    """A petition. `late_at`: late after it as things stand; `subject` only for a stated purpose."""

    petition_id: str
    agency_code: str
    dossier_code: str | None
    state: PetitionState
    version: int
    received_at: datetime
    refused_at: datetime | None
    answered_at: datetime | None
    published_at: datetime | None
    limits: PetitionLimits
    late_at: datetime | None
    is_late: bool
    score: Score | None
    external_reference: str | None = None
    answer: str | None = None
    subject: str | None = None
    steps: list[PetitionStep] | None = None


class PetitionPage(Answer):
    """Petitions in the order they came."""

    items: list[PetitionAnswer]
    next_cursor: str | None


class PetitionCount(Answer):
    """Of one agency; `closed`: refused or published."""

    agency_code: str
    petitions: int
    late: int
    closed: int
    closed_on_time: int
    rated: int
    satisfied: int
    dossiers: int


class PetitionCounts(Answer):
    """As of now."""

    as_of: datetime
    items: list[PetitionCount]


class RatingItem(Answer):
    """A rating as stored."""

    dossier_code: str
    agency_code: str
    score: Score
    at: datetime
    recorded_at: datetime


class RatingPage(Answer):
    """Ratings in order of their dossiers' codes."""

    items: list[RatingItem]
    next_cursor: str | None


class RatingCount(Answer):
    """Of one agency."""

    agency_code: str
    ratings: int
    very_satisfied: int
    satisfied: int
    dissatisfied: int


class RatingCounts(Answer):
    """As of now."""

    as_of: datetime
    items: list[RatingCount]
