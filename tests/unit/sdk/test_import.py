"""Who imports the SDK waits for nothing that it may not need."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

import datacachalog

_HEAVY = {
    "anycrc",
    "boto3",
    "botocore",
    "click",
    "configparser",
    "datacachalog.application",
    "datacachalog.bootstrap",
    "datacachalog.server",
    "duckdb",
    "email.utils",
    "fastapi",
    "http.client",
    "obstore",
    "pandas",
    "polars",
    "pyarrow",
    "pydantic",
    "rich",
    "sqlalchemy",
    "ssl",
    "urllib3",
    "yaml",
}
_SDK = "import datlake_sdk; [getattr(datlake_sdk, name) for name in datlake_sdk.__all__]"


def _loaded(code: str) -> set[str]:
    code = f"import sys; {code}; print(*sys.modules)"
    asked = [sys.executable, "-c", code]
    return set(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split())


def _cpu_ms(code: str, times: int) -> float:
    """The least CPU time that a program took, of several times."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    took = []
    for _ in range(times + 1):  # the first may have to compile
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(took) * 1000


def test_it_loads_no_library_and_nothing_of_the_catalog():
    assert not _HEAVY & _loaded(_SDK)


def test_a_client_that_asks_nothing_loads_no_more():
    code = f"{_SDK}; c = datlake_sdk.DatlakeClient('http://localhost', 'k'); repr(c)"
    assert not _HEAVY & _loaded(code)


def test_it_takes_not_much_longer_than_the_bare_interpreter():
    # 80 ms are allowed where the machine does nothing else; here many tests may run beside.
    assert _cpu_ms(_SDK, 5) - _cpu_ms("pass", 5) < 240


def test_the_names_of_the_catalog_are_loaded_as_they_are_asked_for():
    assert "datacachalog.bootstrap" not in _loaded("import datacachalog")
    found = _loaded("from datacachalog import Dataset")
    assert "datacachalog.domain.dataset" in found
    assert "datacachalog.bootstrap" not in found


def test_all_names_of_the_catalog_are_known_before():
    assert set(datacachalog.__all__) <= set(dir(datacachalog))
    code = "from datacachalog import *; print(len([Catalog, Dataset, StorageError, Uri]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"4" == done.stdout.strip()
    for name in datacachalog.__all__:
        assert name == getattr(datacachalog, name).__name__


def test_a_name_that_it_has_not_is_told_as_of_any_module():
    with pytest.raises(AttributeError, match=r"module 'datacachalog' has no attribute 'Catalogue'"):
        datacachalog.Catalogue  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(ImportError):
        from datacachalog import Catalogue  # type: ignore[attr-defined] # noqa: F401
