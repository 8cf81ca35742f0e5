"""The registry that a catalog asks of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacachalog.adapters.api.http import HttpApi
from datacachalog.adapters.api.settings import ApiSettings
from datacachalog.adapters.api.transport import Transport
from datacachalog.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.ports import DatlakeApiPort


def registry_of(url: str | None, environ: Mapping[str, str]) -> DatlakeApiPort:
    """The registry at `url`, or else the one that `environ` or the file of settings names.

    Its metadata are not cached: the catalog's own cache has what was fetched, and knows when that
    was confirmed last.

    A key is of one registry. A catalog may be somebody else's, and must not have a key sent to
    whatever address it names: where one is configured, that is the only one that gets it.

    Raises:
        ConfigurationError: the catalog names another registry than the one that the key is for.
        SettingError: a setting makes no sense.
    """
    settings = ApiSettings.found(environ)
    if url is None:
        return HttpApi(Transport(settings))
    named = ApiSettings.found(environ, api_url=url)
    if settings.api_url not in {None, named.api_url}:
        told = f"the catalog names the registry {named.api_url!r}, and the key that is configured "
        raise ConfigurationError(f"{told}is for {settings.api_url!r}")
    return HttpApi(Transport(named))
