"""The doctor tells what is wrong, whatever is wrong, and tells no secret."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from typing import Any

import pytest

from datacachalog import Dataset, Uri
from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.adapters.storage.router import RouterStorage
from datacachalog.cli.findings import catalog_file, environment, versions
from datacachalog.cli.options import GlobalOptions
from datacachalog.cli.store_findings import StoreCheck, aws_settings
from datacachalog.domain.errors import StorageAccessError, StorageUnavailableError
from datacachalog.domain.storage_options import StorageOptions

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}


@pytest.fixture
def diagnosis(catalog):
    """What the doctor finds, by check; the stores in a list."""

    def diagnose(*options: str) -> tuple[int, dict[str, Any]]:
        code, stdout, _ = catalog(*options, "doctor", "--json")
        found = json.loads(stdout)
        stores = [one for one in found if one["check"] == "store"]
        return code, {one["check"]: one for one in found} | {"stores": stores}

    return diagnose


def test_a_healthy_project_passes_every_check(project, catalog, diagnosis, tmp_path):
    catalog("fetch", "customers")

    code, found = diagnosis()

    assert 0 == code
    assert all(one["ok"] for check, one in found.items() if check != "stores")
    assert (3, str(project / "catalog.yaml")) == (
        found["catalog"]["datasets"],
        found["catalog"]["file"],
    )
    assert (str(tmp_path / "cache"), "DATACACHALOG_CACHE_DIR", 1, 7, True) == (
        found["cache"]["dir"],
        found["cache"]["set_by"],
        found["cache"]["copies"],
        found["cache"]["size_bytes"],
        found["cache"]["locks"],
    )
    assert [(f"{project}/data/", 3)] == [(one["store"], one["datasets"]) for one in found["stores"]]


def test_people_read_one_line_a_check(project, catalog):
    code, stdout, stderr = catalog("doctor")

    assert (0, "") == (code, stderr)
    assert ["versions", "environment", "catalog", "cache", "store"] == [
        line.split("\t")[0] for line in stdout.splitlines()
    ]
    assert f"{project}/catalog.yaml (the nearest from here upward), 3 datasets" in stdout


def test_people_are_spared_what_only_programs_need(project, catalog, diagnosis):
    rows = dict(line.split("\t") for line in catalog("doctor").stdout.splitlines())

    _, found = diagnosis()
    assert "identity" not in rows["store"]
    assert re.fullmatch(rf"{project}/data/ answers in [\d.e-]+ s", rows["store"])
    assert "botocore" not in rows["versions"]
    assert {"identity", "seconds"} <= {*found["stores"][0]}
    assert {"botocore", "platform", "rich"} <= {*found["versions"]}


def test_no_catalog_is_one_failed_check_among_others(diagnosis, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code, found = diagnosis()

    assert (2, "catalog-not-found") == (code, found["catalog"]["error"]["code"])
    assert ("the default", True) == (found["cache"]["set_by"], found["cache"]["ok"])


def test_a_broken_catalog_is_told_with_its_mistakes(project, catalog, diagnosis):
    (project / "catalog.yaml").write_text("version: 1\ndatasts: {}\n")

    code, found = diagnosis()

    assert (2, "catalog-invalid") == (code, found["catalog"]["error"]["code"])
    assert "catalog.yaml:2" in found["catalog"]["error"]["message"]
    _, stdout, stderr = catalog("doctor")
    assert "1 of 4 checks failed\n" == stderr
    assert "('catalog init DIR' writes a catalog that names every key" in stdout


def test_a_cache_that_cannot_be_used_fails_its_check(project, diagnosis, tmp_path):
    (tmp_path / "file").write_text("")

    code, found = diagnosis("--cache-dir", str(tmp_path / "file" / "cache"))

    assert (9, "--cache-dir", False) == (code, found["cache"]["set_by"], found["cache"]["ok"])


def test_a_cache_that_is_not_safe_to_use_is_told_and_left_as_it_is(
    project, diagnosis, tmp_path, monkeypatch
):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    before = (tmp_path / "open").stat().st_mtime_ns

    code, found = diagnosis("--cache-dir", str(tmp_path / "open"))

    assert (9, "cache-unsafe") == (code, found["cache"]["error"]["code"])
    assert before == (tmp_path / "open").stat().st_mtime_ns
    monkeypatch.setenv("DATACACHALOG_SHARED", "1")
    assert diagnosis("--cache-dir", str(tmp_path / "open"))[1]["cache"]["ok"]


def test_a_cache_that_is_not_there_yet_is_not_made(project, diagnosis, tmp_path):
    _, found = diagnosis("--cache-dir", str(tmp_path / "new" / "cache"))

    assert found["cache"]["ok"]
    assert not (tmp_path / "new").exists()


def test_the_catalog_may_say_where_the_cache_is(project, diagnosis, monkeypatch):
    monkeypatch.delenv("DATACACHALOG_CACHE_DIR")
    with (project / "catalog.yaml").open("a") as file:
        file.write("cache:\n  dir: .cache\n")

    _, found = diagnosis()

    assert ("catalog.yaml", f"{project}/.cache") == (
        found["cache"]["set_by"],
        found["cache"]["dir"],
    )


def test_layers_are_told_and_so_is_one_that_is_missing(project, catalog):
    catalog("--cache-dir", "layer", "fetch", "customers")
    (project / "open").mkdir()
    (project / "open").chmod(0o777)
    with (project / "catalog.yaml").open("a") as file:
        file.write("cache:\n  layers: [layer, lair, open]\n")

    code, stdout, _ = catalog("doctor")

    there, missing, unsafe = [
        line.partition("\t")[2] for line in stdout.splitlines() if line.startswith("layer")
    ]
    assert 9 == code
    assert there.endswith("/project/layer, 1 copy")
    assert missing.endswith("/project/lair, which is no folder here, so it has nothing")
    assert unsafe.startswith("failed: the cache at")


def test_a_folder_that_is_not_there_fails_its_check(project, diagnosis):
    (project / "catalog.yaml").write_text(
        "version: 1\ndatasets:\n  a: {source: data/customers.csv}\n  b: {source: lost/b.csv}\n"
    )

    code, found = diagnosis()

    assert (3, [True, False]) == (code, [one["ok"] for one in found["stores"]])


def test_the_first_failure_decides_the_exit_code(project, diagnosis, tmp_path):
    (tmp_path / "file").write_text("")
    (project / "catalog.yaml").write_text("version: 1\ndatasets:\n  b: {source: lost/b.csv}\n")

    code, _ = diagnosis("--cache-dir", str(tmp_path / "file" / "cache"))

    assert 9 == code


def test_a_scheme_that_nobody_serves_fails_its_check(project, diagnosis):
    (project / "catalog.yaml").write_text("version: 1\ndatasets:\n  a: {source: tape://1/a}\n")

    code, found = diagnosis()

    assert (2, "catalog-invalid") == (code, found["catalog"]["error"]["code"])


def test_no_secret_is_told(project, catalog, monkeypatch):
    (project / "catalog.yaml").write_text(
        "version: 1\n"
        "storage: {'s3://lake': {endpoint_url: 'http://127.0.0.1:9'}}\n"
        "datasets:\n  a: {source: s3://lake/a}\n"
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)

    code, stdout, stderr = catalog("doctor")

    assert 6 == code
    assert SECRET not in stdout + stderr
    assert "AKIAIOSFODNN7" not in stdout + stderr
    assert (
        "endpoint http://127.0.0.1:9; region us-east-1; credentials environment (…MPLE)" in stdout
    )
    assert "AWS_ACCESS_KEY_ID, AWS_CONFIG_FILE" in stdout


def test_versions_name_this_package_and_its_libraries():
    details = versions().details

    assert {"datacachalog", "python", "platform", "obstore", "boto3", "blake3"} <= {*details}
    assert None not in details.values()


def test_a_library_that_is_not_installed_has_no_version(monkeypatch):
    monkeypatch.setattr("datacachalog.cli.findings._PACKAGES", ("no-such-package",))

    assert versions().details["no-such-package"] is None


def test_variables_are_named_and_their_values_are_not():
    found = environment(
        {"AWS_SECRET_ACCESS_KEY": SECRET, "https_proxy": "http://u:p@h", "PWD": "/"}
    )

    assert ("AWS_SECRET_ACCESS_KEY, https_proxy", None) == (found.said, found.error)


@pytest.mark.parametrize(
    ("options", "environ", "found_by"),
    [
        (GlobalOptions(), {}, "the nearest from here upward"),
        (GlobalOptions(), {"DATACACHALOG_CATALOG": "."}, "DATACACHALOG_CATALOG"),
    ],
)
def test_it_is_told_how_the_catalog_was_found(project, options, environ, found_by):
    finding, _ = catalog_file(options, environ)

    assert found_by == finding.details["found_by"]


def test_it_is_told_that_an_option_named_the_catalog(project):
    finding, _ = catalog_file(GlobalOptions(catalog=project), {"DATACACHALOG_CATALOG": "elsewhere"})

    assert "--catalog" == finding.details["found_by"]


class TestStores:
    @pytest.fixture
    def storage(self):
        storage = MemoryStorage()
        storage.put(Uri.parse("mem://lake/a"), b"a")
        return storage

    def test_a_bucket_is_asked_once_for_all_its_datasets(self, storage):
        storage.put(Uri.parse("mem://lake/x/a"), b"a")
        datasets = [Dataset("a", "mem://lake/x/a"), Dataset("b", "mem://lake/y/b")]

        found = StoreCheck(storage, {}, {}).findings(datasets)

        assert [("mem://lake/", 2)] == [
            (one.details["store"], one.details["datasets"]) for one in found
        ]
        assert ["walk"] == storage.requests

    def test_a_bucket_that_is_reached_in_two_ways_is_asked_in_both(self, storage):
        options = {"mem://lake/x": StorageOptions(region="x")}
        datasets = [Dataset("a", "mem://lake/x/a"), Dataset("b", "mem://lake/y/b")]

        assert 2 == len(StoreCheck(storage, options, {}).findings(datasets))

    def test_a_store_that_does_not_answer_is_not_waited_for(self, storage):
        answer = threading.Event()
        storage.before = lambda *_: answer.wait()

        (found,) = StoreCheck(storage, {}, {}, timeout_s=0.05).findings(
            [Dataset("a", "mem://lake/a")]
        )

        answer.set()
        assert "'mem://lake/' cannot be reached: no answer within 0 s" == str(found.error)

    def test_no_store_is_asked_offline_but_files(self, storage, tmp_path):
        datasets = [Dataset("a", "mem://lake/a"), Dataset("b", tmp_path / "b")]
        both = RouterStorage(lambda uri: storage if uri.scheme == "mem" else FilesystemStorage())
        check = StoreCheck(both, {}, {}, offline=True)

        remote, local = check.findings(datasets)

        assert ("mem://lake/ is not asked while offline", None) == (remote.said, remote.error)
        assert local.said.startswith(f"{tmp_path}/ answers")
        assert [] == storage.requests

    def test_a_store_that_may_be_read_and_not_listed_answers(self, storage):
        storage.fail(1, StorageAccessError("mem://lake/", "no listing"), operation="walk")

        (found,) = StoreCheck(storage, {}, {}).findings([Dataset("a", "mem://lake/a")])

        assert (None, ["walk", "stat"]) == (found.error, storage.requests)

    def test_a_store_that_fails_is_told(self, storage):
        storage.fail(1, StorageUnavailableError("mem://lake/", "reset"))

        (found,) = StoreCheck(storage, {}, {}).findings([Dataset("a", "mem://lake/a")])

        assert "'mem://lake/' cannot be reached: reset" == str(found.error)


class TestAwsSettings:
    def test_keys_of_the_environment_are_told_by_their_end(self):
        assert {
            "endpoint": "AWS",
            "region": "eu-west-1",
            "profile": None,
            "credentials": "environment (…MPLE)",
        } == aws_settings(StorageOptions(), KEYS | {"AWS_REGION": "eu-west-1"})

    def test_an_anonymous_store_uses_none(self):
        settings = aws_settings(StorageOptions(anonymous=True), KEYS)

        assert "none (anonymous)" == settings["credentials"]

    def test_a_profile_is_found_where_boto3_finds_it(self, nobodys_home):
        folder = nobodys_home / ".aws"
        folder.mkdir()
        (folder / "credentials").write_text(
            f"[team]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = {SECRET}\n"
        )
        (folder / "config").write_text("[profile team]\nregion = eu-north-1\n")
        environ = {"HOME": str(nobodys_home)}

        settings = aws_settings(StorageOptions(profile="team"), environ)

        assert ("team", "eu-north-1", "shared-credentials-file (…MPLE)") == (
            settings["profile"],
            settings["region"],
            settings["credentials"],
        )

    @pytest.mark.parametrize(
        ("profile", "credentials"), [(None, "none found"), ("nobody", "none (ProfileNotFound)")]
    )
    def test_no_credentials_are_told_as_such(self, nobodys_home, profile, credentials):
        options = replace(StorageOptions(), profile=profile)

        settings = aws_settings(options, {"HOME": str(nobodys_home)})

        assert credentials == settings["credentials"]
