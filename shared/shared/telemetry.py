"""Logs as JSON lines (structlog), metrics (Prometheus), traces (OpenTelemetry, when an endpoint is set).

No citizen's data in any log line: log ids, codes and counts.
"""

import logging
import sys
from types import SimpleNamespace
from typing import TextIO, cast

import structlog
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import Counter, Gauge, Histogram

log = structlog.get_logger()

GAUGES = SimpleNamespace(
    outbox_waiting=Gauge("hub_outbox_waiting", "Events not yet on Kafka (at most one batch is counted)"),
    breaker_open=Gauge("hub_breaker_open", "1 when the breaker of a remote system is open", ["peer"]),
    reader_stopped=Gauge("hub_reader_stopped", "1 when a reader stopped because of too many bugs", ["topic"]),
)
COUNTERS = SimpleNamespace(
    events_read=Counter("hub_events_read_total", "Events taken in", ["topic"]),
    events_parked=Counter("hub_events_parked_total", "Events parked", ["topic", "owner"]),
    bugs=Counter("hub_bugs_total", "Unexpected exceptions, by place", ["place"]),
    peer_calls=Counter("hub_peer_calls_total", "Calls to remote systems", ["peer", "outcome"]),
    log_lines_lost=Counter("hub_log_lines_lost_total", "Log lines that could not be written"),
    receipts_missing=Counter("hub_receipts_missing_total", "Published events a reader had not seen", ["reader"]),
)
HISTOGRAMS = SimpleNamespace(
    request_seconds=Histogram(
        "hub_request_seconds",
        "Time from request to answer, by route template",
        ["method", "route", "status"],
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    ),
)


class LogOutput:
    """Where log lines go. What it refuses (a full volume) is counted: no work fails because it cannot be told of."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lost = 0

    def write(self, text: str) -> None:
        """One line, at once; before it, how many before it are missing. Never raises."""
        notice = f'{{"event": "log_lines_lost", "level": "warning", "lines": {self._lost}}}\n' if self._lost else ""
        try:
            self._file.write(notice + text)
            self._file.flush()
            self._lost = 0
        except OSError:
            self._lost += 1
            COUNTERS.log_lines_lost.inc()

    def flush(self) -> None:
        """Done with each line."""


def start_logging(level: str = "INFO") -> None:
    """JSON lines on standard output; the standard library's loggers join in at warning level."""
    output = LogOutput(sys.stdout)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", output)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(ensure_ascii=True),
            foreign_pre_chain=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


# Spans of requests only, from FastAPI's own instrumentation: its logs would carry what validation found.
TRACED: TelemetryConfig = {"metrics": False, "logs": False, "operation_spans": False}


def start_tracing(service: str, endpoint: str) -> None:
    """Send spans to an OTLP collector (`…/v1/traces`, protobuf over HTTP); "" leaves tracing off, at no cost."""
    if endpoint:
        provider = TracerProvider(resource=Resource.create({"service.name": service}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        trace.set_tracer_provider(provider)
