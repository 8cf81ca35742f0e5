"""The logs of a run: what this process logs meanwhile, or files; and how they are shipped.

Nothing here fails a run: a log that cannot be shipped is a warning, and an event of the registry's.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datacachalog.domain.errors import ApiError, LocalFileError
from datacachalog.sdk.functional import log_name, of_run
from datacachalog.sdk.policies import LOG, emit
from datacachalog.sdk.records import Artifact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.sdk.client import DatlakeClient
    from datacachalog.sdk.functional import Run

MAX_LOG_BYTES: Final = 64 << 20
"""How much of a log is shipped: its end."""

NOT_SHIPPED_EVENT: Final = "sdk.log-not-shipped"
CUT_EVENT: Final = "sdk.log-cut"

_BLOCK_BYTES: Final = 1 << 20
_FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"


class _Capture(logging.FileHandler):
    """Writes what is logged to a file, and is no handler otherwise.

    Where a program has configured no handler, `logging` shows warnings on stderr. It would not any
    more, as this is one.
    """

    def emit(self, record: logging.LogRecord) -> None:
        self.write(record)
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and self._is_the_only_one(record):
            last.handle(record)

    def write(self, record: logging.LogRecord) -> None:
        super().emit(record)

    def _is_the_only_one(self, record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        found: list[logging.Handler] = []
        while logger is not None:
            found += logger.handlers
            logger = logger.parent if logger.propagate else None
        captures = [one for one in found if isinstance(one, _Capture)]
        return captures == found and captures[0] is self


class ProcessLog:
    """A temporary file of what this process logs, in all threads, until `close`.

    Only what the loggers let through: `logging` leaves out what is below WARNING unless it is
    configured otherwise.
    """

    def __init__(self) -> None:
        """Begins.

        Raises:
            OSError: no temporary file can be made.
        """
        handle, name = tempfile.mkstemp(prefix="datlake-run-", suffix=".log")
        os.close(handle)
        self.path = Path(name)
        self._handler = _Capture(name, encoding="utf-8", errors="backslashreplace")
        formatter = logging.Formatter(_FORMAT, _TIME)
        formatter.converter = time.gmtime
        self._handler.setFormatter(formatter)
        logging.getLogger().addHandler(self._handler)

    def note(self, level: int, text: str, error: BaseException | None = None) -> None:
        """Adds a line here, and nowhere else."""
        record = logging.LogRecord("datlake_sdk", level, "", 0, text, None, None)
        if error is not None:
            record.exc_info = (type(error), error, error.__traceback__)
        self._handler.write(record)

    def close(self) -> None:
        """Hears no more; the file stays until `remove`."""
        logging.getLogger().removeHandler(self._handler)
        self._handler.close()

    def remove(self) -> None:
        """Ends it, and removes the file."""
        self.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


@contextmanager
def end_of(path: str, most_bytes: int = MAX_LOG_BYTES) -> Iterator[tuple[Path, int]]:
    """A copy of a log's end, and how many bytes before it were left out.

    A copy, as others may go on to write the log, and what is sent must not change meanwhile.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    with tempfile.TemporaryDirectory(prefix="datlake-log-") as folder:
        copy = Path(folder) / "run.log"
        with open(path, "rb", opener=_without_waiting) as log, copy.open("wb") as file:
            kind, size_bytes = os.fstat(log.fileno()).st_mode, os.fstat(log.fileno()).st_size
            if not stat.S_ISREG(kind):
                raise OSError(errno.EINVAL, "it is no regular file")
            left_out = max(0, size_bytes - most_bytes)
            log.seek(left_out)
            left = size_bytes - left_out
            while left and (block := log.read(min(left, _BLOCK_BYTES))):
                left -= file.write(block)
        yield copy, left_out


def _without_waiting(path: str, flags: int) -> int:
    """As `open` does, but of a pipe that nobody writes to."""
    return os.open(path, flags | os.O_NONBLOCK)


class RunLogs:
    """Which logs of a run are shipped: `files`, or, without any, what this process logs."""

    def __init__(self, bucket: str, files: list[str], *, captures: bool) -> None:
        self._bucket, self._files, self._captures = bucket, files, captures
        self._own: ProcessLog | None = None

    def begin(self) -> None:
        """From here on, what this process logs may be shipped."""
        if self._captures:
            try:
                self._own = ProcessLog()
            except OSError as error:
                LOG.warning("what this process logs is not shipped: %s", error)

    def add(self, file: str) -> None:
        """Has a file be shipped, too."""
        self._files.append(file)

    def note(self, level: int, text: str, error: BaseException | None = None) -> None:
        """Adds a line to what this process logs, if that may be shipped."""
        if self._own is not None:
            self._own.note(level, text, error)

    def end(self) -> None:
        """Forgets what this process has logged."""
        if self._own is not None:
            self._own.remove()
            self._own = None

    def ship(self, client: DatlakeClient, run: Run) -> tuple[list[Artifact], list[ApiError]]:
        """What was shipped, and why the others were not."""
        files = self._files or ([] if self._own is None else [str(self._own.path)])
        artifacts, troubles = [], []
        for number, file in enumerate(files, 1):
            try:
                artifacts.append(self._shipped(client, run, file, number))
            except (ApiError, LocalFileError, OSError, ValueError) as error:
                troubles.append(of_run(_told_of(file, error), run))
                LOG.warning("the log %s of run %s was not shipped: %s", file, run.run_id, error)
                told = {"log": Path(file).name, "reason": str(troubles[-1].message)}
                emit(client, NOT_SHIPPED_EVENT, told, run.run_id)
        return artifacts, troubles

    def _shipped(self, client: DatlakeClient, run: Run, file: str, number: int) -> Artifact:
        name = log_name(run.job_name, run.run_id, number)
        with end_of(file) as (copy, left_out):
            uri = client.upload_object(self._bucket, name, copy)
        if left_out:
            LOG.warning("the first %d bytes of the log %s were not shipped", left_out, file)
            told = {"log": Path(file).name, "left_out_bytes": left_out}
            emit(client, CUT_EVENT, told, run.run_id)
        return Artifact("log", uri)


def _told_of(file: str, error: ApiError | LocalFileError | OSError | ValueError) -> ApiError:
    if isinstance(error, OSError | ValueError):  # the second of a name that no file can have
        why = getattr(error, "strerror", None) or error
        made = ApiError(f"the log {file!r} cannot be read: {why}")
        made.__cause__ = error
        return made
    return ApiError.from_exception(error)
