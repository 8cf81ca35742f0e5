"""One question that obstore cannot ask: an object's description with its checksum.

obstore sends no header of ours that is signed, and shows none of the answer. boto3 would take
longer to import than most downloads, so the request is signed here: Signature Version 4 (Amazon S3
API Reference, "Authenticating Requests: Using the Authorization Header"). Loaded by name.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - connecting would import it in a thread, where a fork may come
import functools
import hashlib
import hmac
import selectors
import ssl
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from datacachalog.adapters.storage.forks import no_fork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.adapters.storage.aws import StaticKeys

_TIMEOUT_S: Final = 5.0
_NOTHING: Final = hashlib.sha256().hexdigest()
_PORTS: Final = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about: one revision of a key, or of a version of it, which are not quoted."""

    bucket_url: str
    key: str
    version: str | None
    etag: str


def head(
    asked: Asked, region: str, keys: StaticKeys | None, ca_bundle: str | None = None
) -> Mapping[str, str] | None:
    """What an object is described with if it has that tag; the names in small letters.

    `ca_bundle` is the file of whom to trust, if not the system's. None where there is no such
    answer, whatever the reason: redirects are not followed, and nothing is asked again.
    """
    parts = urlsplit(asked.bucket_url)
    path = f"{parts.path}/{quote(asked.key, safe='/~')}"
    query = "" if asked.version is None else f"versionId={quote(asked.version, safe='~')}"
    headers = {
        "host": parts.netloc.removesuffix(_PORTS.get(parts.scheme, "")),
        "x-amz-checksum-mode": "ENABLED",
    }
    if keys is not None:
        with no_fork:
            headers |= signed(path, query, headers, region, keys, datetime.now(UTC))
    headers |= {"if-match": asked.etag, "user-agent": "datacachalog"}
    address = f"{parts.scheme}://{parts.netloc}{path}" + (f"?{query}" if query else "")
    request = urllib.request.Request(address, headers=headers, method="HEAD")  # noqa: S310 - http(s)
    try:
        answer = _opener(parts.scheme, ca_bundle).open(request, timeout=_TIMEOUT_S)
        if answer is None:  # it would take a proxy that cannot be spoken to
            return None
        with answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return found if answer.status == 200 else None
    except (OSError, HTTPException, ValueError):
        return None


@functools.cache
def _opener(scheme: str, ca_bundle: str | None) -> urllib.request.OpenerDirector:
    """What knows the proxies of the environment, and takes every status for an answer."""
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler())
    if scheme == "https":
        with no_fork:
            context = ssl.create_default_context(cafile=ca_bundle)
        context.sslsocket_class = _TlsSocket
        opener.add_handler(urllib.request.HTTPSHandler(context=context))
    else:
        opener.add_handler(urllib.request.HTTPHandler())
    return opener


class _TlsSocket(ssl.SSLSocket):
    """Shakes hands in steps, so that a fork waits for a step, and not for the other side."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - ssl's
        timeout_s = self.gettimeout()
        end = time.monotonic() + (timeout_s or _TIMEOUT_S)
        self.settimeout(0)
        try:
            while (wanted := self._next_step()) is not None:
                with selectors.DefaultSelector() as selector:
                    selector.register(self, wanted)
                    if not selector.select(max(0, end - time.monotonic())):
                        raise TimeoutError("the other side does not shake hands")
        finally:
            self.settimeout(timeout_s)

    def _next_step(self) -> int | None:
        """Goes as far as it can, and tells what it then waits for, unless that is the end."""
        try:
            with no_fork:
                super().do_handshake()
        except ssl.SSLWantReadError:
            return selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            return selectors.EVENT_WRITE
        return None


def signed(
    path: str,
    query: str,
    headers: Mapping[str, str],
    region: str,
    keys: StaticKeys,
    now: datetime,
) -> dict[str, str]:
    """The headers that sign a HEAD request with these; `path` and `query` are quoted."""
    scope = f"{now:%Y%m%d}/{region}/s3/aws4_request"
    added = {"x-amz-content-sha256": _NOTHING, "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}"}
    if keys.session_token:
        added["x-amz-security-token"] = keys.session_token
    of = dict(sorted({**headers, **added}.items()))
    names = ";".join(of)
    lines = "".join(f"{name}:{value}\n" for name, value in of.items())
    request = f"HEAD\n{path}\n{query}\n{lines}\n{names}\n{_NOTHING}"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    told = f"AWS4-HMAC-SHA256\n{added['x-amz-date']}\n{scope}\n{digest}"
    signature = hmac.digest(key, told.encode(), "sha256").hex()
    added["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key_id}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return added
