"""The pages of the documentation that need S3, and the example that does, on a real server."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.pages import ROOT, Sandbox, blocks_of, pages, run_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.servers.seaweedfs import SeaweedFS

ON_S3 = [page for page in pages() if any("needs-s3" in block.marks for block in blocks_of(page))]


@pytest.fixture
def lake(seaweedfs: SeaweedFS) -> Iterator[SeaweedFS]:
    """The server, with the two versions of two objects in the bucket `lake` that the pages tell of.

    Versions are told apart by their second.
    """
    client = seaweedfs.client()
    client.create_bucket(Bucket="lake")
    client.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    for data in ((ROOT / "data" / "customers.csv").read_bytes()[:4096], None):
        client.put_object(
            Bucket="lake",
            Key="customers/customers.csv",
            Body=data or (ROOT / "data" / "customers.csv").read_bytes(),
        )
        client.put_object(
            Bucket="lake",
            Key="orders/orders.jsonl",
            Body=data or (ROOT / "data" / "orders.jsonl").read_bytes(),
        )
        time.sleep(1.1)
    yield seaweedfs
    for found in client.list_object_versions(Bucket="lake").get("Versions", []):
        client.delete_object(Bucket="lake", Key=found["Key"], VersionId=found["VersionId"])
    client.delete_bucket(Bucket="lake")
    client.close()


@pytest.mark.parametrize("page", ON_S3)
def test_what_a_page_tells_of_s3_is_true(
    page: str,
    lake: SeaweedFS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    use_environment: Callable[[Mapping[str, str]], None],
) -> None:
    sandbox = Sandbox(tmp_path)
    use_environment(sandbox.environ() | lake.environment())
    monkeypatch.chdir(sandbox.shop)
    monkeypatch.syspath_prepend(str(sandbox.shop))

    run_page(page, sandbox, with_s3=True)


def test_the_example_with_versions_runs(
    lake: SeaweedFS, tmp_path: Path, use_environment: Callable[[Mapping[str, str]], None]
) -> None:
    use_environment(lake.environment() | {"DATACACHALOG_CACHE_DIR": str(tmp_path / "cache")})

    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "versions.py", "s3://lake/examples/prices.csv"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert "as it was" in done.stdout
