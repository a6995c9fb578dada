"""What clients asked and what they were told, one JSON object a line.

```
invoke    sent
ok        2xx, read to its end: durable
fail      refused: this attempt had no effect
unknown   cut, timed out, 5xx: it may have happened, the same key will tell
```
"""

import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp

KEY = "Idempotency-Key"


class History:
    """Written by the HTTP client itself, whoever uses it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._numbers = itertools.count()
        self._open: dict[int, dict[str, Any]] = {}
        self.codes: set[str] = set()
        """Every dossier that the hub acknowledged."""
        self.statuses: Counter[int] = Counter()
        """How often each status was answered."""
        self._of_key: dict[str, set[str]] = defaultdict(set)

    def trace(self) -> aiohttp.TraceConfig:
        """To be given to the client's session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._sent)
        trace.on_request_end.append(self._answered)
        trace.on_response_chunk_received.append(self._read)
        trace.on_request_exception.append(self._broken)
        return trace

    def close(self) -> None:
        """What has no answer by now is unknown."""
        for number in list(self._open):
            self._say(number, "unknown", fault="no answer")
        self._file.close()

    def contradictions(self) -> list[str]:
        """Keys under which the hub acknowledged two different dossiers."""
        return [f"{key}: {sorted(codes)}" for key, codes in self._of_key.items() if len(codes) > 1]

    async def _sent(self, _session: Any, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        context.number = next(self._numbers)
        call = {"method": params.method, "path": params.url.path, "key": params.headers.get(KEY)}
        self._write({"call": context.number, "is": "invoke", **call})
        self._open[context.number] = call

    async def _answered(self, _session: Any, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        context.status = params.response.status
        self.statuses[context.status] += 1

    async def _read(
        self, _session: Any, context: SimpleNamespace, params: aiohttp.TraceResponseChunkReceivedParams
    ) -> None:
        """The whole body is there."""
        call = self._open.get(context.number)
        if call is None:
            return
        if context.status < 300:
            self._acknowledged(call, params.chunk)
        outcome = "ok" if context.status < 300 else "unknown" if context.status >= 500 else "fail"
        self._say(context.number, outcome, status=context.status)

    async def _broken(
        self, _session: Any, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        self._say(context.number, "unknown", fault=type(params.exception).__name__)

    def _acknowledged(self, call: dict[str, Any], body: bytes) -> None:
        if call["method"] != "POST" or call["path"] not in ("/v1/dossiers", "/v1/dossiers/batch"):
            return
        codes = {answer["code"] for answer in map(json.loads, body.splitlines()) if answer.get("code")}
        self.codes |= codes
        if call["key"]:
            self._of_key[call["key"]] |= codes

    def _say(self, number: int, outcome: str, **more: Any) -> None:
        if self._open.pop(number, None) is not None:
            self._write({"call": number, "is": outcome, **more})

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
