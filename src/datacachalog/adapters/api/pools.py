"""Pools of connections; loaded by name, for urllib3 takes long to import."""

from __future__ import annotations

import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3

from datacachalog.domain.errors import SettingError


def pool(base_url: str, timeout_s: float, connections: int) -> urllib3.PoolManager:
    """Connections to one server, through the proxy that the environment names for it.

    `timeout_s` is how long a connection, and each wait for bytes, may take.

    Raises:
        SettingError: the proxy's address is none. It is not told: it may hold a password.
    """
    parts = urlsplit(base_url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    options: dict[str, Any] = {
        "maxsize": connections,
        "timeout": urllib3.Timeout(connect=timeout_s, read=timeout_s),
        "blocksize": 1 << 18,
    }
    if proxy and not urllib.request.proxy_bypass(parts.netloc):
        try:
            return _through(proxy if "://" in proxy else f"http://{proxy}", options)
        except (urllib3.exceptions.HTTPError, ValueError):
            name = f"{parts.scheme.upper()}_PROXY"
            raise SettingError(name, "must be an address such as http://proxy:3128") from None
    return urllib3.PoolManager(**options)


def _through(address: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    parts = urlsplit(address)
    if parts.username is not None:
        who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=who)
    return urllib3.ProxyManager(address, **options)
