"""Who may do what: keys, principals, roles and grants."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from datacachalog.server.administering import grants, keys, principals, roles
from datacachalog.server.administering.naming import Grantee, Id, KnownName, Thing
from datacachalog.server.describing import refusals
from datacachalog.server.identity.access import Privilege, has_on_catalog, is_true, roles_of
from datacachalog.server.paging import PageOf, told
from datacachalog.server.web import CallerOf, ServicesOf
from datacachalog.server.writing import write

_READS = refusals(403)
_WRITES = refusals(403, 404, 409)

router = APIRouter(tags=["access"])


class WhoAmI(BaseModel):
    """Who calls, and what it may do everywhere."""

    principal: str = Field(examples=["etl"])
    key_id: str | None = Field(description="Null for who comes with a token.")
    key_privileges: list[Privilege] | None = Field(
        description="What the key allows at most; null where it limits nothing."
    )
    key_expires_at: datetime | None
    roles: list[str] = Field(description="All of them, also those by way of other roles.")
    privileges: list[Privilege] = Field(description="On the whole catalog.")


@router.get("/whoami")
def who_am_i(caller: CallerOf, services: ServicesOf) -> WhoAmI:
    """Who the caller is. What it was granted on less than the catalog, `/grants` tells."""
    with services.database.reading() as connection:
        return WhoAmI(
            principal=caller.name,
            key_id=caller.key_id,
            key_privileges=None if caller.at_most is None else sorted(caller.at_most),
            key_expires_at=caller.expires_at,
            roles=roles_of(connection, caller),
            privileges=[
                one for one in Privilege if is_true(connection, has_on_catalog(caller, one))
            ],
        )


@router.get("/api-keys", responses=_READS)
def list_keys(
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    response: Response,
    page: PageOf,
    principal: Annotated[KnownName | None, Query(description="Whose.")] = None,
) -> list[keys.Key]:
    """The caller's own keys; an administrator's choice of all."""
    with services.database.reading() as connection:
        found = keys.list_keys(connection, caller, page, principal)
    return told(request, response, page, found, lambda one: one.id)


@router.post("/api-keys", status_code=201, response_model=keys.MadeKey, responses=_WRITES)
def make_key(asked: keys.NewKey, caller: CallerOf, request: Request) -> Response:
    """Makes a key of the caller's own, which allows no more than the one that it calls with.

    An administrator makes any. Its text is in the first answer only, whatever the
    `Idempotency-Key`: it is kept nowhere.
    """
    return write(request, caller, asked, lambda it: keys.make_key(it, caller, asked))


@router.delete("/api-keys/{key_id}", response_model=keys.Key, responses=_WRITES)
def revoke_key(key_id: Id, caller: CallerOf, request: Request) -> Response:
    """Has a key be valid no more: one's own, or for an administrator any."""
    return write(request, caller, None, lambda it: keys.revoke_key(it, caller, key_id))


@router.get("/principals", responses=_READS)
def list_principals(
    caller: CallerOf, services: ServicesOf, request: Request, response: Response, page: PageOf
) -> list[principals.Principal]:
    """All principals, by name; for administrators."""
    with services.database.reading() as connection:
        found = principals.list_principals(connection, caller, page)
    return told(request, response, page, found, lambda one: one.name)


@router.post("/principals", status_code=201, response_model=principals.Principal, responses=_WRITES)
def make_principal(asked: principals.NewPrincipal, caller: CallerOf, request: Request) -> Response:
    """Makes a principal, who may nothing yet; for administrators."""
    return write(request, caller, asked, lambda it: principals.make_principal(it, caller, asked))


@router.post("/principals/{name}/disable", response_model=principals.Principal, responses=_WRITES)
def disable_principal(name: KnownName, caller: CallerOf, request: Request) -> Response:
    """Has nobody call as a principal any more; for administrators."""
    return write(request, caller, None, lambda it: principals.disable_principal(it, caller, name))


@router.post("/principals/{name}/enable", response_model=principals.Principal, responses=_WRITES)
def enable_principal(name: KnownName, caller: CallerOf, request: Request) -> Response:
    """Has a principal that was disabled call again; for administrators."""
    return write(
        request,
        caller,
        None,
        lambda it: principals.disable_principal(it, caller, name, is_disabled=False),
    )


@router.delete("/principals/{name}", response_model=principals.RemovedPrincipal, responses=_WRITES)
def remove_principal(name: KnownName, caller: CallerOf, request: Request) -> Response:
    """Erases a principal; one that has done something is disabled. For administrators."""
    return write(request, caller, None, lambda it: principals.remove_principal(it, caller, name))


@router.get("/roles", responses=_READS)
def list_roles(
    caller: CallerOf, services: ServicesOf, request: Request, response: Response, page: PageOf
) -> list[roles.Role]:
    """All roles, by name; for administrators."""
    with services.database.reading() as connection:
        found = roles.list_roles(connection, caller, page)
    return told(request, response, page, found, lambda one: one.name)


@router.post("/roles", status_code=201, response_model=roles.Role, responses=_WRITES)
def make_role(asked: roles.NewRole, caller: CallerOf, request: Request) -> Response:
    """Makes a role, which nobody has; for administrators."""
    return write(request, caller, asked, lambda it: roles.make_role(it, caller, asked))


@router.delete("/roles/{role}", response_model=roles.Role, responses=_WRITES)
def delete_role(role: KnownName, caller: CallerOf, request: Request) -> Response:
    """Erases a role with all that it was granted; for administrators."""
    return write(request, caller, None, lambda it: roles.delete_role(it, caller, role))


@router.get("/roles/{role}/members", responses={**_READS, **refusals(404)})
def list_members(
    role: KnownName,
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    response: Response,
    page: PageOf,
) -> list[roles.Member]:
    """Who has a role, by name; for administrators."""
    with services.database.reading() as connection:
        found = roles.list_members(connection, caller, role, page)
    return told(request, response, page, found, lambda one: one.member)


@router.post(
    "/roles/{role}/members",
    status_code=201,
    response_model=roles.Member,
    responses={**_WRITES, 200: {"model": roles.Member, "description": "It had it already."}},
)
def add_member(
    role: KnownName, asked: roles.NewMember, caller: CallerOf, request: Request
) -> Response:
    """Gives a role to a principal or to another role; for administrators."""
    member = asked.member
    return write(request, caller, asked, lambda it: roles.add_member(it, caller, role, member))


@router.delete("/roles/{role}/members/{member}", response_model=roles.Member, responses=_WRITES)
def remove_member(role: KnownName, member: Grantee, caller: CallerOf, request: Request) -> Response:
    """Takes a role from a principal or from another role; for administrators."""
    return write(request, caller, None, lambda it: roles.remove_member(it, caller, role, member))


@router.get("/grants", responses=_READS)
def list_grants(
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    response: Response,
    page: PageOf,
    to: Annotated[Grantee | None, Query()] = None,
    on: Annotated[Thing | None, Query()] = None,
) -> list[grants.Grant]:
    """The grants to the caller and its roles, and those on what it manages, the oldest first."""
    with services.database.reading() as connection:
        found = grants.list_grants(connection, caller, page, to=to, on=on)
    return told(request, response, page, found, lambda one: one.id)


@router.post(
    "/grants",
    status_code=201,
    response_model=grants.Grant,
    responses={**_WRITES, 200: {"model": grants.Grant, "description": "It was granted already."}},
)
def make_grant(asked: grants.NewGrant, caller: CallerOf, request: Request) -> Response:
    """Grants a privilege on what the caller manages."""
    return write(request, caller, asked, lambda it: grants.make_grant(it, caller, asked))


@router.delete("/grants/{grant_id}", response_model=grants.Grant, responses=_WRITES)
def revoke_grant(grant_id: Id, caller: CallerOf, request: Request) -> Response:
    """Takes back a grant on what the caller manages."""
    return write(request, caller, None, lambda it: grants.revoke_grant(it, caller, grant_id))
