"""Templates and the headers every page carries: nothing but our own files may run, and nobody may frame us."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console import wording, words_of_work
from shared import clock

_HERE = Path(__file__).parent
STATIC = _HERE / "static"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_FILTERS: dict[str, Callable[..., Any]] = {
    "number": wording.number,
    "moment": wording.moment,
    "day": wording.day,
    "age": wording.age,
    "share": wording.share,
    "word": lambda code, table: wording.word(table, code),
}
_templates.filters.update(_FILTERS)
_templates.globals["wording"] = wording
_templates.globals["work"] = words_of_work


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page, or a part of one."""
    operator = getattr(request.state, "operator", None)
    html = _templates.get_template(template).render(
        operator=operator,
        path=request.url.path,
        present=clock.now(),
        may_operate=operator is not None and "sync:operate" in operator.caller.scopes,
        seal=lambda: request.app.state.forms.seal(operator),
        is_expired="expired" in request.query_params,
        **values,
    )
    return Response(html, status, HEADERS, "text/html; charset=utf-8")
