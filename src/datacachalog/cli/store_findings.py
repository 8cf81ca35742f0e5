"""What `catalog doctor` finds of the stores: whether they answer, and whose credentials are used.

A store here is a bucket, or a folder of files. Each is asked for the first object of its list;
where listing is refused, which is common, for one object that the catalog names.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

from datacachalog.adapters.storage.aws import connection
from datacachalog.cli.findings import Finding
from datacachalog.domain.errors import (
    DatacachalogError,
    NotAnObjectError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
)
from datacachalog.domain.storage_options import options_for
from datacachalog.domain.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datacachalog import Dataset
    from datacachalog.cli.output import JsonValue
    from datacachalog.domain.storage_options import StorageOptions
    from datacachalog.ports import StoragePort

_TIMEOUT_S: Final = 20.0
_NOT_TOLD: Final = {"identity", "seconds"}  # to people: the one is for the cache, the other rounded


@dataclass(frozen=True, slots=True)
class Store:
    """A bucket, reached in one way; or a folder."""

    address: Uri
    options: StorageOptions


class StoreCheck:
    """Asks stores whether they answer, all at the same time, and waits a bounded time for them."""

    def __init__(
        self,
        storage: StoragePort,
        options: Mapping[str, StorageOptions],
        environ: Mapping[str, str],
        *,
        timeout_s: float = _TIMEOUT_S,
        offline: bool = False,
    ) -> None:
        self._offline = offline
        self._storage, self._options, self._environ = storage, options, environ
        self._timeout_s = timeout_s

    def findings(self, datasets: Iterable[Dataset]) -> list[Finding]:
        """One finding for each store of the datasets, in the order of the datasets."""
        sources: dict[Store, list[Uri]] = {}
        for dataset in datasets:
            sources.setdefault(self._store_of(dataset.source), []).append(dataset.source)
        late = f"no answer within {self._timeout_s:.0f} s"
        found = {
            store: _finding(store, named, {}, StorageUnavailableError(str(store.address), late))
            for store, named in sources.items()
        }
        for store in [one for one in sources if self._offline and one.address.scheme != "file"]:
            found[store] = _unasked(store, sources.pop(store))
        threads = [
            # A daemon: one that hangs must not hold up the end of the process.
            Thread(target=self._look, args=(store, named, found), daemon=True)
            for store, named in sources.items()
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + self._timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return list(found.values())

    def _store_of(self, source: Uri) -> Store:
        address = folder_of(source)
        if source.scheme != "file":
            address = Uri(source.scheme, source.authority, "")
        return Store(address, options_for(source, self._options))

    def _look(self, store: Store, named: list[Uri], found: dict[Store, Finding]) -> None:
        begun, error = time.monotonic(), None
        details: dict[str, JsonValue] = {}
        try:
            details["identity"] = self._storage.identity(named[0])
            self._ask(named[0])
        except DatacachalogError as failure:
            error = failure
        details["seconds"] = round(time.monotonic() - begun, 3)
        if store.address.scheme == "s3":
            details |= aws_settings(store.options, self._environ)
        found[store] = _finding(store, named, details, error)

    def _ask(self, source: Uri) -> None:
        if source.table is not None:  # a registry's tables are not walked through
            self._storage.stat(source)
            return
        folder = folder_of(source)
        if folder.scheme == "file" and not Path(folder.path).is_dir():
            raise ObjectNotFoundError(str(folder), "no such folder")
        try:
            if next(iter(self._storage.walk(folder)), None) is None:
                self._see_through(source)
        except StorageAccessError:
            # Many may read objects and not list them.
            self._storage.stat(source)

    def _see_through(self, source: Uri) -> None:
        """Makes sure that an empty listing is one: any web page can be read as such."""
        with contextlib.suppress(ObjectNotFoundError, NotAnObjectError):
            self._storage.stat(source)


def _finding(
    store: Store,
    named: list[Uri],
    details: Mapping[str, JsonValue],
    error: DatacachalogError | None,
) -> Finding:
    answer = str(error) if error else f"{store.address} answers in {details['seconds']:.2g} s"
    told = {key: value for key, value in details.items() if key not in _NOT_TOLD}
    shown = [f"{key} {value}" for key, value in told.items() if value is not None]
    known = {"store": str(store.address), "datasets": len(named), **details}
    return Finding("store", "; ".join([answer, *shown]), known, error)


def _unasked(store: Store, named: list[Uri]) -> Finding:
    known: dict[str, JsonValue] = {"store": str(store.address), "datasets": len(named)}
    return Finding("store", f"{store.address} is not asked while offline", known)


def folder_of(source: Uri) -> Uri:
    """The prefix that an object shares with its neighbours.

    >>> str(folder_of(Uri.parse("s3://lake/customers/customers.parquet")))
    's3://lake/customers/'
    """
    folder, slash, _ = source.path.rpartition("/")
    return Uri(source.scheme, source.authority, folder + slash)


def aws_settings(options: StorageOptions, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Which AWS settings are in force, and where the credentials come from; no secret.

    >>> from datacachalog.domain.storage_options import StorageOptions
    >>> aws_settings(StorageOptions(anonymous=True, region="eu-west-1"), {"HOME": "/nowhere"})
    {'endpoint': 'AWS', 'region': 'eu-west-1', 'profile': None, 'credentials': 'none (anonymous)'}
    """
    used = connection(options, environ)
    if used.anonymous:
        credentials = "none (anonymous)"
    elif used.keys is not None:
        credentials = f"environment (…{used.keys.access_key_id[-4:]})"
    else:
        credentials = _of_the_chain(used.profile)
    return {
        "endpoint": used.endpoint or "AWS",
        "region": used.region,
        "profile": used.profile,
        "credentials": credentials,
    }


def _of_the_chain(profile: str | None) -> str:
    """Where boto3's chain finds credentials; by name, because boto3 takes long to import."""
    session, failures = (
        importlib.import_module("boto3"),
        importlib.import_module("botocore.exceptions"),
    )
    try:
        found = session.Session(profile_name=profile).get_credentials()
        if found is None:
            return "none found"
        return f"{found.method} (…{found.get_frozen_credentials().access_key[-4:]})"
    except failures.BotoCoreError as error:
        return f"none ({type(error).__name__})"
