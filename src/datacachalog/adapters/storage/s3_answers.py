"""What the answers of an S3 server must be like, whichever library asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from datacachalog.domain.errors import StorageUnavailableError

if TYPE_CHECKING:
    from datacachalog.domain.uri import Uri

NO_S3_ANSWER = (
    "its answer is not one of an S3 server; look at the endpoint, and for a proxy or a login page"
)
NO_TLS = "it does not speak TLS; does its address begin with http://?"
NO_TRUST = "its certificate is not trusted; AWS_CA_BUNDLE or SSL_CERT_FILE may name whom to trust"
NO_AUTHORITY = (
    "no certificate is where AWS_CA_BUNDLE, SSL_CERT_FILE or the system has whom to trust"
)
EXPIRED = "its certificate has expired"
ANOTHER_HOST = "its certificate is another host's"

Written: TypeAlias = tuple[str | None, str | None]
"""The entity tag and the version id that the answer to an upload gave to what it made."""


def refuse_another_range(
    uri: Uri, asked: tuple[int, int], size_bytes: int, got: tuple[int, int], came_bytes: int
) -> None:
    """Raises StorageUnavailableError if bytes are not those that were asked for."""
    wanted = asked[0], min(asked[1], size_bytes)
    if got != wanted or came_bytes != wanted[1] - wanted[0]:
        raise StorageUnavailableError(str(uri), "it sent other bytes than it was asked for")


def refuse_page(uri: Uri, content_type: str | None) -> None:
    """Raises StorageUnavailableError if what has no entity tag is a web page.

    Objects of S3 have entity tags; a few servers leave them out, and are served. But the page that
    a proxy or a hotel's network sends in place of any object has none either.
    """
    if (content_type or "").lower().startswith(("text/html", "application/xhtml+xml")):
        raise StorageUnavailableError(str(uri), NO_S3_ANSWER)


def normal_validators(etag: str | None, version: str | None) -> Written:
    """An entity tag with its quotes, if there is something in it, and the id of a real version."""
    if etag in {"", '""', 'W/""'}:
        etag = None  # it says nothing
    if etag is not None and not etag.endswith('"'):
        etag = f'"{etag}"'  # some servers and listings leave them out
    return etag, None if version in {"", "null"} else version
