"""A lockfile on a real S3 server: another machine gets these bytes, whatever has become of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from datacachalog import Catalog, LockMismatchError, Outcome, StorageUnavailableError
from datacachalog.domain.lockfile import parsed
from datacachalog.testing.payloads import payload, seed_of
from tests.integration.support import BIG, MIB, SMALL
from tests.servers.exchange import Reply, Script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.support import Remote
    from tests.servers.exchange import Exchange

    Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def run(project: Path, tmp_path: Path) -> Run:
    """Runs `catalog` in a process, on the machine (a cache) that is named first."""

    def run(machine: str, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "datacachalog", "--catalog", project]
        return subprocess.run(
            [*map(str, [*command, "--cache-dir", tmp_path / machine, *args])],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def opened(project: Path, tmp_path: Path) -> Callable[[str], Catalog]:
    """The catalog on a machine."""
    return lambda machine: Catalog.open(project, cache_dir=tmp_path / machine)


def declare(project: Path, remote: Remote) -> None:
    (project / "catalog.yaml").write_text(
        f"version: 1\ndatasets:\n  customers: {{source: '{remote.source}'}}\n"
    )


@pytest.fixture
def unversioned_project(remote: Remote, project: Path) -> Path:
    declare(project, remote)
    return project


@pytest.fixture
def versioned_project(versioned: Remote, project: Path) -> Path:
    declare(project, versioned)
    return project


@pytest.mark.usefixtures("unversioned_project")
@pytest.mark.parametrize("size_bytes", [0, SMALL, BIG])
def test_a_second_machine_gets_the_same_bytes(remote, run, size_bytes):
    remote.put(1, size_bytes)
    assert 0 == run("here", "lock").returncode

    done = run("there", "fetch", "--locked", "customers")

    assert (0, "") == (done.returncode, done.stderr)
    assert payload(1, size_bytes) == read(done.stdout)


@pytest.mark.parametrize("size_bytes", [SMALL, BIG])
def test_it_gets_them_after_a_versioned_bucket_has_moved_on(
    versioned, versioned_project, run, size_bytes
):
    versioned.put(1, size_bytes)
    assert 0 == run("here", "lock").returncode
    versioned.put(2, size_bytes)
    text = (versioned_project / "catalog.lock").read_text()

    done = run("there", "fetch", "--locked", "--all", "--json")
    plain = run("there", "fetch", "customers")

    assert 0 == done.returncode, done.stderr
    (fetched,) = json.loads(done.stdout)
    pin = parsed(text, "catalog.lock")["customers"]
    assert (pin.version, f"blake3:{pin.digest}") == (fetched["version"], fetched["digest"])
    assert payload(1, size_bytes) == read(fetched["path"])
    assert payload(2, size_bytes) == read(plain.stdout)
    assert text == (versioned_project / "catalog.lock").read_text()


@pytest.mark.usefixtures("versioned_project")
def test_it_gets_them_after_the_object_was_deleted(versioned, run):
    versioned.put(1)
    assert 0 == run("here", "lock").returncode
    versioned.client.delete_object(Bucket=versioned.bucket, Key=versioned.key)

    done = run("there", "fetch", "--locked", "customers")

    assert payload(1, SMALL) == read(done.stdout)


@pytest.mark.parametrize("size_bytes", [SMALL, SMALL + 1])
@pytest.mark.usefixtures("unversioned_project")
def test_an_unversioned_bucket_that_has_moved_on_is_exit_code_8_and_says_how_and_since_when(
    remote, run, size_bytes
):
    remote.put(1)
    assert 0 == run("here", "lock").returncode
    before = remote.etag()
    time.sleep(1.1)
    remote.put(2, size_bytes)
    head = remote.client.head_object(Bucket=remote.bucket, Key=remote.key)

    done = run("there", "fetch", "--locked", "customers")

    assert (8, "") == (done.returncode, done.stdout)
    message, hint = done.stderr.splitlines()
    assert message.startswith("error: dataset 'customers' is not what is locked: ")
    assert (size_bytes != SMALL) == (f"size {SMALL} → {size_bytes}" in message)
    assert (size_bytes == SMALL) == ("blake3 " in message)
    assert f"etag {before} → {head['ETag']}" in message
    assert message.endswith(f"since {head['LastModified']:%Y-%m-%dT%H:%M:%SZ}")
    assert hint.startswith("hint: 'catalog lock --upgrade customers' ")


@pytest.mark.usefixtures("unversioned_project")
def test_an_upgrade_is_told_and_fetched(remote, run):
    remote.put(1)
    assert 0 == run("here", "lock").returncode
    remote.put(2, SMALL + 1)

    upgraded = run("here", "lock", "--upgrade", "customers")
    done = run("there", "fetch", "--locked", "customers")

    assert upgraded.stderr.startswith(f"Updated customers: size {SMALL} → {SMALL + 1}, etag ")
    assert payload(2, SMALL + 1) == read(done.stdout)


@pytest.mark.usefixtures("unversioned_project")
def test_a_cached_copy_costs_no_request_though_another_is_current(remote, opened):
    remote.put(1)
    catalog = opened("here")
    catalog.lock()
    remote.put(2)
    assert 2 == seed_of(catalog.fetch("customers").read_bytes())

    with remote.proxy.counted() as passed:
        fetched = opened("here").obtain("customers", locked=True)
        opened("here").lock()
        opened("here").lock(check=True)

    assert ([], Outcome.CACHED) == (passed.requests, fetched.outcome)
    assert 1 == seed_of(fetched.path.read_bytes())
    assert 2 == seed_of(catalog.fetch("customers").read_bytes())


@pytest.mark.usefixtures("versioned_project")
def test_a_locked_version_costs_one_request(versioned, opened):
    versioned.put(1)
    opened("here").lock()
    versioned.put(2)

    with versioned.proxy.counted() as passed:
        opened("there").fetch("customers", locked=True)

    assert ["GET"] == passed.methods


@pytest.mark.usefixtures("unversioned_project")
def test_the_same_bytes_in_parts_are_the_same_bytes(remote, opened):
    """Their entity tag is another one."""
    remote.put(1, 6 * MIB)
    opened("here").lock()
    before, data = remote.etag(), remote.read()
    names = {"Bucket": remote.bucket, "Key": remote.key}
    upload = remote.client.create_multipart_upload(**names)["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": remote.client.upload_part(
                **names, UploadId=upload, PartNumber=number, Body=part
            )["ETag"],
        }
        for number, part in enumerate((data[: 5 * MIB], data[5 * MIB :]), 1)
    ]
    remote.client.complete_multipart_upload(
        **names, UploadId=upload, MultipartUpload={"Parts": parts}
    )

    fetched = opened("there").fetch("customers", locked=True)

    assert before != remote.etag()
    assert data == fetched.read_bytes()


@pytest.mark.usefixtures("versioned_project")
def test_a_version_that_was_removed_for_good_is_told(versioned, opened):
    versioned.put(1)
    (locked,) = opened("here").lock()
    versioned.put(2, SMALL + 1)
    versioned.client.delete_object(
        Bucket=versioned.bucket, Key=versioned.key, VersionId=locked.after.version
    )

    with pytest.raises(LockMismatchError, match=f"version {locked.after.version} → .* no version"):
        opened("there").fetch("customers", locked=True)


@pytest.mark.usefixtures("unversioned_project")
def test_one_that_is_replaced_between_the_look_and_the_download_is_refused(remote, opened):
    remote.put(1)
    opened("here").lock()

    def replace(exchange: Exchange) -> Script | None:
        if exchange.method == "GET" and remote.key in exchange.path:
            remote.put(2)
        return None

    remote.proxy.hook = replace

    with pytest.raises(LockMismatchError, match="is not what is locked"):
        opened("there").fetch("customers", locked=True)


@pytest.mark.usefixtures("unversioned_project")
def test_a_store_that_is_down_gives_no_other_copy(remote, opened):
    remote.put(1)
    opened("here").lock()
    remote.put(2)
    opened("there").fetch("customers")
    remote.proxy.hook = lambda _: Script(reply=Reply(503))

    with pytest.raises(StorageUnavailableError):
        opened("there").fetch("customers", locked=True)
    assert 1 == seed_of(opened("here").fetch("customers", locked=True).read_bytes())


def read(stdout: str) -> bytes:
    with open(stdout.removesuffix("\n"), "rb") as file:  # noqa: PTH123
        return file.read()
