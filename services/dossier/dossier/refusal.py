"""Why an action is refused: each error states the fact, its code is part of the contract (`api.md`)."""

from shared.errors import BadRequest, Conflict, Forbidden


class ActionNotForRole(Forbidden):
    """The token's role may not take this action."""

    code, title = "action_not_for_role", "This action is not for the caller's role"


class TransitionNotAllowed(Conflict):
    """The status has no such arrow; `allowed` names those it has."""

    code, title = "transition_not_allowed", "The dossier's status does not allow this action"


class TimeGoesBack(Conflict):
    """An action would lie before the last one."""

    code, title = "time_goes_back", "The action would lie before the last one"


class IdentityPending(Conflict):
    """The register has not answered yet."""

    code, title = "identity_pending", "The applicant's identity is still being verified"


class IdentityReasonRequired(Conflict):
    """The identity does not match and nobody said why that is acceptable."""

    code, title = "identity_reason_required", "The identity is not confirmed: an identity_reason is needed"


class ChargeOpen(Conflict):
    """Something is still to be paid."""

    code, title = "charge_open", "A requested payment is still open"


class LegalExceptionRequired(Conflict):
    """A supplement is asked for once; a second time needs a legal exception."""

    code, title = "legal_exception_required", "A second supplement needs a legal_exception"


class PersonalNumberAwaited(Conflict):
    """The clock stands still until a personal number is issued; end that pause first."""

    code, title = "personal_number_awaited", "The dossier waits for a personal number"


class PersonalNumberNotAwaited(Conflict):
    """There is no such pause to end."""

    code, title = "personal_number_not_awaited", "The dossier does not wait for a personal number"


class ExtensionNotAllowed(Conflict):
    """Extended before, no due time, or less than a day before it."""

    code, title = "extension_not_allowed", "The due time cannot be extended"


class NotLate(Conflict):
    """Who is not late extends the time instead; while the clock stands nobody is late."""

    code, title = "not_late", "The dossier is not late"


class StepDoesNotFit(Conflict):
    """A corrected history would contain a step that the life does not allow there."""

    code, title = "step_does_not_fit", "The life of a dossier has no such step there"


class ActionNotForAgency(Forbidden):
    """Of a dossier taken in for another agency: this action is the other side's."""

    code, title = "action_not_for_agency", "This action is for the other one of the two agencies"


class NotReceivedForAnother(Conflict):
    """The agency that took the papers in is the competent one itself."""

    code, title = "not_received_for_another", "The dossier was not taken in for another agency"


class HandedOverBefore(Conflict):
    """The competent agency has it already."""

    code, title = "handed_over_before", "The dossier was handed over already"


class NotHandedOver(Conflict):
    """The desk that took the papers in still has them."""

    code, title = "not_handed_over", "The dossier has not been handed over by the agency that took it in"


class SamePerson(Forbidden):
    """A correction is approved by another person than the one who asked for it."""

    code, title = "same_person", "Another person has to approve this"


class CorrectionDecided(Conflict):
    """It was approved or rejected before."""

    code, title = "correction_decided", "The correction is decided already"


class ExternalReferenceTaken(Conflict):
    """The client has filed a dossier under this reference before; `Location` names it."""

    code, title = "external_reference_taken", "A dossier with this external_reference exists already"


class ProcedureNotValid(Conflict):
    """The procedure is unknown, not valid on the day of submission, or not performed by the agency."""

    code, title = "procedure_not_valid", "The agency does not perform this procedure on that day"


class AgencyNotValid(Conflict):
    """The agency is unknown or not valid on the day of submission."""

    code, title = "agency_not_valid", "The agency does not exist on that day"


class PurposeRequired(BadRequest):
    """Personal data is read for a purpose, and the purpose is logged."""

    code, title = "purpose_required", "A search by person needs the header Hub-Purpose"


class NoOpenDossier(Forbidden):
    """A person's documents are shown to officers who have received an open dossier of that person."""

    code = "no_open_dossier"
    title = "No agency of the caller handles a received open dossier of this person whose identity is confirmed"


class ReusedDocumentNotFound(Conflict):
    """The applicant has no such document in the dossier that is named as its source; `attachment` says which."""

    code, title = "reused_document_not_found", "The applicant has no such document in that dossier"


class AliasTaken(Conflict):
    """Every code and alias names one agency."""

    code, title = "alias_taken", "A code or an alias of this agency names another one already"


class AlreadyRated(Conflict):
    """A dossier is rated once."""

    code, title = "already_rated", "The dossier is rated already"
