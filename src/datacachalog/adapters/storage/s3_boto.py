"""What only boto3 does for S3: the credential chain, versions, uploads in parts on a condition.

Imported by name when one of these is first needed.
"""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from datacachalog.adapters.storage.boto_errors import translated
from datacachalog.adapters.storage.boto_objects import BotoObjects, refuse_no_listing
from datacachalog.adapters.storage.boto_uploads import BotoUploads, begin_sending
from datacachalog.domain.errors import ObjectNotFoundError, StorageAccessError
from datacachalog.domain.objects import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3.client import S3Client

    from datacachalog.adapters.storage.aws import Connection
    from datacachalog.domain.uri import Uri

_CONNECTIONS = 16
# Credentials that do not say when they end are asked for again after this long.
_CREDENTIALS_TTL = timedelta(minutes=1)
_SYSTEM_CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_VERSION_OR_MARKER = re.compile(rb"<(Version|DeleteMarker)>.*?</\1>", re.DOTALL)
_VERSION_ID = re.compile(rb"<VersionId>(.*?)</VersionId>", re.DOTALL)


Addressing: TypeAlias = Literal["auto", "path", "virtual"]
Checksums: TypeAlias = Literal["when_supported", "when_required"]


class BotoBucket:
    """One bucket, as boto3 reaches it. Threads may share it."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection, self._bucket = connection, bucket
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None
        self._client: S3Client | None = None

    def credentials(self, uri: Uri) -> Callable[[], dict[str, Any]]:
        """A credential provider for obstore: boto3's whole chain, asked again when they expire.

        Raises:
            StorageAccessError: the chain ends without credentials.
        """
        with self._lock, translated(uri):
            found = self._opened().get_credentials()
            if found is None:
                raise StorageAccessError(str(uri), "there are no AWS credentials")
            found.get_frozen_credentials()  # fails now rather than inside obstore

        def provide() -> dict[str, Any]:
            with translated(uri):
                frozen = found.get_frozen_credentials()
            return {
                "access_key_id": frozen.access_key,
                "secret_access_key": frozen.secret_key,
                "token": frozen.token,
                "expires_at": datetime.now(UTC) + _CREDENTIALS_TTL,
            }

        return provide

    def _opened(self) -> boto3.Session:
        if self._session is None:
            keys, region = self._connection.keys, self._connection.region
            if keys is None:
                profile = self._connection.profile
                self._session = boto3.Session(profile_name=profile, region_name=region)
            else:
                self._session = boto3.Session(
                    keys.access_key_id, keys.secret_access_key, keys.session_token, region
                )
        return self._session

    @property
    def client(self) -> S3Client:
        """The boto3 client; sharing one between threads is safe, making one is not."""
        with self._lock:
            if self._client is None:
                connection = self._connection
                self._client = self._opened().client(
                    "s3",
                    endpoint_url=connection.endpoint,
                    config=_config(connection),
                    verify=connection.ca_bundle or _of_the_system() or True,  # None is a variable's
                )
                events = self._client.meta.events
                events.register("before-parse.s3.ListObjectVersions", _keep_order)
                events.register("before-send.s3.PutObject", begin_sending)
                events.register_first("needs-retry.s3", _give_up)
                if not connection.is_aws:
                    events.register_first("needs-retry.s3", _stay_here)
        return self._client

    @property
    def uploads(self) -> BotoUploads:
        """Uploads to the bucket."""
        return BotoUploads(self.client, self._bucket, whole_sums=self._connection.is_aws)

    @property
    def objects(self) -> BotoObjects:
        """The bucket's objects, where obstore cannot be used."""
        return BotoObjects(self.client, self._bucket)

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        """Every version and delete marker of one key, newest first."""
        found: list[ObjectInfo] = []
        with translated(uri):
            pages = self.client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self._bucket, Prefix=uri.path):
                refuse_no_listing(uri, page)
                described = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                found += _newest_first(uri, [v for v in described if v["Key"] == uri.path], page)
                if page.get("NextKeyMarker") not in {None, uri.path}:
                    break  # keys come sorted: what follows only begins with ours
        if not found:
            raise ObjectNotFoundError(str(uri))
        if len(found) == 1 and found[0].version == "null":
            return iter([replace(found[0], version=None)])  # a bucket without versions
        return iter(found)


def _give_up(caught_exception: Exception | None = None, **_: object) -> None:
    """Asks a server only once that said nothing for a whole timeout; boto3 would four times."""
    if isinstance(caught_exception, (ReadTimeoutError, ConnectTimeoutError)):
        raise caught_exception


def _stay_here(response: Any = None, operation: Any = None, **_: object) -> None:
    """Follows no redirect: boto3 would look for the AWS region of the bucket, without end."""
    if response is not None and 300 <= response[0].status_code < 400:
        raise ClientError(response[1], operation.name)


def _keep_order(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Notes the order of a listing: boto3 parts versions from markers, and loses who came first."""
    body: bytes = response_dict["body"]
    ids = (_VERSION_ID.search(match[0]) for match in _VERSION_OR_MARKER.finditer(body))
    customized_response_dict["VersionOrder"] = [found[1].decode() for found in ids if found]


def _newest_first(uri: Uri, described: list[Any], page: Any) -> list[ObjectInfo]:
    order = {version: place for place, version in enumerate(page.get("VersionOrder", ()))}
    described.sort(key=lambda v: order.get(v["VersionId"], len(order)))
    described.sort(key=lambda v: v["LastModified"], reverse=True)  # stable: ties keep the order
    return [
        ObjectInfo(
            uri,
            version.get("Size", 0),
            version.get("ETag"),
            version["VersionId"],
            version["LastModified"].astimezone(UTC),
            deleted="ETag" not in version,
        )
        for version in described
    ]


def _of_the_system() -> str | None:
    """The file of the authorities that this system trusts, as obstore does; None for boto3's own.

    Where it is depends on the system (those of Debian, Fedora, SUSE, and of Alpine and macOS).
    """
    return next((name for name in _SYSTEM_CA_BUNDLES if Path(name).exists()), None)


def _config(connection: Connection) -> Config:
    # Checksum headers that S3 knows since 2024 break some other servers; there the signed digest
    # of each request's body vouches for it.
    checksums: Checksums = "when_supported" if connection.is_aws else "when_required"
    addressing: Addressing = "auto" if connection.is_aws else "path"
    return Config(
        signature_version=UNSIGNED if connection.anonymous else None,
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "max_attempts": 3},
        max_pool_connections=_CONNECTIONS,
        request_checksum_calculation=checksums,
        response_checksum_validation="when_required",
        s3={"addressing_style": "virtual" if connection.virtual_hosts else addressing},
    )
