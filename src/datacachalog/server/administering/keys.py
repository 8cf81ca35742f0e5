"""API keys: made, listed and revoked, each by its owner or by an administrator."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from sqlalchemy import select, update

from datacachalog.server.administering.administrators import keeping_an_administrator
from datacachalog.server.administering.naming import Asked, KnownName, Line, Time
from datacachalog.server.administering.principals import known_principal
from datacachalog.server.errors import ForbiddenProblem, InvalidProblem, NotFoundProblem
from datacachalog.server.identity.access import Caller, Privilege, is_administrator
from datacachalog.server.identity.principals import create_key, now
from datacachalog.server.paging import Page, page_of
from datacachalog.server.schema import api_keys, principals
from datacachalog.server.writing import Answer

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row


class NewKey(Asked):
    """A key that is to be."""

    principal: KnownName | None = Field(default=None, description="Whose; the caller's own.")
    name: Line = Field(default="", description="What it is for.")
    privileges: list[Privilege] | None = Field(
        default=None,
        min_length=1,
        max_length=4,
        description="What it allows at most; all that its principal may, unless given.",
    )
    expires_at: Time | None = None


class Key(BaseModel):
    """What is known of a key; its secret is not."""

    id: str = Field(examples=["q3zV0bNf8KxT"], description="The first part of its text.")
    principal: str = Field(examples=["etl"])
    name: str
    privileges: list[Privilege] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class MadeKey(Key):
    """A key that was made just now."""

    key: str | None = Field(
        description="Its text, which is shown once: null where the request is repeated."
    )


def list_keys(
    connection: Connection, by: Caller | None, page: Page | None = None, owner: str | None = None
) -> list[Key]:
    """The caller's keys, or an administrator's choice of all, by their ids."""
    query = _keys()
    if by is not None and not is_administrator(connection, by):
        query = query.where(api_keys.c.principal_id == by.principal_id)
    if owner is not None:
        query = query.where(principals.c.name == owner)
    return [_key(row) for row in page_of(connection, query, api_keys.c.id, page)]


def make_key(connection: Connection, by: Caller | None, asked: NewKey) -> Answer:
    """Makes a key.

    Raises:
        ForbiddenProblem: it is for another principal, or allows more than the caller's own.
        NotFoundProblem: there is no such principal.
    """
    if not is_administrator(connection, by):
        _refuse_more(by, asked)
    owner = asked.principal or (None if by is None else by.name)
    if owner is None:
        raise InvalidProblem("say whose key it is to be")
    owner_id = known_principal(connection, owner).id
    text = create_key(
        connection,
        owner_id,
        asked.name,
        privileges=asked.privileges,
        expires_at=asked.expires_at,
    )
    made = _found(connection, text.split("_")[1])
    detail = {"principal": owner, "privileges": asked.privileges}
    return Answer(
        201,
        MadeKey(**_key(made).model_dump(), key=text),
        action="make-key",
        object=f"key:{made.id}",
        detail=detail,
        again=MadeKey(**_key(made).model_dump(), key=None),
    )


def revoke_key(connection: Connection, by: Caller | None, key_id: str) -> Answer:
    """Has a key be valid no more, from now on; again changes nothing.

    Raises:
        ForbiddenProblem: it is another's, or allows more than the caller's own.
        NotFoundProblem: there is no such key.
        ConflictProblem: it is the last administrator's.
    """
    row = connection.execute(_keys().where(api_keys.c.id == key_id)).first()
    if not is_administrator(connection, by):
        is_theirs = by is not None and row is not None and row.principal_id == by.principal_id
        if by is None or row is None or not is_theirs or not _is_within(by, row.privileges):
            raise ForbiddenProblem(f"revoking the key {key_id!r} is not allowed to the caller")
    if row is None:
        raise NotFoundProblem(f"there is no key {key_id!r}")
    with keeping_an_administrator(connection):
        is_it = (api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        connection.execute(update(api_keys).where(*is_it).values(revoked_at=now()))
    detail = {"principal": row.principal}
    body = _key(_found(connection, key_id))
    return Answer(200, body, action="revoke-key", object=f"key:{key_id}", detail=detail)


def _refuse_more(by: Caller | None, asked: NewKey) -> None:
    """Refuses a key that would outdo the caller, who is no administrator."""
    assert by is not None  # noqa: S101 - the command line administers
    if asked.principal not in {None, by.name}:
        raise ForbiddenProblem("a key for another principal is for administrators to make")
    if by.key_id is None:
        raise ForbiddenProblem("a token makes no keys: they would outlive what it stands for")
    if not _is_within(by, asked.privileges):
        raise ForbiddenProblem("a key allows no more than the one that it is made with")
    is_longer = (
        asked.expires_at is None or by.expires_at is None or asked.expires_at > by.expires_at
    )
    if by.expires_at is not None and is_longer:
        raise ForbiddenProblem("a key lives no longer than the one that it is made with")


def _is_within(by: Caller, privileges: Collection[str] | None) -> bool:
    """Whether a key with these privileges allows no more than the caller's."""
    if by.at_most is None or not by.is_limited:
        return True
    return privileges is not None and by.at_most.issuperset(map(Privilege, privileges))


def _keys() -> Any:
    return select(api_keys, principals.c.name.label("principal")).join(principals)


def _found(connection: Connection, key_id: str) -> Row[Any]:
    row: Row[Any] = connection.execute(_keys().where(api_keys.c.id == key_id)).one()
    return row


def _key(row: Row[Any]) -> Key:
    return Key.model_validate(row, from_attributes=True)
