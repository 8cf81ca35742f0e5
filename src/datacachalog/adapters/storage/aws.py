"""Which S3 server a URI means, and whose credentials go there.

The rules are those of the AWS SDKs (AWS SDKs and Tools Reference Guide, "Service-specific
endpoints" and "Shared config and credentials files"), read with the standard library: asking boto3
takes 0.2 s, which a warm fetch does not have.
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.domain.storage_options import StorageOptions


@dataclass(frozen=True, slots=True)
class StaticKeys:
    """Credentials that the environment spells out."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None

    def __repr__(self) -> str:
        return f"StaticKeys(…{self.access_key_id[-4:]})"


@dataclass(frozen=True, slots=True)
class Connection:
    """How to talk to one S3 server.

    `endpoint` is None for AWS itself. `keys` is None where there are none to use (`anonymous`) or
    boto3's chain is to find them: profiles, SSO, assumed roles, containers, instances.
    """

    endpoint: str | None
    region: str
    profile: str | None
    anonymous: bool
    keys: StaticKeys | None
    virtual_hosts: bool
    allow_http: bool

    @property
    def is_aws(self) -> bool:
        """Whether this is Amazon's own S3, whose behaviour is documented."""
        host = urlsplit(self.endpoint or "").hostname or ""
        return self.endpoint is None or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def connection(options: StorageOptions, environ: Mapping[str, str]) -> Connection:
    """The connection for a URI with these options of the catalog, in this environment.

    The catalog comes before the environment, and the environment before the profile of
    `~/.aws/config`. Keys in the environment are used unless the catalog names a profile.
    """
    name = options.profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    profile = _Profile.read(environ, name or "default")
    endpoint = _without_credentials(options.endpoint_url or _endpoint(environ, profile))
    is_http = (endpoint or "").lower().startswith("http://")
    return Connection(
        endpoint=endpoint,
        region=options.region
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or profile.region
        or "us-east-1",
        profile=name,
        anonymous=options.anonymous,
        keys=None if options.anonymous or options.profile else _keys(environ),
        virtual_hosts=options.addressing_style == "virtual",
        allow_http=is_http and options.allow_http is not False,
    )


def _endpoint(environ: Mapping[str, str], profile: _Profile) -> str | None:
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return (
        environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or profile.s3_endpoint
        or profile.endpoint
    )


def _without_credentials(endpoint: str | None) -> str | None:
    """The address without a user, password or query, which S3 has no use for.

    It is part of what the cache writes down and of what people are shown.
    """
    if endpoint is None:
        return None
    parts = urlsplit(endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _keys(environ: Mapping[str, str]) -> StaticKeys | None:
    access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        return None
    return StaticKeys(access, secret, environ.get("AWS_SESSION_TOKEN") or None)


@dataclass(frozen=True, slots=True)
class _Profile:
    """What a profile of the shared config file says that decides where requests go."""

    region: str | None = None
    endpoint: str | None = None
    s3_endpoint: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str], name: str) -> _Profile:
        """The profile called `name`; empty where the file or the profile is not there."""
        home = Path(environ.get("HOME") or "~")
        file = Path(environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config")
        parser = configparser.RawConfigParser(default_section="\0")
        try:
            parser.read_string(file.expanduser().read_text(encoding="utf-8"))
        except (OSError, RuntimeError, UnicodeDecodeError, configparser.Error):
            return cls()  # RuntimeError: this user has no home folder
        section = name if name == "default" and name in parser else f"profile {name}"
        if section not in parser:
            return cls()
        values = parser[section]
        services = f"services {values.get('services', '')}"
        nested = parser[services].get("s3", "") if services in parser else ""
        return cls(
            values.get("region"),
            values.get("endpoint_url"),
            _nested(nested).get("endpoint_url"),
        )


def _nested(text: str) -> dict[str, str]:
    """The indented `key = value` lines below a key of a `[services …]` section."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}
