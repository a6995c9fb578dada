"""Batches as newline-delimited JSON: at most 5,000 lines and 16 MiB; one answer per line, in order."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import Request, Response

from shared import problems, strict_json
from shared.errors import HubError, PayloadTooLarge

MAX_LINES = 5_000
MAX_BYTES = 16 * 1024 * 1024
GROUP = 500
"""Lines in one transaction."""
MEDIA_TYPE = "application/x-ndjson"


async def lines(request: Request) -> list[bytes]:
    """The body's lines. Raises `PayloadTooLarge` before more than 16 MiB are in memory."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_BYTES:
        raise PayloadTooLarge
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BYTES:
            raise PayloadTooLarge
        parts.append(part)
    found = b"".join(parts).split(b"\n")
    if found and not found[-1].strip():
        found.pop()
    if len(found) > MAX_LINES:
        raise PayloadTooLarge(f"A batch has at most {MAX_LINES} lines")
    return found


def groups(count: int) -> Iterator[range]:
    """The indexes of the lines, a transaction's worth at a time."""
    return (range(first, min(first + GROUP, count)) for first in range(0, count, GROUP))


def refusal(error: HubError) -> dict[str, Any]:
    """The answer of a line that was refused."""
    answer: dict[str, Any] = {"status": error.status, "problem": problems.document(error)}
    if error.headers.get("location"):
        answer["location"] = error.headers["location"]
    return answer


def response(answers: Sequence[dict[str, Any]]) -> Response:
    """200 with one JSON object per line, each with its index."""
    body = b"".join(strict_json.dumps({"index": i, **answer}) + b"\n" for i, answer in enumerate(answers))
    return Response(body, media_type=MEDIA_TYPE)
