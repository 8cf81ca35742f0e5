"""Keys: each mistake is named with its line, in the words of the file."""

from __future__ import annotations

import pytest

from tests.unit.manifest.catalogs import mistakes

OTHERS = "known keys are"
SHAPES = [
    ("", "1: the catalog is empty; begin with 'version: 1'"),
    ("# nothing\n", "1: the catalog is empty; begin with 'version: 1'"),
    ("---\n", "1: the catalog is empty; begin with 'version: 1'"),
    ("null", "1: the catalog is empty; begin with 'version: 1'"),
    ("just text", "1: the catalog must be a mapping, such as 'version: …'"),
    ("- version: 1", "1: the catalog must be a mapping, such as 'version: …'"),
    ("{}", "1: the catalog has no 'version'; add 'version: 1'"),
    ("\n# hello\ndatasets:", "3: the catalog has no 'version'; add 'version: 1'"),
    ('version: "1"', "1: 'version' must be the number 1"),
    ("version:", "1: 'version' must be the number 1"),
    ("version: one", "1: 'version' must be the number 1"),
    ("version: [1]", "1: 'version' must be the number 1"),
    ("version: true", "1: 'version' must be the number 1"),
    ("version: 2", "1: 'version' is 2, and this release of datacachalog reads version 1 only"),
    ("version: 1.0", "1: 'version' is 1.0, and this release of datacachalog reads version 1 only"),
    ("version: 1\ncache: /tmp", "2: 'cache' must be a mapping, such as 'dir: …'"),
    ("version: 1\ndefaults: never", "2: 'defaults' must be a mapping, such as 'freshness: …'"),
    ("version: 1\nstorage: [s3://]", "2: 'storage' must map URI prefixes to options"),
    ("version: 1\ndatasets: [a]", "2: 'datasets' must map names to datasets"),
    (
        "version: 1\nstorage:\n  s3://: https://h",
        "3: storage 's3://' must be a mapping, such as 'endpoint_url: …'",
    ),
    (
        "version: 1\ndatasets:\n  customers: s3://lake/c.csv",
        "3: dataset 'customers' must be a mapping, such as 'source: …'",
    ),
    (
        "version: 1\ndatasets:\n  customers:\n  orders: {source: o.csv}",
        "3: dataset 'customers' has no 'source'; add 'source: s3://bucket/key'",
    ),
    (
        "version: 1\ndatasets:\n  customers:\n    push: true",
        "4: dataset 'customers' has no 'source'; add 'source: s3://bucket/key'",
    ),
]
ALL = "version, cache, view, defaults, storage, registry, datasets"
UNKNOWN = [
    ("dataset: {}", "2: unknown key 'dataset'; did you mean 'datasets'?"),
    (
        "zebra: 1",
        f"2: unknown key 'zebra'; {OTHERS} {ALL}",
    ),
    (
        "cache: {folder: x}",
        (
            f"2: unknown key 'folder' in 'cache'; {OTHERS} dir, durability, layers, shared, "
            "max_size, min_free"
        ),
    ),
    (
        "defaults: {fresh: 1m}",
        "2: unknown key 'fresh' in 'defaults'; did you mean 'freshness'?",
    ),
    (
        "storage:\n  s3://lake:\n    regoin: x",
        "4: unknown key 'regoin' in storage 's3://lake'; did you mean 'region'?",
    ),
    (
        "datasets:\n  customers:\n    source: c.csv\n    sorce: d.csv",
        "5: unknown key 'sorce' in dataset 'customers'; did you mean 'source'?",
    ),
    (
        "'': 1",
        f"2: unknown key ''; {OTHERS} {ALL}",
    ),
    (
        '"\\t": 1',
        f"2: unknown key '\\t'; {OTHERS} {ALL}",
    ),
]
LATER = [
    ("environments: {}", "2: 'environments' is not supported yet"),
    *(
        (
            f"datasets:\n  a:\n    source: a.csv\n    {key}: x",
            f"5: {key!r} is not supported yet",
        )
        for key in ("format", "params")
    ),
]
NAMES = "must be letters, digits, '.', '_' or '-', at most 100, and start with a letter or digit"
PREFIX = "prefix in 'storage'"
KEYS = [
    ("datasets: {../etc: {source: a.csv}}", f"2: dataset name '../etc' {NAMES}"),
    ("datasets: {'': {source: a.csv}}", f"2: dataset name '' {NAMES}"),
    ("datasets: {'a b': {source: a.csv}}", f"2: dataset name 'a b' {NAMES}"),
    (
        "storage: {lake: {}}",
        f"2: {PREFIX} must be the start of a URI, such as s3:// or s3://bucket",
    ),
    (
        "storage: {'s3://*/x': {}}",
        f"2: {PREFIX} must be the start of a URI, such as s3:// or s3://bucket",
    ),
    ("storage: {'file:///srv': {}}", f"2: {PREFIX} is for files, which need no options"),
    ("storage: {'s3://a/../b': {}}", f"2: {PREFIX} has a '.' or '..' segment"),
    (
        "storage: {'datlake://sales': {}}",
        f"2: {PREFIX} is of tables; how their registry is reached, 'registry' says",
    ),
    (
        "storage:\n  s3://lake: {}\n  S3://lake/: {}",
        f"4: {PREFIX} is written in line 3 already, spelled otherwise",
    ),
    (
        "storage: {'s3://KEY:SECRET@lake': {}}",
        f"2: {PREFIX} holds credentials; they belong in the environment or in a profile",
    ),
]


@pytest.mark.parametrize(("text", "mistake"), SHAPES)
def test_a_wrong_shape_is_named(text: str, mistake: str):
    assert [f"catalog.yaml:{mistake}"] == mistakes(text)


@pytest.mark.parametrize(("text", "mistake"), [*UNKNOWN, *LATER, *KEYS])
def test_a_wrong_key_is_named(text: str, mistake: str):
    assert [f"catalog.yaml:{mistake}"] == mistakes(f"version: 1\n{text}\n")


def test_every_mistake_is_named_at_once_in_the_order_of_the_lines():
    text = """\
version: 1
datasets:
  sales:
    sorce: s3://lake/sales.csv
    push: "yes"
  sales:
    source: s3://lake/sales.csv
  a b: {source: s3://lake/*.csv, freshness: 10}
storage:
  s3://KEY:SECRET@lake:
    regoin: x
    anonymous: maybe
cache: {dir: "${NOWHERE}/cache"}
extra: !python/name:os.system {}
"""
    assert [
        "catalog.yaml:4: unknown key 'sorce' in dataset 'sales'; did you mean 'source'?",
        "catalog.yaml:4: dataset 'sales' has no 'source'; add 'source: s3://bucket/key'",
        "catalog.yaml:5: 'push' in dataset 'sales' must be true or false",
        "catalog.yaml:6: key 'sales' is written in line 3 already",
        f"catalog.yaml:8: dataset name 'a b' {NAMES}",
        (
            "catalog.yaml:8: 'source' in dataset 'a b' is a pattern; "
            "datasets of many files are not supported yet"
        ),
        (
            "catalog.yaml:8: 'freshness' in dataset 'a b' must be always, never or a duration "
            "such as 10m, not '10'"
        ),
        (
            f"catalog.yaml:10: {PREFIX} holds credentials; "
            "they belong in the environment or in a profile"
        ),
        "catalog.yaml:11: unknown key 'regoin' in 'storage'; did you mean 'region'?",
        "catalog.yaml:12: 'anonymous' in 'storage' must be true or false",
        "catalog.yaml:13: 'dir' in 'cache' refers to the variable 'NOWHERE', which is not set",
        "catalog.yaml:14: tag '!python/name:os.system' is not allowed; this file is plain data",
        (
            f"catalog.yaml:14: unknown key 'extra'; {OTHERS} "
            "version, cache, view, defaults, storage, registry, datasets"
        ),
    ] == mistakes(text)


def test_another_version_is_the_only_mistake_that_counts():
    text = "version: 2\nsomething: new\n"
    assert [
        "catalog.yaml:1: 'version' is 2, and this release of datacachalog reads version 1 only"
    ] == mistakes(text)


def test_a_mistake_that_an_alias_repeats_is_named_once():
    text = "version: 1\ncache: &a {min_free: some}\ndefaults: {freshness: 1m}\nenvironments: *a"
    assert [
        "catalog.yaml:2: 'min_free' in 'cache' must be a share such as 5%, or a size, not 'some'",
        "catalog.yaml:4: 'environments' is not supported yet",
    ] == mistakes(text)


def test_options_under_a_wrong_prefix_are_looked_at_too():
    text = "version: 1\nstorage:\n  lake: {regoin: x}\n  file:///srv: {anonymous: 1}"
    assert [
        f"catalog.yaml:3: {PREFIX} must be the start of a URI, such as s3:// or s3://bucket",
        "catalog.yaml:3: unknown key 'regoin' in 'storage'; did you mean 'region'?",
        f"catalog.yaml:4: {PREFIX} is for files, which need no options",
        "catalog.yaml:4: 'anonymous' in 'storage' must be true or false",
    ] == mistakes(text)


def test_no_more_than_a_hundred_mistakes_are_listed():
    found = mistakes("version: 1\n" + "".join(f"key{n}: 0\n" for n in range(5000)))

    assert 101 == len(found)
    assert "catalog.yaml: and more; only the first 100 mistakes are listed" == found[-1]


def test_a_message_stays_short_whatever_the_file_holds():
    [found] = mistakes(f"version: 1\n? {'x' * 100_000}\n: 1\n")

    assert len("catalog.yaml:2: ") + 300 == len(found)
