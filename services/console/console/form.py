"""What a page's form sends. Only a form of ours, made for this operator, is taken; sent twice, it acts once.

Each form carries a seal: the operator it was made for and an idempotency key, encrypted. Another site cannot make one
(and its requests come without the session: `SameSite=Lax`); a double click brings the same key, and the hub gives the
first answer again.
"""

import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from console.cookie import Cookies
from console.page_route import Operator, signed_in
from console.wording import VIETNAM
from shared.errors import BadRequest, Forbidden

SEAL = "form"
_SEAL_SECONDS = 12 * 3600
_MOST_FIELDS = 50
_PIECE = 256 * 1024


class FormNotOurs(Forbidden):
    """It was not made by this console for this operator, or it is too old."""

    code, title = "form_not_ours", "Biểu mẫu đã cũ hoặc không phải của trang này"


class Forms:
    """Makes and checks seals."""

    def __init__(self, cookies: Cookies) -> None:
        self._cookies = cookies

    def seal(self, operator: Operator) -> str:
        """For one form of one page, shown to this operator."""
        document = {"subject": operator.caller.subject, "key": secrets.token_urlsafe(18)}
        return self._cookies.seal(SEAL, document, _SEAL_SECONDS)

    def key(self, operator: Operator, seal: str | None) -> str:
        """The form's idempotency key. Raises `FormNotOurs`."""
        document = self._cookies.open(SEAL, seal)
        if document is None or document["subject"] != operator.caller.subject:
            raise FormNotOurs
        return str(document["key"])


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it came. `fields`: the last value of each name; `many`: all of them."""

    key: str
    fields: Mapping[str, str]
    many: Mapping[str, list[str]]
    file: UploadFile | None

    def text(self, name: str) -> str:
        """What was written there; empty when nothing was."""
        return self.fields.get(name, "").strip()

    def number(self, name: str) -> int | str | None:
        """A whole number; what is none goes to the hub as it is, which refuses it."""
        text = self.text(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else (text or None)

    def moment(self, name: str) -> str | None:
        """A `datetime-local` field, in Vietnamese time; what is none goes to the hub as it is."""
        text = self.text(name)
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return text or None
        return (at if at.tzinfo else at.replace(tzinfo=VIETNAM)).isoformat()


async def posted(request: Request, operator: Annotated[Operator, Depends(signed_in)]) -> AsyncIterator[Form]:
    """The form of this request; its file is gone when the page has been made. Raises `FormNotOurs`, `BadRequest`."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise FormNotOurs
    try:
        content = await request.form(max_files=1, max_fields=_MOST_FIELDS)
    except HTTPException as fault:
        raise BadRequest(internal=str(fault.detail)) from fault
    try:
        yield _read(request, operator, content)
    finally:
        await content.close()


def _read(request: Request, operator: Operator, content: FormData) -> Form:
    many: dict[str, list[str]] = {}
    file = None
    for name, value in content.multi_items():
        if isinstance(value, UploadFile):
            file = value
        else:
            many.setdefault(name, []).append(value)
    fields = {name: values[-1] for name, values in many.items()}
    # Kept for the page that says that a service is away: it offers the same form, under the same key, once more.
    # A file cannot be offered again.
    request.state.form = many if file is None else {}
    return Form(Forms.key(request.app.state.forms, operator, fields.get(SEAL)), fields, many, file)


async def pieces(file: UploadFile) -> AsyncIterator[bytes]:
    """The file's bytes, a piece at a time."""
    await file.seek(0)
    while piece := await file.read(_PIECE):
        yield piece


Posted = Annotated[Form, Depends(posted)]
