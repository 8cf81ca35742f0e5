"""What administrators see and say: storage locations, and the audit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from datacachalog.server.administering import audit, locations
from datacachalog.server.administering.naming import Id, KnownName, Line, Time
from datacachalog.server.describing import refusals
from datacachalog.server.identity.access import require_administrator
from datacachalog.server.identity.egress import refuse_metadata
from datacachalog.server.paging import PageOf, told
from datacachalog.server.web import CallerOf, ServicesOf
from datacachalog.server.writing import write

_READS = refusals(403)
_WRITES = refusals(403, 404, 409)

router = APIRouter(tags=["administration"])


@router.get("/locations", responses=_READS)
def list_locations(
    caller: CallerOf, services: ServicesOf, request: Request, response: Response, page: PageOf
) -> list[locations.StorageLocation]:
    """The locations that the caller has a privilege on."""
    with services.database.reading() as connection:
        found = locations.list_locations(connection, caller, page)
    return told(request, response, page, found, lambda one: one.id)


@router.post(
    "/locations", status_code=201, response_model=locations.StorageLocation, responses=_WRITES
)
def add_location(
    asked: locations.NewLocation, caller: CallerOf, services: ServicesOf, request: Request
) -> Response:
    """Lets tables have objects below a URI of S3; for administrators.

    Credentials are those of the server's environment, and are refused here. A folder of the server
    is made a location by its command line only.
    """
    with services.database.reading() as connection:  # before a name is looked up for anybody
        require_administrator(connection, caller, locations.WHAT)
    options = asked.options()
    if asked.endpoint_url is not None and not services.link_local_endpoints:
        refuse_metadata(asked.endpoint_url)
    return write(
        request, caller, asked, lambda it: locations.add_location(it, caller, asked.uri, options)
    )


@router.delete(
    "/locations/{location_id}", response_model=locations.StorageLocation, responses=_WRITES
)
def remove_location(location_id: Id, caller: CallerOf, request: Request) -> Response:
    """Has nothing be read from a location any more; for administrators."""
    return write(
        request, caller, None, lambda it: locations.remove_location(it, caller, location_id)
    )


def _choice(
    principal: Annotated[KnownName | None, Query(description="Who did it.")] = None,
    action: Annotated[Line | None, Query(examples=["register-snapshot"])] = None,
    thing: Annotated[Line | None, Query(alias="object", examples=["table:sales"])] = None,
    since: Time | None = None,
    until: Time | None = None,
) -> audit.Choice:
    return audit.Choice(principal, action, thing, since, until)


@router.get("/audit", responses=_READS)
def list_audit(
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    response: Response,
    page: PageOf,
    choice: Annotated[audit.Choice, Depends(_choice)],
) -> list[audit.AuditLine]:
    """What was done, the latest first; for administrators."""
    with services.database.reading() as connection:
        found = audit.list_audit(connection, caller, page, choice)
    return told(request, response, page, found, lambda one: one.id)
