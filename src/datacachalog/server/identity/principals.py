"""Principals, their API keys, roles and grants: who they are, and how they are made.

A key is `dlk_<12 characters>_<43 characters>`: the first name it, the second are 256 random bits of
which only the SHA-256 is kept. They are no password that could be guessed, so a slow hash would
protect nothing, and would let anybody keep the server busy.
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, insert, or_, select

from datacachalog.server.errors import UnauthenticatedProblem
from datacachalog.server.identity.access import Caller, ObjectKind, Privilege
from datacachalog.server.ids import new_id
from datacachalog.server.schema import api_keys, grants, principals

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import BindParameter, ColumnElement, Connection, Row

_KEY = re.compile(r"dlk_([A-Za-z0-9]{12})_([A-Za-z0-9_-]{43})")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_NO_KEY = sha256(b"").hexdigest()


def now() -> datetime:
    """The time, as the database has it."""
    return datetime.now(UTC)


def create_principal(connection: Connection, name: str, kind: str) -> str:
    """Makes a principal; its id."""
    made = new_id("prin")
    connection.execute(insert(principals).values(id=made, name=name, kind=kind, created_at=now()))
    return made


def create_key(
    connection: Connection,
    principal_id: str,
    name: str,
    *,
    privileges: Collection[Privilege] | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Makes an API key; its text, which is kept nowhere."""
    key_id = "".join(secrets.choice(_LETTERS) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    connection.execute(
        insert(api_keys).values(
            id=key_id,
            principal_id=principal_id,
            name=name,
            secret_sha256=sha256(secret.encode()).hexdigest(),
            privileges=None if privileges is None else sorted(privileges),
            expires_at=expires_at,
            created_at=now(),
        )
    )
    return f"dlk_{key_id}_{secret}"


def create_grant(
    connection: Connection,
    grantee_id: str,
    privilege: Privilege,
    kind: ObjectKind,
    object_id: str = "",
    *,
    to_role: bool = False,
) -> str:
    """Grants a privilege to a principal, or to a role; the grant's id."""
    made = new_id("grant")
    connection.execute(
        insert(grants).values(
            id=made,
            grantee_kind="role" if to_role else "principal",
            grantee_id=grantee_id,
            privilege=privilege,
            object_kind=kind,
            object_id=object_id,
            created_at=now(),
        )
    )
    return made


def first_admin(connection: Connection) -> str | None:
    """Makes an administrator, where there is none yet; the text of its key."""
    of_all = (grants.c.privilege == Privilege.MANAGE, grants.c.object_kind == ObjectKind.CATALOG)
    if connection.execute(select(grants.c.id).where(*of_all).limit(1)).first() is not None:
        return None
    known = select(principals.c.id).where(principals.c.name == "admin")
    admin = connection.execute(known).scalar() or create_principal(connection, "admin", "user")
    create_grant(connection, admin, Privilege.MANAGE, ObjectKind.CATALOG)
    return create_key(connection, admin, "first")


def caller_of_key(connection: Connection, text: str) -> Caller:
    """Whose key it is.

    Raises:
        UnauthenticatedProblem: it is nobody's, or not valid any more. Which is not told.
    """
    match = _KEY.fullmatch(text)
    key_id, secret = match.groups() if match else ("", "")
    row = _valid(connection, key_id)
    known = _NO_KEY if row is None else row.secret_sha256
    is_right = hmac.compare_digest(known, sha256(secret.encode()).hexdigest())
    if row is None or not is_right:
        raise UnauthenticatedProblem("the API key is not valid")
    return _caller(row)


def caller_now(connection: Connection, key_id: str) -> Caller | None:
    """Who has a key, and what it may at most; None where it is not valid, or not any more."""
    row = _valid(connection, key_id)
    return None if row is None else _caller(row)


def _valid(connection: Connection, key_id: str) -> Row[Any] | None:
    return connection.execute(_VALID, {"key_id": key_id, "now": now()}).first()


def _caller(row: Row[Any]) -> Caller:
    at_most = None if row.privileges is None else frozenset(map(Privilege, row.privileges))
    return Caller(row.principal_id, row.principal, row.id, at_most, row.expires_at)


def is_valid_key(at: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Whether the key of the row at hand, which is joined to its principal, is valid at a time."""
    return and_(
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > at),
        principals.c.disabled_at.is_(None),
    )


_VALID = (  # built once, as every request asks it
    select(api_keys, principals.c.name.label("principal"))
    .join(principals)
    .where(api_keys.c.id == bindparam("key_id"), is_valid_key(bindparam("now")))
)


def caller_again(
    connection: Connection, principal_id: str, key_id: str | None, role_ids: Collection[str]
) -> Caller | None:
    """Who asked for something earlier, as it may act now; None where it may not any more.

    Whoever came with a token is held to the roles that the token gave it: nobody can be asked for
    another one. What these roles are granted is looked up anew.
    """
    if key_id is not None:
        return caller_now(connection, key_id)
    row = connection.execute(
        select(principals).where(
            principals.c.id == principal_id, principals.c.disabled_at.is_(None)
        )
    ).first()
    if row is None:
        return None
    return Caller(row.id, row.name, None, role_ids=frozenset(role_ids))
