"""Traces for OpenTelemetry, where its standard variables ask for them.

FastAPI makes the spans of requests itself, and takes up a caller's `traceparent`; the spans of
tasks are made here. Without a variable, or without the extra `otel`, nothing is made or sent.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import propagate, trace

from datacachalog.domain.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from datacachalog.server.work.tasks import Task

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def use_traces(environ: Mapping[str, str]) -> Callable[[], None]:
    """Sends traces where the environment says; what is to be called at the end, to send the rest.

    Raises:
        SettingError: they are asked for, and what sends them is not installed or not known.
    """
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    is_asked = exporter not in {"", "none"} or any(environ.get(name) for name in _ENDPOINTS)
    if not is_asked or exporter == "none" or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return lambda: None
    if exporter not in {"", "otlp"}:
        raise SettingError("OTEL_TRACES_EXPORTER", f"must be otlp or none, not {exporter!r}")
    try:
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        batches = importlib.import_module("opentelemetry.sdk.trace.export")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ModuleNotFoundError as error:
        told = f"asks for traces, which need {error.name}: pip install 'datacachalog[server,otel]'"
        raise SettingError("OTEL_EXPORTER_OTLP_ENDPOINT", told) from error
    own = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": "datlake"}
    provider = sdk.TracerProvider(resource=resources.Resource.create(own))
    provider.add_span_processor(batches.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    shutdown: Callable[[], None] = provider.shutdown
    return shutdown


def traceparent() -> str | None:
    """What makes later work a part of the trace of now; None where there is none."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def task_span(task: Task) -> Iterator[None]:
    """The span of a task, in the trace of the request that asked for it."""
    carrier = {} if task.traceparent is None else {"traceparent": task.traceparent}
    told: dict[str, str | int] = {"datlake.task.id": task.id, "datlake.attempts": task.attempts}
    if task.request_id is not None:
        told["datlake.request_id"] = task.request_id
    with trace.get_tracer("datacachalog").start_as_current_span(
        f"task {task.kind}",
        context=propagate.extract(carrier),
        kind=trace.SpanKind.CONSUMER,
        attributes=told,
    ):
        yield
