"""Events: broadcast by callers, and streamed to who may know of them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from datacachalog.server.catalog.tables import table_for
from datacachalog.server.describing import refusals
from datacachalog.server.errors import ForbiddenProblem, InvalidProblem, NotFoundProblem
from datacachalog.server.events.following import Wanted
from datacachalog.server.events.log import CUSTOM, PrunedProblem, emit, last_seq, require_kept
from datacachalog.server.events.streaming import EventStream, Feed, TooManyStreamsProblem
from datacachalog.server.identity.access import Privilege
from datacachalog.server.lineage.runs import run_for
from datacachalog.server.values import JOB_NAME, RUN_ID, WORD, EventData, TableName
from datacachalog.server.web import CallerOf, ServicesOf
from datacachalog.server.writing import Answer, write

router = APIRouter(prefix="/events", tags=["events"])

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
_LAST = (1 << 63) - 1
_BLOCK = {  # OpenAPI 3.2 §4.14.4
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}
_EXAMPLE = """id: 7
event: snapshot.committed
data: {"seq": 7, "type": "snapshot.committed", "created_at": "2026-01-31T06:00:00+00:00", \
"table_name": "users", "job_name": "daily_users", "run_id": "0198f2c4-7d1e-7a3b-8c5d-6e7f80912a3b",\
 "data": {"snapshot_id": "snap-0198f2c47d1e7a3b8c5d6e7f80912a3b", "seq": 3}}

"""


class Broadcast(BaseModel):
    """Something that a job wants known."""

    model_config = ConfigDict(extra="forbid")

    event_type: Annotated[str, Field(pattern=WORD, examples=["metrics"])]
    data: EventData = Field(default={}, examples=[{"rows": 3}])
    run_id: Annotated[str, Field(pattern=RUN_ID)] | None = None
    table_name: TableName | None = Field(
        default=None, description="lets all know who may SELECT it; for who may write to it"
    )


class Sent(BaseModel):
    """An event, as it is told."""

    seq: int = Field(description="its number; there are no gaps")
    type: str = Field(examples=["custom.metrics"])


@router.post(
    "/broadcast",
    status_code=201,
    response_model=Sent,
    responses=refusals(NotFoundProblem, ForbiddenProblem),
)
def broadcast(asked: Broadcast, caller: CallerOf, request: Request) -> Response:
    """Tells of something: to the run's principal and administrators, or to a table's readers."""
    kind = CUSTOM + asked.event_type

    def tell(connection: Connection) -> Answer:
        table_id, principal_id = None, caller.principal_id
        if asked.table_name is not None:
            needed = (Privilege.INSERT, Privilege.UPDATE)
            table_id = table_for(connection, caller, asked.table_name, *needed).id
        if asked.run_id is not None:
            principal_id = run_for(connection, caller, asked.run_id).principal_id
        seq = emit(
            connection,
            kind,
            asked.data,
            principal_id=principal_id,
            table_id=table_id,
            run_id=asked.run_id,
        )
        return Answer(201, Sent(seq=seq, type=kind), action="broadcast", object=f"event:{seq}")

    return write(request, caller, asked, tell)


@router.get(
    "/stream",
    status_code=200,
    response_class=EventStream,
    responses={
        200: {
            "description": "Events as they happen, until the client goes",
            "content": {"text/event-stream": {"itemSchema": _BLOCK, "example": _EXAMPLE}},
        },
        **refusals(PrunedProblem, TooManyStreamsProblem),
    },
)
async def stream(
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    event_type: Annotated[list[Word], Query(alias="type", max_length=20)] = [],  # noqa: B006
    table: Annotated[TableName | None, Query()] = None,
    job: Annotated[str | None, Query(pattern=JOB_NAME)] = None,
    since: Annotated[int | None, Query(ge=0, le=_LAST)] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Any:
    """The events that the caller may know of (Server-Sent Events), from now on.

    After one that was seen, where `Last-Event-ID` or `since` has its number; 0 is the beginning.
    """
    wanted = Wanted(tuple(event_type), table, job)
    given = since if not last_event_id else _number(last_event_id)

    def begin() -> int:
        with services.database.reading() as connection:
            if given is None:
                return last_seq(connection)
            require_kept(connection, given)
            return given

    after = await run_in_threadpool(begin)
    feed: Feed = request.app.state.feed
    return EventStream(feed, request, caller.principal_id, wanted, after)


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > _LAST:
        raise InvalidProblem("Last-Event-ID is the id of an event, a number")
    return int(text)
