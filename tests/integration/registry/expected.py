"""What each caller is answered by each route: a route that is not here fails the tests.

A line is the statuses for a stranger, who is granted nothing; for a neighbour, who may do all but
MANAGE to another table; for a reader, who may SELECT this one; for a writer, who may INSERT and
UPDATE everything; and for the administrator. Then what fills the path, and what is sent; and the
status for a viewer, who may SELECT everything, where that is another than the reader's.

The administrator's turn is in this order. What follows a `#` tells the lines of one route apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """The answers of one route; `at`, and what begins with `$` in `body`, are values of a world."""

    stranger: int
    neighbour: int
    reader: int
    writer: int
    admin: int
    at: tuple[str, ...] = ()
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    viewer: int = 0

    def status(self, caller: str) -> int:
        """What a caller is answered; the viewer as the reader, unless it is said."""
        found: int = getattr(self, caller)
        return found or self.reader


ANYBODY = (200, 200, 200, 200, 200)
READERS = (403, 403, 200, 403, 200)
WRITERS = (403, 403, 403, 200, 200)
ADMINISTRATORS = (403, 403, 403, 403, 200)
MAKERS = (403, 403, 403, 403, 201)  # administrators, too
OWNERS = (404, 404, 404, 404, 200)  # it is the administrator's, and nobody else knows of it

TABLE, RUN, OBJECT = ("table",), ("job_name", "run"), ("bucket", "object")
_TABLE, _RUN = "/api/v1/tables/{}", "/api/v1/jobs/{}/runs"
_OBJECT, _MEMBERS = "/api/v1/datasets/{}/{}", "/api/v1/roles/{}/members"
REGISTER = {"table_name": "$table", "uri": "$uri", "format": "parquet"}
GRANT = {"privilege": "SELECT", "on": "$thing", "to": "$person"}
POLICY, STALE = {"schema_policy": "strict"}, {"If-Match": '"old"'}

LINES = {
    "GET /api/v1/tables": Line(*ANYBODY),
    "GET /api/v1/tables#of a name": Line(*ANYBODY, query="q=secret"),
    "GET /api/v1/events/stream": Line(*ANYBODY, query="since=0"),
    "GET /api/v1/events/stream#of a table": Line(*ANYBODY, query="since=0&table={table}"),
    f"GET {_TABLE}": Line(*READERS, TABLE),
    f"GET {_TABLE}/snapshots": Line(*READERS, TABLE),
    f"GET {_TABLE}/snapshots/latest": Line(*READERS, TABLE),
    f"GET {_TABLE}/snapshots/latest#of a tag": Line(*READERS, TABLE, query="tag=secret-tag"),
    f"GET {_TABLE}/snapshots/{{}}": Line(*READERS, ("table", "snapshot")),
    f"GET {_TABLE}/snapshots/{{}}#by way of another table": Line(
        403, 404, 403, 403, 404, ("decoy", "snapshot"), viewer=404
    ),
    f"GET {_TABLE}/tags": Line(*READERS, TABLE),
    f"GET {_TABLE}/lineage": Line(*READERS, TABLE),
    f"PATCH {_TABLE}": Line(*ADMINISTRATORS, TABLE, POLICY, {"If-Match": "*"}),
    f"PATCH {_TABLE}#of what is not known": Line(403, 403, 403, 403, 412, TABLE, POLICY, STALE),
    f"PUT {_TABLE}/tags/{{}}": Line(*WRITERS, ("table", "tag"), {"snapshot_id": "$snapshot"}),
    f"POST {_TABLE}/rollback": Line(*WRITERS, TABLE, {"snapshot_id": "$snapshot"}),
    "POST /api/v1/jobs/register-snapshot": Line(403, 403, 403, 202, 202, body=REGISTER),
    "POST /api/v1/jobs/register-snapshot#of another's run": Line(
        403, 403, 403, 404, 202, body=REGISTER | {"run_id": "$run"}
    ),
    "GET /api/v1/jobs/{}": Line(*OWNERS, ("job",)),
    "POST /api/v1/jobs/{}/cancel": Line(*OWNERS, ("waiting",)),
    f"GET {_RUN}": Line(*ANYBODY, ("job_name",)),
    f"POST {_RUN}": Line(201, 201, 201, 201, 201, ("job_name",), {}),
    f"POST {_RUN}#that read it": Line(
        403, 403, 201, 403, 201, ("job_name",), {"inputs": [{"table_name": "$table"}]}
    ),
    f"POST {_RUN}#of another's": Line(
        404, 404, 404, 404, 201, ("job_name",), {"parent_run_id": "$run"}
    ),
    "GET /api/v1/runs/{}": Line(*OWNERS, ("run",)),
    f"POST {_RUN}/{{}}/heartbeat": Line(*OWNERS, RUN),
    f"PUT {_RUN}/{{}}/complete": Line(*OWNERS, RUN, {"status": "success"}),
    "POST /api/v1/events/broadcast": Line(201, 201, 201, 201, 201, body={"event_type": "news"}),
    "POST /api/v1/events/broadcast#of a table": Line(
        403, 403, 403, 201, 201, body={"event_type": "news", "table_name": "$table"}
    ),
    "POST /api/v1/events/broadcast#of a run": Line(
        404, 404, 404, 404, 201, body={"event_type": "news", "run_id": "$run"}
    ),
    f"PUT {_OBJECT}": Line(*WRITERS, OBJECT, {"some": "bytes"}),
    f"HEAD {_OBJECT}": Line(*ADMINISTRATORS, OBJECT, viewer=200),
    f"GET {_OBJECT}": Line(*ADMINISTRATORS, OBJECT, viewer=200),
    "GET /api/v1/whoami": Line(*ANYBODY),
    "GET /api/v1/locations": Line(*ANYBODY),
    "POST /api/v1/locations": Line(*MAKERS, body={"uri": "s3://another-bucket/"}),
    "DELETE /api/v1/locations/{}": Line(*ADMINISTRATORS, ("location",)),
    "GET /api/v1/audit": Line(*ADMINISTRATORS),
    "GET /metrics": Line(*ADMINISTRATORS, viewer=200),
    "GET /api/v1/grants": Line(*ANYBODY),
    "GET /api/v1/grants#on a table": Line(*ANYBODY, query="on={thing}"),
    "GET /api/v1/grants#to somebody": Line(*ANYBODY, query="to={person}"),
    "POST /api/v1/grants": Line(403, 403, 403, 403, 201, body=GRANT | {"privilege": "UPDATE"}),
    "DELETE /api/v1/grants/{}": Line(*ADMINISTRATORS, ("grant",)),
    "GET /api/v1/api-keys": Line(*ANYBODY),
    "GET /api/v1/api-keys#of somebody": Line(*ANYBODY, query="principal={person}"),
    "POST /api/v1/api-keys": Line(201, 201, 201, 201, 201, body={}),
    "POST /api/v1/api-keys#of somebody": Line(*MAKERS, body={"principal": "$person"}),
    "DELETE /api/v1/api-keys/{}": Line(*ADMINISTRATORS, ("a_key",)),
    "GET /api/v1/roles": Line(*ADMINISTRATORS),
    "POST /api/v1/roles": Line(*MAKERS, body={"name": "more"}),
    f"GET {_MEMBERS}": Line(*ADMINISTRATORS, ("role",)),
    f"POST {_MEMBERS}": Line(*ADMINISTRATORS, ("role",), {"member": "$person"}),
    f"DELETE {_MEMBERS}/{{}}": Line(*ADMINISTRATORS, ("role", "person")),
    "DELETE /api/v1/roles/{}": Line(*ADMINISTRATORS, ("role",)),
    "GET /api/v1/principals": Line(*ADMINISTRATORS),
    "POST /api/v1/principals": Line(*MAKERS, body={"name": "more"}),
    "POST /api/v1/principals/{}/disable": Line(*ADMINISTRATORS, ("person",)),
    "POST /api/v1/principals/{}/enable": Line(*ADMINISTRATORS, ("person",)),
    "DELETE /api/v1/principals/{}": Line(*ADMINISTRATORS, ("person",)),
    f"DELETE {_TABLE}/tags/{{}}": Line(*WRITERS, ("table", "tag")),
    f"DELETE {_TABLE}": Line(*ADMINISTRATORS, TABLE),
    f"POST {_TABLE}/undrop": Line(*ADMINISTRATORS, TABLE),
}

UNDESCRIBED = {"GET /metrics"}
"""What is answered to some, and is not in the document."""

OPEN = {"/", "/healthz", "/readyz", "/docs", "/swagger", "/openapi.json"}
"""What is answered to everybody, and is not in the document."""
