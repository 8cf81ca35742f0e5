"""`catalog verify`, on files."""

from __future__ import annotations

import json
import os
from pathlib import Path


def damaged(catalog):
    path = Path(catalog("fetch", "customers").stdout.strip())
    path.chmod(0o644)
    status = path.stat()
    path.write_bytes(b"ID\n1\n2\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return path


def test_whole_copies_are_intact(project, catalog):
    catalog("fetch", "customers")

    assert (0, "customers\tintact\t7\nsales\tabsent\t\n", "") == catalog(
        "verify", "customers", "sales"
    )


def test_damage_is_told_by_the_exit_code_once(project, catalog):
    path = damaged(catalog)

    told = "what was damaged is removed; the next fetch downloads it again\n"
    assert (7, "customers\tdamaged\t\n", told) == catalog("verify", "customers")

    assert not path.exists()
    assert (0, "customers\tabsent\t\n", "") == catalog("verify", "customers")


def test_damage_is_repaired(project, catalog):
    path = damaged(catalog)

    code, stdout, _ = catalog("verify", "customers", "--repair", "--json")

    (found,) = json.loads(stdout)
    assert (0, "repaired", [str(path)], None) == (
        code,
        found["state"],
        found["damaged"],
        found["error"],
    )
    assert "id\n1\n2\n" == Path(found["cached"]["path"]).read_text()


def test_what_cannot_be_repaired_is_told(project, catalog):
    damaged(catalog)
    (project / "data" / "customers.csv").unlink()

    code, stdout, stderr = catalog("verify", "customers", "--repair")

    assert (7, "customers\tdamaged\t\n") == (code, stdout)
    assert "warning: customers: there is no object at" in stderr


def test_what_cannot_be_looked_at_is_not_called_damaged(project, catalog, monkeypatch):
    catalog("fetch", "customers")
    monkeypatch.setattr("datacachalog.adapters.cache.entries.names_in", forbidden)

    code, stdout, stderr = catalog("verify", "customers")

    assert (9, "customers\tunknown\t\n") == (code, stdout)
    assert "warning: customers: the cache at" in stderr


def forbidden(_):
    raise PermissionError(13, "Permission denied")
