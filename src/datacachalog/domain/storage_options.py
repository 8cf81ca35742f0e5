"""How the stores under a URI prefix are reached: endpoint, region, profile and the like.

Nothing here is secret: credentials come from the vendor's own chain, never from a catalog.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.domain.uri import Uri

AddressingStyle: TypeAlias = Literal["path", "virtual"]
"""Where a bucket's name goes: into the path of a request, or before the host's name."""

ADDRESSING_STYLES: Final[tuple[AddressingStyle, ...]] = get_args(AddressingStyle)

_ENDPOINT = re.compile(
    r"(?i:https?)://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:/[!-~]*)?"
)
_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s?#*{}\[\]]*)")


def endpoint_problem(url: str) -> str | None:
    """What is wrong with the address of a store, or None; it never repeats `url`.

    >>> endpoint_problem("http://127.0.0.1:9000")
    >>> endpoint_problem("https://user:password@minio.example.com")
    'holds credentials; they belong in the environment or in a profile'
    """
    if "@" in url:
        return "holds credentials; they belong in the environment or in a profile"
    match = _ENDPOINT.fullmatch(url)
    if "?" in url or "#" in url or match is None:
        return "must be an address such as https://host:port, without a query"
    if match["port"] and not 1 <= int(match["port"]) <= 65535:
        return "has a port that is not between 1 and 65535"
    return None


def prefix_problem(prefix: str) -> str | None:
    """What is wrong with the URI prefix that options are written for, or None.

    It never repeats `prefix`.

    >>> prefix_problem("s3://lake/raw")
    >>> prefix_problem("lake")
    'must be the start of a URI, such as s3:// or s3://bucket'
    """
    match = _PREFIX.fullmatch(prefix)
    if "@" in prefix:
        return "holds credentials; they belong in the environment or in a profile"
    if match is None:
        return "must be the start of a URI, such as s3:// or s3://bucket"
    if match[1].lower() == "file":
        return "is for files, which need no options"
    if not {".", ".."}.isdisjoint(match[2].split("/")):
        return "has a '.' or '..' segment"
    return None


def normal_prefix(prefix: str) -> str:
    """The one spelling of a prefix: a lower-case scheme, and no slash at the end.

    >>> normal_prefix("S3://lake/"), normal_prefix("s3://")
    ('s3://lake', 's3://')
    """
    scheme, separator, rest = prefix.partition("://")
    return f"{scheme.lower()}{separator}{rest.rstrip('/')}"


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """What a store must be told beyond the URI; None leaves it to the vendor's defaults.

    `endpoint_url` replaces the vendor's address. `profile` names a section of the vendor's
    configuration file. `anonymous` sends no credentials at all. `allow_http` says whether
    requests may travel unencrypted: None allows it exactly where `endpoint_url` says `http`.

    >>> StorageOptions(endpoint_url="http://127.0.0.1:9000").is_http_allowed
    True

    Raises:
        ValueError: the endpoint is no address, or is one that `allow_http` forbids.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    anonymous: bool = False
    allow_http: bool | None = None
    addressing_style: AddressingStyle | None = None

    def __post_init__(self) -> None:
        if self.endpoint_url is not None and (problem := endpoint_problem(self.endpoint_url)):
            raise ValueError(f"endpoint_url {problem}")
        if self.allow_http is False and self.has_http_endpoint:
            raise ValueError("endpoint_url is plain http, which allow_http forbids")
        if self.addressing_style not in (None, *ADDRESSING_STYLES):
            raise ValueError(f"addressing_style must be {' or '.join(ADDRESSING_STYLES)}")

    @property
    def has_http_endpoint(self) -> bool:
        """Whether the endpoint speaks plain http."""
        return self.endpoint_url is not None and self.endpoint_url.lower().startswith("http://")

    @property
    def is_http_allowed(self) -> bool:
        """Whether requests may travel unencrypted."""
        return self.has_http_endpoint if self.allow_http is None else self.allow_http


_DEFAULTS = StorageOptions()


def options_for(uri: Uri, table: Mapping[str, StorageOptions]) -> StorageOptions:
    """The options of the longest prefix in `table` that `uri` is under, else the defaults.

    A prefix ends where a segment does: `s3://lake` is for `s3://lake/a.csv` and not for
    `s3://lakehouse/a.csv`. Options of shorter prefixes are not mixed in.

    >>> from datacachalog.domain.uri import Uri
    >>> table = {"s3://": StorageOptions(region="eu-west-1"), "s3://lake": StorageOptions()}
    >>> options_for(Uri.parse("s3://lakehouse/a.csv"), table).region
    'eu-west-1'
    """
    address = f"{uri.scheme}://{uri.authority}/{uri.path}"
    matching = [prefix for prefix in table if _is_under(address, normal_prefix(prefix))]
    if not matching:
        return _DEFAULTS
    return table[max(matching, key=lambda prefix: len(normal_prefix(prefix)))]


def _is_under(address: str, prefix: str) -> bool:
    whole = prefix if prefix.endswith("://") else f"{prefix}/"
    return f"{address}/".startswith(whole)
