"""Tokens of an identity provider (JWT, RFC 7519), which a caller may come with instead of a key.

Nothing in a token says how it is to be checked: its `kid` picks one of the provider's keys, and the
key says the algorithm. `jku`, `x5u` and `jwk` are never looked at.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jwt
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from datacachalog.server.auditing import note
from datacachalog.server.errors import InvalidProblem, UnauthenticatedProblem
from datacachalog.server.identity.access import Caller
from datacachalog.server.identity.keyset import KeySet
from datacachalog.server.identity.principals import now
from datacachalog.server.ids import new_id
from datacachalog.server.schema import principals, roles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Row

    from datacachalog.server.database import Database
    from datacachalog.server.settings import ServerSettings

_log = logging.getLogger(__name__)

_MAX_CHARACTERS = 8192
_LEEWAY_S = 30
_MAX_ROLES = 200
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")
_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+~-]{0,199}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token is of, and the names of the roles that it gives."""

    issuer: str
    subject: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """How tokens are checked: of exactly this issuer, for exactly this audience."""

    issuer: str
    audience: str
    keys: KeySet
    roles_claim: str | None = None

    def identity(self, text: str) -> Identity:
        """Whom a token is of.

        Raises:
            UnauthenticatedProblem: it is not valid. Of why, only that it has expired is told.
            KeysUnavailableProblem: it cannot be checked now.
        """
        try:
            claims = self._claims(text)
        except jwt.ExpiredSignatureError:
            raise UnauthenticatedProblem("the token has expired") from None
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            _log.info("a token was refused: %s", type(error).__name__)
            raise UnauthenticatedProblem("the token is not valid") from None
        return Identity(self.issuer, claims["sub"], self._roles(claims))

    def _claims(self, text: str) -> Mapping[str, Any]:
        if len(text) > _MAX_CHARACTERS:
            raise jwt.InvalidTokenError
        kid = jwt.get_unverified_header(text).get("kid")
        key = self.keys.key(kid) if isinstance(kid, str) else None
        if key is None:
            raise jwt.InvalidKeyError
        claims: dict[str, Any] = jwt.decode(
            text,
            key,
            algorithms=[key.algorithm_name],
            issuer=self.issuer,
            audience=self.audience,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        if not _SUBJECT.fullmatch(claims["sub"]):
            raise jwt.InvalidTokenError
        return claims

    def _roles(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """The names in the claim: a list of them, or words. `a.b` is also `b` in the claim `a`."""
        name = self.roles_claim or ""
        found: Any = claims.get(name)
        if found is None:
            found = claims
            for part in name.split("."):
                found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, str):
            found = found.split()
        if not isinstance(found, list):
            return ()
        names = [one for one in found if isinstance(one, str) and _ROLE.fullmatch(one)]
        return tuple(names[:_MAX_ROLES])


def tokens_of(settings: ServerSettings) -> Tokens | None:
    """How the settings have tokens checked; None where they want none.

    Raises:
        InvalidProblem: they say less than is needed.
    """
    needed = (settings.jwt_issuer, settings.jwt_audience, settings.jwks_url)
    if not any(needed) and not settings.jwt_roles_claim:
        return None
    issuer, audience, url = needed
    if not (issuer and audience and url):
        told = "tokens need JWT_ISSUER, JWT_AUDIENCE and JWKS_URL, each after DATLAKE_SERVER_"
        raise InvalidProblem(told)
    if len(issuer) > 255:
        raise InvalidProblem("the issuer of tokens has more than 255 characters")
    return Tokens(issuer, audience, KeySet(url), settings.jwt_roles_claim)


def caller_of_token(database: Database, tokens: Tokens, text: str) -> Caller:
    """Who comes with a token: a principal, who is made when it comes first.

    It has the roles that the token names, of those that there are, for this request only.

    Raises:
        UnauthenticatedProblem: the token is not valid, or its principal is disabled.
        KeysUnavailableProblem: it cannot be checked now.
    """
    identity = tokens.identity(text)
    with database.reading() as connection:
        row = _principal(connection, identity)
        role_ids = _role_ids(connection, identity.roles)
    if row is None:
        with database.writing() as connection:
            row = _made(connection, identity)
    if row is None or row.disabled_at is not None:
        raise UnauthenticatedProblem("the token is not valid")
    return Caller(row.id, row.name, None, role_ids=frozenset(role_ids))


def _principal(connection: Connection, identity: Identity) -> Row[Any] | None:
    it = (principals.c.issuer == identity.issuer, principals.c.subject == identity.subject)
    return connection.execute(select(principals).where(*it)).first()


def _role_ids(connection: Connection, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return list(connection.execute(select(roles.c.id).where(roles.c.name.in_(names))).scalars())


def _made(connection: Connection, identity: Identity) -> Row[Any] | None:
    values = {
        "id": new_id("prin"),
        "name": _name(identity),
        "kind": "token",
        "issuer": identity.issuer,
        "subject": identity.subject,
        "created_at": now(),
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(principals).values(values))
    except IntegrityError:  # another request was first
        return _principal(connection, identity)
    made = Caller(str(values["id"]), str(values["name"]), None)
    detail = {"issuer": identity.issuer, "subject": identity.subject}
    note(connection, made, "make-principal", f"principal:{made.name}", None, detail)
    return _principal(connection, identity)


def _name(identity: Identity) -> str:
    """A name that no principal has that is made here: those have no `~`."""
    plain = re.sub(r"[^A-Za-z0-9._@+-]+", "-", identity.subject).lstrip("._@+-")[:100]
    digest = sha256(f"{identity.issuer}\0{identity.subject}".encode()).hexdigest()
    return f"{plain or 'token'}~{digest[:16]}"
