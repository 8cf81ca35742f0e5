"""What tests of runs have in common: who asks, and what the registry knows afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datlake_sdk import DatlakeClient

if TYPE_CHECKING:
    from tests.servers.datlake import DatlakeServer

QUICKLY = "max=3,base_ms=20,jitter=false"
CSV = b"id,name\n1,Ann\n2,Bob\n"


def client_of(server: DatlakeServer, base_url: str | None = None, **settings: Any) -> DatlakeClient:
    """The administrator's client, by way of `base_url` if given."""
    return DatlakeClient(
        base_url or server.base_url, server.admin_key, **{"retry": QUICKLY} | settings
    )


def table_of(server: DatlakeServer, name: str) -> str:
    """The id of the first snapshot of a new table."""
    return server.registered(name, server.object(CSV), "csv")


def run_of(server: DatlakeServer, run_id: str) -> dict[str, Any]:
    """A run as the registry knows it."""
    found: dict[str, Any] = server.ask("GET", f"/runs/{run_id}")
    return found


def runs_of(server: DatlakeServer, job_name: str) -> list[dict[str, Any]]:
    """The runs of a job, the newest first."""
    found: list[dict[str, Any]] = server.ask("GET", f"/jobs/{job_name}/runs")
    return found


def events_of(server: DatlakeServer, job_name: str) -> list[tuple[str, dict[str, Any]]]:
    """Type and data of all events of a job until now."""
    client = client_of(server)
    last = client.publish("last").seq
    found: list[tuple[str, dict[str, Any]]] = []
    for event in client.follow(since=0):
        if event.seq == last:
            return found
        if event.job_name == job_name:
            found.append((event.type, dict(event.data)))
    raise AssertionError("the stream has ended")


def log_of(server: DatlakeServer, uri: str) -> str:
    """The text of an object in the registry's own location."""
    assert uri.startswith(server.objects.as_uri()), uri
    return (server.objects / uri.removeprefix(f"{server.objects.as_uri()}/")).read_text()
