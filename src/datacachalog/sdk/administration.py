"""Who may do what, where objects may be, and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacachalog.adapters.api.reading import text_of
from datacachalog.adapters.api.transport import Ask, segment
from datacachalog.sdk.base import Base, without_nothing
from datacachalog.sdk.records import (
    AuditLine,
    Grant,
    Key,
    Principal,
    Role,
    StorageLocation,
    WhoAmI,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from typing import Literal


class Administration(Base):
    """What `DatlakeClient` does for who runs the registry.

    Every method raises `ApiError`: `ForbiddenError` where the caller may not, `NotFoundError`
    where there is no such thing, `ApiConflictError` where it is there already.
    """

    def whoami(self) -> WhoAmI:
        """Who the caller is, and what it may do everywhere."""
        return self._one(WhoAmI, Ask("GET", "/whoami"))

    def list_keys(self, *, principal: str | None = None) -> Iterator[Key]:
        """The caller's own keys, or, for an administrator, those of anybody."""
        return self._all(Key, "/api-keys", principal=principal)

    def create_key(
        self,
        name: str = "",
        *,
        principal: str | None = None,
        privileges: Iterable[str] | None = None,
        expires_at: datetime | None = None,
    ) -> Key:
        """Makes a key, the caller's own unless `principal` is given; its text is told once.

        Where the answer that told it was lost, that key is revoked, and another one made.

        It allows at most the `privileges`, all of its principal unless given.

        Raises:
            ValueError: `expires_at` is not aware.
        """
        if expires_at is not None and expires_at.tzinfo is None:
            raise ValueError("expires_at must be aware: give it a timezone")
        body = without_nothing(
            name=name or None,
            principal=principal,
            privileges=None if privileges is None else list(privileges),
            expires_at=None if expires_at is None else expires_at.isoformat(),
        )
        while (made := self._one(Key, Ask("POST", "/api-keys", json=body))).key is None:
            self.revoke_key(made.id)
        return made

    def revoke_key(self, key_id: str) -> Key:
        """Has a key be valid no more."""
        return self._one(Key, Ask("DELETE", f"/api-keys/{segment(key_id)}"))

    def list_principals(self) -> Iterator[Principal]:
        """All principals, by name."""
        return self._all(Principal, "/principals")

    def create_principal(
        self, name: str, kind: Literal["user", "service"] = "service"
    ) -> Principal:
        """Makes a principal, who may nothing yet."""
        return self._one(Principal, Ask("POST", "/principals", json={"name": name, "kind": kind}))

    def disable_principal(self, name: str) -> Principal:
        """Has nobody call as a principal any more."""
        return self._one(Principal, Ask("POST", f"/principals/{segment(name)}/disable"))

    def enable_principal(self, name: str) -> Principal:
        """Has a principal that was disabled call again."""
        return self._one(Principal, Ask("POST", f"/principals/{segment(name)}/enable"))

    def delete_principal(self, name: str) -> Principal:
        """Erases a principal; one that has done something is disabled."""
        return self._one(Principal, Ask("DELETE", f"/principals/{segment(name)}"))

    def list_roles(self) -> Iterator[Role]:
        """All roles, by name."""
        return self._all(Role, "/roles")

    def create_role(self, name: str) -> Role:
        """Makes a role, which nobody has."""
        return self._one(Role, Ask("POST", "/roles", json={"name": name}))

    def delete_role(self, name: str) -> Role:
        """Erases a role with all that it was granted."""
        return self._one(Role, Ask("DELETE", f"/roles/{segment(name)}"))

    def list_members(self, role: str) -> list[str]:
        """Who has a role: principals, and `role:NAME`."""
        lines = self.transport.pages(Ask("GET", f"/roles/{segment(role)}/members"))
        return [text_of(one, "member") for one in lines]

    def add_member(self, role: str, member: str) -> None:
        """Gives a role to a principal, or to `role:NAME`."""
        path = f"/roles/{segment(role)}/members"
        self.transport.ask(Ask("POST", path, json={"member": member}))

    def remove_member(self, role: str, member: str) -> None:
        """Takes a role from a principal, or from `role:NAME`."""
        path = f"/roles/{segment(role)}/members/{segment(member)}"
        self.transport.ask(Ask("DELETE", path))

    def list_grants(self, *, to: str | None = None, on: str | None = None) -> Iterator[Grant]:
        """The grants to the caller and its roles, and those on what it manages."""
        return self._all(Grant, "/grants", to=to, on=on)

    def grant(
        self, privilege: Literal["SELECT", "INSERT", "UPDATE", "MANAGE"], on: str, to: str
    ) -> Grant:
        """Grants a privilege on what the caller manages.

        `on` is `catalog`, `namespace:NAME`, `table:NAME` or `location:URI`; `to` a principal, or
        `role:NAME`. What was granted already stays as it is.
        """
        body = {"privilege": privilege, "on": on, "to": to}
        return self._one(Grant, Ask("POST", "/grants", json=body))

    def revoke_grant(self, grant_id: str) -> Grant:
        """Takes back a grant."""
        return self._one(Grant, Ask("DELETE", f"/grants/{segment(grant_id)}"))

    def list_locations(self) -> Iterator[StorageLocation]:
        """The storage locations that the caller has a privilege on."""
        return self._all(StorageLocation, "/locations")

    def create_location(
        self,
        uri: str,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        anonymous: bool | None = None,
        allow_http: bool | None = None,
        addressing_style: Literal["path", "virtual"] | None = None,
    ) -> StorageLocation:
        """Lets tables have objects below `s3://bucket/prefix/`, reached as the options say.

        Credentials are those of the server's environment; `profile` is one of its AWS files.
        """
        body = without_nothing(
            uri=uri,
            endpoint_url=endpoint_url,
            region=region,
            profile=profile,
            anonymous=anonymous,
            allow_http=allow_http,
            addressing_style=addressing_style,
        )
        return self._one(StorageLocation, Ask("POST", "/locations", json=body))

    def delete_location(self, location_id: str) -> StorageLocation:
        """Has nothing be read from a location any more."""
        return self._one(StorageLocation, Ask("DELETE", f"/locations/{segment(location_id)}"))

    def audit(
        self,
        *,
        principal: str | None = None,
        action: str | None = None,
        object: str | None = None,  # noqa: A002 - the API's word
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[AuditLine]:
        """What was done, the latest first; times are aware."""
        times = {"since": since, "until": until}
        told = {name: None if one is None else one.isoformat() for name, one in times.items()}
        return self._all(
            AuditLine, "/audit", principal=principal, action=action, object=object, **told
        )
