"""Single values: what they may be, and what is said of those that may not."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.durability import Durability
from datacachalog.domain.housekeeping import Bounds
from datacachalog.domain.sizes import MinFree
from datacachalog.domain.storage_options import StorageOptions
from datacachalog.manifest.values import expanded
from tests.unit.manifest.catalogs import declared, mistakes

POLICY = "must be always, never or a duration such as 10m"
CREDENTIALS = "holds credentials; they belong in the environment or in a profile"
DOLLAR = "has a '$' that begins no '${NAME}'; write '$$' for a dollar sign"
ADDRESS = "must be an address such as https://host:port, without a query"


NO_TABLE = "names no table: write datlake://table, or datlake://namespace.table@snapshot"


def in_dataset(line: str) -> str:
    source = "" if line.startswith("source:") else "    source: s3://lake/a.csv\n"
    return f"version: 1\ndatasets:\n  a:\n    {line}\n{source}"


def in_storage(line: str) -> str:
    return f"version: 1\nstorage:\n  s3://:\n    {line}\n"


def in_cache(line: str) -> str:
    return f"version: 1\n\ncache:\n  {line}\n"


DATASET_MISTAKES = [
    (
        "checksum: 12",
        "'checksum' in dataset 'a' must be text, and 12 is a number; put it in quotes",
    ),
    ("checksum: sha1:12", "'checksum' in dataset 'a' must be one of sha256:…, md5:…, blake3:…"),
    (
        f"checksum: sha256:{'g' * 64}",
        "'checksum' in dataset 'a' must have 64 hexadecimal digits after 'sha256:'",
    ),
    (f"checksum: md5:{'A' * 32}", None),
    ("on_unreachable: true", "'on_unreachable' in dataset 'a' must be stale or fail"),
    ("on_unreachable: [stale]", "'on_unreachable' in dataset 'a' must be stale or fail"),
    ("source:", "'source' in dataset 'a' is empty"),
    ("source: ''", "'source' in dataset 'a' is empty"),
    ("source: ~", "'source' in dataset 'a' is empty"),
    ("source: [a.csv]", "'source' in dataset 'a' must be text"),
    (
        "source: 2024",
        "'source' in dataset 'a' must be text, and 2024 is a number; put it in quotes",
    ),
    ("source: 1e3", None),
    ("source: =", None),
    ("source: <<", None),
    (
        "source: yes",
        "'source' in dataset 'a' must be text, and yes is a truth value; put it in quotes",
    ),
    (
        "source: 2024-01-01",
        "'source' in dataset 'a' must be text, and 2024-01-01 is a date; put it in quotes",
    ),
    (
        "source: !!int 12",
        "'source' in dataset 'a' must be text, and 12 is a number; put it in quotes",
    ),
    ("source: !!str 12", None),
    ('source: "a\\tb.csv"', "'source' in dataset 'a' holds a control character"),
    (
        "source: s3://lake/*.csv",
        "'source' in dataset 'a' is a pattern; datasets of many files are not supported yet",
    ),
    (
        "source: s3://lake/folder/",
        "'source' in dataset 'a' is a folder; datasets of many files are not supported yet",
    ),
    (
        "source: s3://lake/${NAME}.csv",
        "'source' in dataset 'a' is a template; parameters are not supported yet",
    ),
    (
        "source: datlake://sales/q1",
        "'source' in dataset 'a' " + NO_TABLE,
    ),
    (
        "source: datlake:sales",
        "'source' in dataset 'a' has no '://' after 'datlake'; if it is a path, begin it with './'",
    ),
    ("source: s3://lake", "'source' in dataset 'a' names no object, only where objects are"),
    (
        "source: ~/a.csv",
        "'source' in dataset 'a' begins with '~', which means nothing here; write the path in full",
    ),
    (
        "source: s3:/lake/a.csv",
        "'source' in dataset 'a' has no '://' after 's3'; if it is a path, begin it with './'",
    ),
    (
        "source: s3//lake/a.csv",
        "'source' in dataset 'a' has no '://' after 's3'; if it is a path, begin it with './'",
    ),
    ("source: s3://KEY:SECRET@lake/a.csv", "'source' in dataset 'a' holds credentials"),
    ("source: https://u:SECRET@host/*.csv", "'source' in dataset 'a' holds credentials"),
    (
        "source: https://host/a.csv?sig=SECRET",
        "'source' in dataset 'a' is a pattern; datasets of many files are not supported yet",
    ),
    ("source: s3://lake/../a.csv", "'source' in dataset 'a' has a '.' or '..' segment"),
    ("description: [a]", "'description' in dataset 'a' must be text"),
    ("tags: sales", "'tags' in dataset 'a' must be a list, such as [sales, daily]"),
    ("tags:", "'tags' in dataset 'a' must be a list, such as [sales, daily]"),
    (
        "tags: [a, 2024]",
        "each of 'tags' in dataset 'a' must be text, and 2024 is a number; put it in quotes",
    ),
    ("tags: ['']", "each of 'tags' in dataset 'a' is empty"),
    ("tags: [[a]]", "each of 'tags' in dataset 'a' must be text"),
    ("freshness: 10", f"'freshness' in dataset 'a' {POLICY}, not '10'"),
    ("freshness:", f"'freshness' in dataset 'a' {POLICY}, not ''"),
    ("freshness: 2024-01-01", f"'freshness' in dataset 'a' {POLICY}, not '2024-01-01'"),
    ("freshness: [10m]", f"'freshness' in dataset 'a' {POLICY}"),
    ("push: yes", "'push' in dataset 'a' must be true or false"),
    ("push: 'true'", "'push' in dataset 'a' must be true or false"),
    ("push: 1", "'push' in dataset 'a' must be true or false"),
    ("push:", "'push' in dataset 'a' must be true or false"),
    ("push: {}", "'push' in dataset 'a' must be true or false"),
]
STORAGE_MISTAKES = [
    ("region: 1", "'region' in storage 's3://' must be text, and 1 is a number; put it in quotes"),
    (
        "region: no",
        "'region' in storage 's3://' must be text, and no is a truth value; put it in quotes",
    ),
    ('region: "a\\nHost: evil"', "'region' in storage 's3://' holds a control character"),
    ("profile: ''", "'profile' in storage 's3://' is empty"),
    ("anonymous: 'true'", "'anonymous' in storage 's3://' must be true or false"),
    ("anonymous: ${WORD}", "'anonymous' in storage 's3://' must be true or false"),
    ("anonymous: [true]", "'anonymous' in storage 's3://' must be true or false"),
    ("addressing_style: virtuel", "'addressing_style' in storage 's3://' must be path or virtual"),
    ("addressing_style:", "'addressing_style' in storage 's3://' is empty"),
    ("endpoint_url: minio:9000", f"'endpoint_url' in storage 's3://' {ADDRESS}"),
    ("endpoint_url: ftp://host", f"'endpoint_url' in storage 's3://' {ADDRESS}"),
    ("endpoint_url: https://host/?sig=SECRET", f"'endpoint_url' in storage 's3://' {ADDRESS}"),
    ("endpoint_url: https://u:SECRET@host", f"'endpoint_url' in storage 's3://' {CREDENTIALS}"),
    ("endpoint_url: https://${LOGIN}host", f"'endpoint_url' in storage 's3://' {CREDENTIALS}"),
    (
        "endpoint_url: https://host:99999",
        "'endpoint_url' in storage 's3://' has a port that is not between 1 and 65535",
    ),
    (
        "{endpoint_url: 'http://host', allow_http: false}",
        "'endpoint_url' in storage 's3://' is plain http, which 'allow_http: false' forbids",
    ),
    (
        "endpoint_url: ${HTTP_STORE}",
        (
            "'endpoint_url' in storage 's3://' is plain http by an environment variable; "
            "add 'allow_http: true' if that is meant"
        ),
    ),
    (
        "endpoint_url: https://${AWS_SECRET_ACCESS_KEY}.evil.example",
        (
            "'endpoint_url' in storage 's3://' refers to 'AWS_SECRET_ACCESS_KEY', "
            "which sounds like a secret; none is needed here"
        ),
    ),
    (
        "region: ${NOWHERE}",
        "'region' in storage 's3://' refers to the variable 'NOWHERE', which is not set",
    ),
    (
        "region: $REGION",
        f"'region' in storage 's3://' {DOLLAR}",
    ),
    (
        "region: ${REGION",
        f"'region' in storage 's3://' {DOLLAR}",
    ),
    ("region: ${LINES}", "'region' in storage 's3://' holds a control character"),
    (
        f"region: {'$$' * 9}{'${WORD}' * 8}",
        "'region' in storage 's3://' has more than 16 references",
    ),
    (
        "region: ${WORD}${LONG}${LONG}",
        "'region' in storage 's3://' comes to more than 4096 characters",
    ),
]
CACHE_MISTAKES = [
    ("dir:", "'dir' in 'cache' is empty"),
    ("dir: [x]", "'dir' in 'cache' must be text"),
    ("dir: file:///tmp/x", "'dir' in 'cache' must be a folder of this machine, not a URI"),
    ("dir: s3://lake/x", "'dir' in 'cache' must be a folder of this machine, not a URI"),
    ("dir: ~root/x", "'dir' in 'cache' begins with '~' and a name; only '~/' is known"),
    ("dir: ~/x", "'dir' in 'cache' begins with '~', and the variable 'HOME' is not set"),
]
ENVIRON = {
    "WORD": "perhaps",
    "LOGIN": "user:SECRET@",
    "HTTP_STORE": "http://SECRET.example",
    "AWS_SECRET_ACCESS_KEY": "SECRET",
    "LINES": "SECRET\nHost: evil",
    "LONG": "x" * 2048,
}


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        *((in_dataset(line), mistake) for line, mistake in DATASET_MISTAKES),
        *((in_storage(line), mistake) for line, mistake in STORAGE_MISTAKES),
        *((in_cache(line), mistake) for line, mistake in CACHE_MISTAKES),
    ],
)
def test_a_wrong_value_is_named_and_no_secret_with_it(text: str, mistake: str | None):
    if mistake is None:
        declared(text, **ENVIRON)
        return
    assert [f"catalog.yaml:4: {mistake}"] == mistakes(text, **ENVIRON)
    assert "SECRET" not in mistake.replace("AWS_SECRET_ACCESS_KEY", "")


@pytest.mark.parametrize(
    "name",
    [
        "ACCESSKEY",
        "AWS_CONTAINER_AUTHORIZATION",
        "AZURE_STORAGE_CONNECTION_STRING",
        "BEARER",
        "CI_JOB_JWT",
        "DATABASE_URL",
        "DB_PW",
        "DOCKER_AUTH_CONFIG",
        "SESSION_COOKIE",
        "BLOB_SAS",
        "DB_PASS",
        "GITHUB_PAT",
        "GPG_PASSPHRASE",
        "MYSQL_PWD",
        "PASSWD",
        "SENTRY_DSN",
        "pg_pwd_file",
    ],
)
def test_a_variable_whose_name_sounds_like_a_secret_is_refused(name):
    (mistake,) = mistakes(in_storage(f"region: ${{{name}}}"), **{name: "x"})

    assert f"refers to {name!r}, which sounds like a secret" in mistake


@pytest.mark.parametrize(
    "name",
    ["PWD", "OLDPWD", "PASSAGE", "KEYBOARD", "KANSAS", "SASKIA", "AUTHORS", "GIT_AUTHOR", "S3_URL"],
)
def test_a_variable_whose_name_does_not_is_taken(name):
    declared(in_storage(f"region: ${{{name}}}"), **{name: "x"})


def test_each_wrong_tag_is_named_on_its_own_line():
    text = in_dataset("tags:\n      - 1\n      - fine\n      - 2024-01-01")
    tag = "each of 'tags' in dataset 'a'"

    assert [
        f"catalog.yaml:5: {tag} must be text, and 1 is a number; put it in quotes",
        f"catalog.yaml:7: {tag} must be text, and 2024-01-01 is a date; put it in quotes",
    ] == mistakes(text)


@pytest.mark.parametrize(
    ("written", "description"),
    [
        ("One row per customer", "One row per customer"),
        ("|\n      two\n      lines\n", "two\nlines"),
        (">\n      one\n      line\n", "one line"),
        ("2024-01-01", "2024-01-01"),
        ("no", "no"),
        ("007", "007"),
        ("costs ${PRICE}", "costs ${PRICE}"),
        ("", ""),
        ("~", ""),
        ("'~'", "~"),
    ],
)
def test_a_description_is_taken_as_it_is_written(written: str, description: str):
    [dataset] = declared(in_dataset(f"description: {written}")).datasets

    assert description == dataset.description


@pytest.mark.parametrize(("written", "push"), [("true", True), ("False", False), ("TRUE", True)])
def test_a_flag_is_true_or_false(written: str, push: bool):
    [dataset] = declared(in_dataset(f"push: {written}")).datasets

    assert push is dataset.push


@pytest.mark.parametrize(
    ("lines", "environ", "options"),
    [
        ("region: ${R}", {"R": "eu-west-1"}, StorageOptions(region="eu-west-1")),
        ("region: ${R:-eu-west-1}", {"R": ""}, StorageOptions(region="eu-west-1")),
        ("region: ${R:-}", {}, StorageOptions()),
        ("region: ${R}", {"R": ""}, StorageOptions()),
        ("region: a$$b-${R}-${R}", {"R": "$R"}, StorageOptions(region="a$b-$R-$R")),
        ("profile: ${P}", {"P": "123"}, StorageOptions(profile="123")),
        ("anonymous: ${A}", {"A": "true"}, StorageOptions(anonymous=True)),
        ("anonymous: '${A:-false}'", {}, StorageOptions(anonymous=False)),
        ("addressing_style: ${S:-path}", {}, StorageOptions(addressing_style="path")),
        (
            "endpoint_url: https://${H}:${P}/minio",
            {"H": "h", "P": "9000"},
            StorageOptions(endpoint_url="https://h:9000/minio"),
        ),
        (
            "endpoint_url: http://${H}",
            {"H": "[::1]:9000"},
            StorageOptions(endpoint_url="http://[::1]:9000"),
        ),
        (
            "endpoint_url: ${E:-http://127.0.0.1:9000}",
            {},
            StorageOptions(endpoint_url="http://127.0.0.1:9000"),
        ),
        (
            "{endpoint_url: '${E}', allow_http: true}",
            {"E": "http://h"},
            StorageOptions(endpoint_url="http://h", allow_http=True),
        ),
    ],
)
def test_options_may_refer_to_variables(
    lines: str, environ: dict[str, str], options: StorageOptions
):
    assert {"s3://": options} == declared(in_storage(lines), **environ).storage


@pytest.mark.parametrize(
    ("written", "folder"),
    [
        ("/srv/cache", Path("/srv/cache")),
        ("~/cache", Path("/home/ada/cache")),
        ("'~'", Path("/home/ada")),
        ("${HOME}/cache", Path("/home/ada/cache")),
        ("'007'", Path("007")),
        ("${NONE:-}", None),
    ],
)
def test_a_cache_folder_starts_at_the_root_or_at_home(written: str, folder: Path | None):
    found = declared(in_cache(f"dir: {written}"), HOME="/home/ada")

    assert found.cache_dir == (folder and found.root / folder)


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_TOKEN",
        "PGPASSWORD",
        "api_key",
        "KEY",
        "GCP_CREDENTIALS",
        "GITLAB_PAT",
        "ClientSecret",
    ],
)
def test_a_variable_that_sounds_like_a_secret_is_never_filled_in(name: str):
    with pytest.raises(ValueError, match="sounds like a secret") as caught:
        expanded(f"${{{name}:-x}}", {name: "hunter2"})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["MINIO_URL", "KEYSPACE", "AWS_PROFILE", "MONKEY", "TOKENIZERS_CACHE", "PATH"]
)
def test_a_variable_that_sounds_harmless_is_filled_in(name: str):
    assert "x" == expanded(f"${{{name}}}", {name: "x"})


@given(st.text(alphabet=string.printable + "é€"))
def test_text_without_dollars_is_left_alone(text: str):
    assert text.replace("$", "") == expanded(text.replace("$", ""), {})


@given(st.text())
def test_doubled_dollars_make_any_text_literal(text: str):
    assert text == expanded(text.replace("$", "$$"), {})


@given(st.text(alphabet="${}:-AB"))
def test_nothing_but_a_value_error_comes_of_filling_in(text: str):
    try:
        found = expanded(text, {"A": "1"})
    except ValueError:
        return
    assert "${A}" not in found.replace("$$", "") or "$$" in text


def test_what_to_do_where_a_store_is_down_is_the_datasets_or_the_defaults():
    found = declared(
        "version: 1\ndefaults: {on_unreachable: fail}\ndatasets:\n"
        "  a: {source: a.csv}\n  b: {source: b.csv, on_unreachable: stale}"
    )

    assert ["fail", "stale"] == [dataset.on_unreachable for dataset in found.datasets]


def test_a_cache_has_bounds():
    found = declared("version: 1\ncache: {max_size: 20GB, min_free: 10%}")

    assert Bounds(20 * 10**9, MinFree(share=10_000)) == found.bounds


def test_bounds_may_come_from_variables():
    text = "version: 1\ncache: {max_size: '${SIZE:-1GB}', min_free: $SHARE}"

    assert 5 * 2**20 == declared(text.replace("$SHARE", "1KB"), SIZE="5MiB").bounds.max_bytes
    assert 10**9 == declared(text.replace("$SHARE", "'${SHARE}'"), SHARE="1%").bounds.max_bytes


@pytest.mark.parametrize("written", ["lazy", "strict", "none", "'${DURABILITY:-none}'"])
def test_a_cache_has_a_durability(written: str):
    expected = Durability.STRICT if "$" in written else Durability(written)

    found = declared(f"version: 1\ncache: {{durability: {written}}}", DURABILITY="strict")

    assert expected is found.durability


def test_a_cache_may_leave_its_durability_to_the_environment():
    assert None is declared("version: 1\ncache: {durability: '${UNSET:-}'}").durability


@pytest.mark.parametrize("written", ["always", "true", "[lazy]", "STRICT"])
def test_a_durability_is_one_of_three(written: str):
    (problem,) = mistakes(f"version: 1\ncache: {{durability: {written}}}")

    assert problem.startswith(
        "catalog.yaml:2: 'durability' in 'cache' must be lazy, strict or none, not '"
    )


@pytest.mark.parametrize("written", ["much", "-1", "5%", "[1GB]", "{a: 1}", "1XB", "1e9"])
def test_a_size_is_a_size(written: str):
    (problem,) = mistakes(f"version: 1\ncache: {{max_size: {written}}}")

    assert problem.startswith(
        "catalog.yaml:2: 'max_size' in 'cache' must be a size such as 500MB or 20GB, not '"
    )
