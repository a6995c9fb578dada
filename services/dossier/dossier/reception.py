"""Papers that one agency's desk takes in for another agency, of the province or of another.

NĐ 61/2018 Đ18; NĐ 118/2025 Đ14.4 and Đ17.3: the time limit counts from the competent authority's reception.

The dossier is the competent agency's (`agency_code`, its code too): that one receives, and with its reception the clock
starts. The receiver (`receiver_code`) hands it over, may bring what is missing, withdraw it for the applicant, and give
the result out; it reads the whole time. Nobody receives what has not been handed over.
"""

from dossier.record import Command, Dossier
from dossier.refusal import ActionNotForAgency, HandedOverBefore, NotHandedOver, NotReceivedForAnother
from shared.agency_codes import covers

OF_THE_RECEIVER = frozenset({"hand_over", "supplement", "withdraw", "return_result"})


def require_side(dossier: Dossier, command: Command) -> None:
    """The action is the caller's side's. Raises `ActionNotForAgency`."""
    if dossier.receiver_code is None:
        return
    may_handle = covers(command.agencies, dossier.agency_code)
    may_receive = covers(command.agencies, dossier.receiver_code)
    if command.action == "hand_over":
        is_theirs = may_receive
    else:
        is_theirs = may_handle or (may_receive and command.action in OF_THE_RECEIVER)
    if not is_theirs:
        raise ActionNotForAgency


def require_open(dossier: Dossier) -> None:
    """It was taken in for another agency and has not been handed over. Raises what is not so."""
    if dossier.receiver_code is None:
        raise NotReceivedForAnother
    if dossier.handed_over_at is not None:
        raise HandedOverBefore


def require_handed_over(dossier: Dossier) -> None:
    """What another desk took in has arrived. Raises `NotHandedOver`."""
    if dossier.receiver_code is not None and dossier.handed_over_at is None:
        raise NotHandedOver
