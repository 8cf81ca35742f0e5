"""Many processes, few datasets that never stop changing, and one that is killed every second."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from datacachalog.adapters.cache.directory import DirectoryCache
from tests.faults.shim import Fault, Kind, environment
from tests.faults.support import leftovers
from tests.faults.swarm import Versions, catalog_of, name_of, object_of, told_by
from tests.integration.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_s3 import S3Client

    from tests.servers.seaweedfs import SeaweedFS

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("locks", ["locks", "no-locks"])
def test_f35_a_swarm_never_sees_wrong_bytes(
    seaweedfs: SeaweedFS,
    use_environment: Callable[[Mapping[str, str]], None],
    tmp_path: Path,
    whole: bool,
    locks: str,
) -> None:
    """Also F34, F37, F41, P4 and T22 at once; without locks as on a file system that has none."""
    processes, datasets, seconds = (16, 200, 600) if whole else (4, 6, 10)
    use_environment(seaweedfs.environment())
    cache, reports = tmp_path / "cache", tmp_path / "reports"
    reports.mkdir()
    settings = {
        "bucket": seaweedfs.bucket(),
        "datasets": datasets,
        "cache_dir": str(cache),
        "versions": str(tmp_path / "versions"),
        "reports": str(reports),
        "over": str(tmp_path / "over"),
    }
    fault = Fault(str(cache), Kind.NO_FLOCK) if locks == "no-locks" else None
    client, versions = seaweedfs.client(), Versions(tmp_path / "versions", datasets)

    with _churned(client, settings, versions):
        killed = _swarm(settings, processes, seconds, environment(fault) if fault else None)
    catalog = catalog_of(settings)
    paths = catalog.fetch_all()

    wrong = "\n".join(file.read_text() for file in reports.glob("*.wrong"))
    assert not wrong, wrong
    done, refused = _counted(reports)
    assert killed >= seconds // 3
    assert done > processes  # many more, where the machine has nothing else to do
    assert refused < max(5, done / 10)
    for n in range(datasets):
        assert (n, versions[n]) == told_by(paths[name_of(n)].read_bytes())
    for entry in DirectoryCache(cache).entries():
        told_by(entry.path.read_bytes())
        assert 0 == entry.path.stat().st_mode & 0o222
    folders = {path.parent for path in (cache / "v1" / "objects").glob("*/*/*.csv")}
    assert folders == {entry.path.parent for entry in DirectoryCache(cache).entries()}
    assert [] == leftovers(cache)
    client.close()
    versions.close()


def _swarm(
    settings: dict[str, Any], processes: int, seconds: float, environ: dict[str, str] | None
) -> int:
    """Lets processes work for a while, and kills or stops one of them a second; how many.

    The while is longer where the machine is so busy that less has happened than is asked for.
    """
    begun, chance, killed, seeds = time.time(), random.Random(4), 0, iter(range(10**6))

    def born() -> subprocess.Popen[str]:
        until = begun + seconds + 300  # should nobody tell them that it is over
        told = json.dumps({**settings, "until": until, "seed": next(seeds)})
        command = [sys.executable, "-m", "tests.faults.swarm", told]
        return subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)

    living = [born() for _ in range(processes)]
    try:
        while time.time() < begun + seconds - 2 or killed < seconds // 3:
            time.sleep(chance.uniform(0.5, 1.5))
            unlucky = living.pop(chance.randrange(len(living)))
            if chance.random() < 0.3:  # whoever holds a lock is held up too
                unlucky.send_signal(signal.SIGSTOP)
                time.sleep(0.3)
            unlucky.kill()
            unlucky.communicate()
            killed += 1
            living.append(born())
        time.sleep(2)
        wait_until(lambda: _counted(Path(settings["reports"]))[0] > processes)
        Path(settings["over"]).touch()
        for process in living:
            _, said = process.communicate(timeout=120)
            assert (0, "") == (process.returncode, said)
    finally:
        for process in living:
            process.kill()
            process.communicate()
    return killed


def _counted(reports: Path) -> tuple[int, int]:
    """How much was done, and how much was refused, by all that there ever were."""
    found = [file.read_text().split() for file in reports.glob("*.done")]
    counts = [one for one in found if one]  # nothing: it was killed as it wrote, or writes
    return sum(int(done) for done, _ in counts), sum(int(refused) for _, refused in counts)


@contextmanager
def _churned(client: S3Client, settings: dict[str, Any], versions: Versions) -> Iterator[None]:
    """Stores one version of a dataset after another until the block ends."""
    over, chance = threading.Event(), random.Random(5)

    def put(dataset: int) -> None:
        data, key = object_of(dataset, versions[dataset] + 1), f"{name_of(dataset)}.csv"
        client.put_object(Bucket=settings["bucket"], Key=key, Body=data)
        versions[dataset] += 1

    def churn() -> None:
        while not over.wait(0.02):
            put(chance.randrange(settings["datasets"]))

    for dataset in range(settings["datasets"]):
        put(dataset)
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
