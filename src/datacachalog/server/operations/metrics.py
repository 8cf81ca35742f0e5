"""What the server counts, for Prometheus. No label is ever what a caller chose freely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from datacachalog.server.schema import tasks
from datacachalog.server.work.tasks import waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datacachalog.server.database import Database

METRICS_TYPE = CONTENT_TYPE_LATEST
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """The counters of one process, and the tasks as its database has them."""

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self._requests = Counter(
            "datlake_requests", "Requests that were answered.", labels, registry=self._registry
        )
        self._seconds = Histogram(
            "datlake_request_seconds",
            "How long requests took, to the last byte of the answer.",
            labels[:2],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._up = self._bytes_counter("datlake_upload_bytes", "Bytes of published uploads.")
        self._down = self._bytes_counter("datlake_download_bytes", "Bytes of objects sent.")
        self._failures = Counter(
            "datlake_database_errors",
            "Requests that the database failed.",
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(_Tasks(database))

    def _bytes_counter(self, name: str, told: str) -> Counter:
        return Counter(name, told, registry=self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts a request; `route` is the template of its path."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def uploaded(self, size_bytes: int) -> None:
        """Counts an upload."""
        self._up.inc(size_bytes)

    def downloading(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The same blocks, counted as they go."""
        for block in blocks:
            self._down.inc(len(block))
            yield block

    def database_failed(self) -> None:
        """Counts a request that the database failed."""
        self._failures.inc()

    def text(self) -> bytes:
        """All of it, in Prometheus' own form."""
        return generate_latest(self._registry)


class _Tasks(Collector):
    """Tasks by state; asked for when it is scraped, so that all replicas say the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []  # or the registry would ask the database at once

    def collect(self) -> Iterable[GaugeMetricFamily]:
        is_up = GaugeMetricFamily("datlake_database_up", "Whether the database answers.")
        counts = GaugeMetricFamily(
            "datlake_tasks", "Tasks, by kind and state.", labels=["kind", "status"]
        )
        due = GaugeMetricFamily("datlake_queue_depth", "Tasks that are due and wait for a worker.")
        oldest = GaugeMetricFamily(
            "datlake_queue_oldest_seconds", "How long the oldest of them has waited."
        )
        try:
            with self._database.reading() as connection:
                by_state = connection.execute(
                    select(tasks.c.kind, tasks.c.status, func.count()).group_by(
                        tasks.c.kind, tasks.c.status
                    )
                ).all()
                depth, longest = waiting(connection)
        except SQLAlchemyError:  # said by `datlake_database_up`; the other counters still count
            is_up.add_metric([], 0)
            return [is_up]
        for kind, status, count in by_state:
            counts.add_metric([kind, status], count)
        is_up.add_metric([], 1)
        due.add_metric([], depth)
        oldest.add_metric([], longest.total_seconds())
        return [is_up, counts, due, oldest]
