"""Python programs for tests that need a process of their own: another user, a full disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent

import pytest

NOBODY = 65534

# As root, whom no permission stops, a program becomes somebody else before it begins. The names are
# those of `datacachalog.testing.sources`, which would take its time to import pytest.
_PRELUDE = """
import concurrent.futures.thread, os, shutil, sys, tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from datacachalog import CachePermissionError, Catalog, Dataset, LocalFileError, ObjectInfo, Uri
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.owners import owner_is_gone
from datacachalog.adapters.storage.filesystem import FilesystemStorage
URI = Uri("s3", "lake", "customers/customers.parquet")
SOURCE = ("https://store.example s3://lake/customers/customers.parquet", URI)
NOON, SECOND = datetime(2024, 2, 29, 12, 0, 0, 123_457, tzinfo=UTC), timedelta(seconds=1)

def publish(cache, path, info, at=NOON):
    with cache.staging(*SOURCE) as staging:
        staging.copy_from(path)
        return staging.publish(info, checked_at=at, current=True)

def attempt(act):
    try:
        return act()
    except Exception as error:
        return type(error).__name__

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[1]))
del sys.argv[1:3]
"""


def as_nobody(program, *args):
    """What `program` prints when it is run by a user without privileges, as lines."""
    return as_user(NOBODY, program, *args)


def as_user(user, program, *args, group=NOBODY):
    """What `program` prints when root has it run by a user of a group, as lines."""
    return _lines(program_of(user, program, group=group), args)


def program_of(user, program, *, group=NOBODY):
    """The command of what `as_user` runs."""
    return [sys.executable, "-c", _PRELUDE + dedent(program), str(user), str(group)]


def on_a_full_disk(program, folder, size_kib):
    """What `program` prints with a file system of that size mounted at `folder`."""
    mount = f'mount -t tmpfs -o size={size_kib}k,mode=755 none "$0" && exec "$@"'
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(folder)]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("this system lets no test mount a file system")
    return _lines([*unshare, sys.executable, "-c", dedent(program)], [folder])


def _lines(command, args):
    done = subprocess.run(
        [*command, *map(str, args)],
        env={**os.environ, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def open_folder():
    """A folder that every user can look into, unlike those below `tmp_path`."""
    with tempfile.TemporaryDirectory(prefix="datacachalog-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
