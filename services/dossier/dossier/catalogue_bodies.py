"""Bodies of the catalogue's routes: agencies and procedures as they come in and as they are shown."""

from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from dossier.bodies import VISIBLE, Code
from dossier.catalogue import (
    AGENCY_CODE,
    PROCEDURE_CODE,
    Agency,
    Channel,
    ChannelLimit,
    Component,
    Fee,
    FeeKind,
    OnlineLevel,
    Procedure,
    Result,
)
from dossier.deadline import Limit, SupplementPolicy, Unit
from shared import agency_codes, web
from shared.agency_codes import canonical

_MAX_VND = 10**12

Name = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=VISIBLE)]
AgencyCode = Annotated[
    str, StringConstraints(pattern=f"{AGENCY_CODE}|{agency_codes.OLD_FORM}", max_length=35), AfterValidator(canonical)
]
"""In either form; kept in the present one."""
ProcedureCode = Annotated[str, StringConstraints(pattern=PROCEDURE_CODE)]
Level = Annotated[str, StringConstraints(min_length=1, max_length=50)] | Annotated[int, Field(ge=0, le=9)]


class AgencyBody(web.Body):
    """An agency. `valid_from` absent: always; `valid_to`: its last day."""

    name: Name
    level: Level = "department"
    parent: AgencyCode | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    successor: AgencyCode | None = None
    aliases: list[Code] = Field(default_factory=list, max_length=50)
    vertical: bool = Field(default=False, strict=True)
    """Of a ministry: not among the province's totals."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "AgencyBody":
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("valid_to lies before valid_from")
        return self


class AgencyAnswer(web.Answer):
    """An agency as stored."""

    code: str
    name: str
    level: str | int
    parent: str | None
    valid_from: date | None
    valid_to: date | None
    successor: str | None
    aliases: list[str]
    vertical: bool


class AgencyPage(web.Answer):
    """A page of agencies in order of their codes."""

    items: list[AgencyAnswer]
    next_cursor: str | None


class Successions(web.Answer):
    """Code of an ended agency → code of the one that has its dossiers today."""

    items: dict[str, str]


class LimitBody(web.Body):
    """A processing time for one channel."""

    channel: Channel
    value: int = Field(ge=0, le=3650)
    unit: Unit


class FeeBody(web.Body):
    """One fee or charge, in đồng."""

    code: Code
    name: Name
    kind: FeeKind = "fee"
    amount_vnd: int = Field(ge=0, le=_MAX_VND)
    channel: Channel | None = None
    """Of dossiers filed through it only; absent: through any."""


class ComponentBody(web.Body):
    """A paper of the dossier."""

    code: Code
    name: Name
    required: bool = True


class ResultBody(web.Body):
    """A document the procedure ends with."""

    code: Code
    name: Name


class ProcedureBody(web.Body):
    """A procedure. A channel without a limit of its own takes the first one's."""

    name: Name
    field_code: Code
    field_name: Name
    online_level: OnlineLevel = "full"
    limits: list[LimitBody] = Field(min_length=1, max_length=3)
    fees: list[FeeBody] = Field(default_factory=list, max_length=100)
    components: list[ComponentBody] = Field(default_factory=list, max_length=200)
    results: list[ResultBody] = Field(default_factory=list, max_length=100)
    agencies: list[AgencyCode | Annotated[str, StringConstraints(pattern=r"^\*$")]] = Field(
        default_factory=lambda: ["*"], min_length=1, max_length=2000
    )
    supplement_policy: SupplementPolicy = "extend"
    valid_from: date | None = None
    valid_to: date | None = None
    """The last day; absent: for the time being."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "ProcedureBody":
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("valid_to lies before valid_from")
        return self

    @model_validator(mode="after")
    def _papers_have_codes_of_their_own(self) -> "ProcedureBody":
        for papers in (self.components, self.results):
            if len({it.code for it in papers}) != len(papers):
                raise ValueError("two papers have one code")
        return self

    @model_validator(mode="after")
    def _one_limit_per_channel(self) -> "ProcedureBody":
        channels = [entry.channel for entry in self.limits]
        if len(set(channels)) != len(channels):
            raise ValueError("a channel has two limits")
        return self


class ProcedureAnswer(web.Answer):
    """A version of a procedure as stored."""

    code: str
    version: int
    name: str
    field_code: str
    field_name: str
    online_level: OnlineLevel
    limits: list[dict[str, Any]]
    fees: list[dict[str, Any]]
    components: list[dict[str, Any]]
    results: list[dict[str, Any]]
    agencies: list[str]
    supplement_policy: SupplementPolicy
    valid_from: date | None
    valid_to: date | None


class ProcedurePage(web.Answer):
    """A page of procedures in order of their codes."""

    items: list[ProcedureAnswer]
    next_cursor: str | None


class ProcedureVersions(web.Answer):
    """All versions of a procedure."""

    items: list[ProcedureAnswer]


def agency_answer(it: Agency) -> AgencyAnswer:
    """As it is shown."""
    return AgencyAnswer(
        code=it.code,
        name=it.name,
        level=it.level,
        parent=it.parent,
        valid_from=it.valid_from,
        valid_to=it.valid_to,
        successor=it.successor,
        aliases=list(it.aliases),
        vertical=it.is_vertical,
    )


def a_procedure(code: str, body: ProcedureBody) -> Procedure:
    """The version that this body asks for, not numbered yet."""
    return Procedure(
        code=code,
        version=0,
        name=body.name,
        field_code=body.field_code,
        field_name=body.field_name,
        online_level=body.online_level,
        limits=tuple(ChannelLimit(it.channel, Limit(it.value, it.unit)) for it in body.limits),
        fees=tuple(Fee(it.code, it.name, it.kind, it.amount_vnd, it.channel) for it in body.fees),
        components=tuple(Component(it.code, it.name, it.required) for it in body.components),
        results=tuple(Result(it.code, it.name) for it in body.results),
        agencies=tuple(body.agencies),
        supplement_policy=body.supplement_policy,
        valid_from=body.valid_from,
        valid_to=body.valid_to,
    )


def procedure_answer(it: Procedure) -> ProcedureAnswer:
    """As it is shown."""
    return ProcedureAnswer(
        code=it.code,
        version=it.version,
        name=it.name,
        field_code=it.field_code,
        field_name=it.field_name,
        online_level=it.online_level,
        limits=[
            {"channel": entry.channel, "value": entry.limit.value, "unit": entry.limit.unit} for entry in it.limits
        ],
        fees=[
            {"code": fee.code, "name": fee.name, "kind": fee.kind, "amount_vnd": fee.amount_vnd, "channel": fee.channel}
            for fee in it.fees
        ],
        components=[{"code": paper.code, "name": paper.name, "required": paper.is_required} for paper in it.components],
        results=[{"code": result.code, "name": result.name} for result in it.results],
        agencies=list(it.agencies),
        supplement_policy=it.supplement_policy,
        valid_from=it.valid_from,
        valid_to=it.valid_to,
    )
