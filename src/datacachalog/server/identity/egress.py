"""Which addresses the registry does not talk to, whoever asks: those of a cloud's metadata.

They are reached from inside a machine only, and hand out its credentials to whoever asks.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from datacachalog.server.errors import InvalidProblem

_METADATA = {ipaddress.ip_address(one) for one in ("fd00:ec2::254", "100.100.100.200")}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def refuse_metadata(url: str) -> None:
    """Refuses an endpoint whose host is, or is the name of, a link-local or metadata address.

    A host that has no address yet passes: it is none of these.

    Raises:
        InvalidProblem: it is one, or is no host.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        raise InvalidProblem("the endpoint's host is no address") from None
    try:
        # It reads what else stands for an address, too, such as 0xA9FEA9FE.
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    if any(_is_refused(str(address[0])) for *_, address in found):
        told = (
            "the endpoint is a link-local address, which is refused unless the server is "
            "started with DATLAKE_SERVER_LINK_LOCAL_ENDPOINTS=true"
        )
        raise InvalidProblem(told)


def _is_refused(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inside is not None:
            address = inside
    return address.is_link_local or address in _METADATA
