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
from typing import TYPE_CHECKING

from sqlalchemy import insert, or_, select

from datacachalog.server.access import Caller, ObjectKind, Privilege
from datacachalog.server.errors import UnauthenticatedProblem
from datacachalog.server.ids import new_id
from datacachalog.server.schema import api_keys, grants, principals

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

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
    principal_id: str,
    privilege: Privilege,
    kind: ObjectKind,
    object_id: str = "",
) -> str:
    """Grants a privilege to a principal; the grant's id."""
    made = new_id("grant")
    connection.execute(
        insert(grants).values(
            id=made,
            grantee_kind="principal",
            grantee_id=principal_id,
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
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).first()
    known = _NO_KEY if row is None else row.secret_sha256
    is_right = hmac.compare_digest(known, sha256(secret.encode()).hexdigest())
    caller = caller_now(connection, key_id)
    if caller is None or not is_right:
        raise UnauthenticatedProblem("the API key is not valid")
    return caller


def caller_now(connection: Connection, key_id: str) -> Caller | None:
    """Who has a key, and what it may at most; None where it is not valid, or not any more."""
    row = connection.execute(
        select(api_keys, principals.c.name.label("principal"))
        .join(principals)
        .where(
            api_keys.c.id == key_id,
            api_keys.c.revoked_at.is_(None),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now()),
        )
    ).first()
    if row is None:
        return None
    at_most = None if row.privileges is None else frozenset(map(Privilege, row.privileges))
    return Caller(row.principal_id, row.principal, row.id, at_most)
