"""What `datlake doctor` finds: settings, the database, the locations, workers, clocks, disks.

Each check looks at one thing and raises a `RegistryError` that says what is wrong with it. Nothing
is changed, and no secret is told.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from datacachalog.adapters.disk import space_at
from datacachalog.adapters.storage.boto_errors import translated
from datacachalog.domain.errors import DatacachalogError
from datacachalog.domain.uri import Uri
from datacachalog.domain.words import size
from datacachalog.server.catalog.locations import all_locations
from datacachalog.server.database import Database
from datacachalog.server.errors import StoreRefusesProblem, UnavailableProblem
from datacachalog.server.identity.principals import now
from datacachalog.server.schema import tasks
from datacachalog.server.transfer.bucket_objects import Buckets
from datacachalog.server.work.tasks import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from datacachalog.server.catalog.locations import Location
    from datacachalog.server.settings import ServerSettings

_LEAST_BYTES = 1 << 30
_LONGEST_WAIT = timedelta(minutes=1)
_MOST_SKEW = timedelta(minutes=5)  # with more, S3 refuses signatures
_KEY = ".datlake-doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing; `error` is what is wrong with it."""

    check: str
    said: str
    error: DatacachalogError | None = None


@dataclass(slots=True)
class Doctor:
    """Looks at a registry from its own machine."""

    settings: ServerSettings
    environ: Mapping[str, str] = field(repr=False)

    def findings(self) -> list[Finding]:
        """Everything that was looked at; what needs the database only where that answers."""
        found = [_found("settings", self._settings), _found("disk", self._disk)]
        try:
            database = Database(self.settings.url())
        except DatacachalogError as error:
            return [*found, Finding("database", str(error), error)]
        with closing(database):
            found.append(_found("database", partial(self._reached, database)))
            if found[-1].error is not None:
                return found
            found.append(_found("clock", partial(_clock, database)))
            found.append(_found("workers", partial(_workers, database)))
            with database.reading() as connection:
                locations = all_locations(connection)
        return [*found, *(_found(one.root, partial(self._location, one)) for one in locations)]

    def _settings(self) -> str:
        settings = self.settings
        if not settings.is_for_this_machine and not settings.behind_tls:
            raise UnavailableProblem(
                f"{settings.host} is reached by others without TLS: put a proxy before it, and set"
                " DATLAKE_SERVER_BEHIND_TLS=true"
            )
        return f"listens on {settings.host}:{settings.port}"

    def _disk(self) -> str:
        folder = self.settings.data_dir.absolute()
        space = space_at(folder)
        told = f"{size(space.free_bytes)} free at {folder}"
        if space.free_bytes < _LEAST_BYTES:
            raise UnavailableProblem(f"{told}, less than {size(_LEAST_BYTES)}")
        return told

    def _reached(self, database: Database) -> str:
        file = database.url.database
        if database.is_sqlite and not Path(file or "").exists():
            raise UnavailableProblem(f"there is no {file}: 'datlake migrate' makes it")
        with _database_told(), database.reading() as connection:
            revisions = database.revisions(connection)
            query = "SELECT sqlite_version()" if database.is_sqlite else "SHOW server_version"
            version = connection.execute(text(query)).scalar()
        if revisions.is_newer:
            raise UnavailableProblem(f"{database} is of a newer version ({revisions.found})")
        if not revisions.is_newest:
            told = f"{database} has the form {revisions.found}, not {revisions.known[0]}"
            raise UnavailableProblem(f"{told}: 'datlake migrate' brings it up to date")
        name = "SQLite" if database.is_sqlite else "PostgreSQL"
        return f"{name} {version} at {database}, form {revisions.found}"

    def _location(self, location: Location) -> str:
        if location.scheme == "file":
            with tempfile.TemporaryFile(dir=location.prefix):
                return "can be written"
        client = Buckets(self.environ).client(location)
        key: Any = {"Bucket": location.bucket, "Key": f"{location.prefix}{_KEY}"}
        with translated(Uri("s3", location.bucket, location.prefix)):
            # An upload that is begun and ended: nobody ever sees an object of it.
            begun = client.create_multipart_upload(**key)
            client.abort_multipart_upload(**key, UploadId=begun["UploadId"])
        date = begun["ResponseMetadata"]["HTTPHeaders"].get("date")
        if date is not None and abs(parsedate_to_datetime(date) - datetime.now(UTC)) > _MOST_SKEW:
            raise UnavailableProblem(f"its clock says {date}, this machine's another time")
        return "can be written"


def _clock(database: Database) -> str:
    if database.is_sqlite:
        return "one machine, one clock"
    with _database_told(), database.reading() as connection:
        theirs = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    skew = abs(theirs - datetime.now(UTC))
    told = f"{skew.total_seconds():.1f} s from the database's"
    if skew > timedelta(seconds=5):  # leases of 30 s are compared between machines
        raise UnavailableProblem(f"this machine's is {told}")
    return told


def _workers(database: Database) -> str:
    """Workers keep no list of themselves: what tells of them is that nothing waits for one."""
    with _database_told(), database.reading() as connection:
        depth, longest = waiting(connection)
        running = (tasks.c.status == "running") & (tasks.c.lease_until > now())
        at_work = connection.execute(select(func.count()).where(running)).scalar_one()
    told = f"{at_work} tasks are worked on, {depth} wait"
    if longest > _LONGEST_WAIT:
        waited = int(longest.total_seconds())
        raise UnavailableProblem(f"{told}, one for {waited} s: does a worker run?")
    return told


@contextmanager
def _database_told() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        told = str(error.__cause__ or error).split("\n", 1)[0]
        raise UnavailableProblem(f"it does not answer: {told}") from error


def _found(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, look())
    except OSError as error:
        refusal = StoreRefusesProblem(error.strerror or str(error))
        return Finding(check, str(refusal), refusal)
    except DatacachalogError as error:
        return Finding(check, str(error), error)


def examined(settings: ServerSettings) -> list[Finding]:
    """What is found with the environment of this process."""
    return Doctor(settings, os.environ).findings()
