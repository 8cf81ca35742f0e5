"""The schema for editors is made of the same tables as the reader."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.dataset import name_problem
from datacachalog.domain.freshness import Freshness
from datacachalog.manifest import json_schema, schema_text
from tests.unit.manifest.test_format import KEYS, LATER, UNKNOWN
from tests.unit.manifest.test_loading import WHOLE
from tests.unit.manifest.test_values import in_cache, in_dataset, in_storage

VALIDATOR = jsonschema.Draft7Validator(json_schema())
GOOD = [
    WHOLE,
    "version: 1",
    "version: 1\ncache:\nstorage:\ndefaults:\ndatasets:",
    in_storage("endpoint_url: ${MINIO:-http://127.0.0.1:9000}"),
    in_storage("anonymous: ${ANONYMOUS}"),
    in_storage("addressing_style: ${STYLE:-path}"),
    in_storage("{endpoint_url: 'https://host:9000/path', allow_http: false}"),
    in_cache("dir: ~/cache"),
    in_cache("layers: [/mnt/shared, ~/cache, ../cache]"),
    in_cache("shared: true"),
    in_cache("shared: ${TEAM:-false}"),
    in_cache("durability: strict"),
    in_cache("durability: none"),
    in_cache("durability: ${DURABILITY:-lazy}"),
    in_cache("max_size: 20GB"),
    in_cache("max_size: 1.5 tib"),
    in_cache("max_size: 1048576"),
    in_cache("max_size: ${CACHE_SIZE:-1GB}"),
    in_cache("min_free: 2.5%"),
    in_cache("min_free: 10GiB"),
    in_cache("min_free: 0"),
    "version: 1\nview: data/current",
    "version: 1\nview: ./..data",
    "version: 1\nview: ${LINKS:-links}",
    in_dataset("freshness: 1h 30m"),
    in_dataset("on_unreachable: stale"),
    in_dataset(f"checksum: sha256:{'a' * 64}"),
    in_dataset(f"checksum: md5:{'A' * 32}"),
    "version: 1\ndefaults: {on_unreachable: fail}",
    in_dataset("description: 12"),
    in_dataset("source: ../data/a.csv"),
    in_dataset("source: datlake://sales_q1"),
    in_dataset("source: DATLAKE://finance.sales-q1@snap-1"),
    "version: 1\nregistry: {url: https://datlake.example.com}",
    "version: 1\nregistry: {url: '${REGISTRY:-http://127.0.0.1:8000}'}",
    "version: 1\nregistry:",
    in_dataset("source: ./s3:/lake/a.csv"),
    in_dataset("source: data//a:b.csv"),
]
BAD = [
    "{}",
    "[]",
    "version: 2",
    "version: '1'",
    "version: 1\ndatasets: []",
    "version: 1\ndatasets: {a: s3://lake/a.csv}",
    "version: 1\ndatasets: {a: }",
    "version: 1\ndatasets: {a: {push: true}}",
    in_dataset("source: s3://lake/*.csv"),
    in_dataset("source: s3://lake/folder/"),
    in_dataset("source: s3://lake/{year}.csv"),
    in_dataset("source: datlake://"),
    in_dataset("source: datlake://sales/q1"),
    in_dataset("source: datlake://sales@"),
    in_dataset("source: datlake://a.b.c"),
    in_dataset("source: datlake:sales"),
    "version: 1\nregistry: {url: datlake.example.com}",
    "version: 1\nregistry: {url: 'https://key@datlake.example.com'}",
    "version: 1\nregistry: {key: abc}",
    in_dataset("source: s3://key:secret@lake/a.csv"),
    in_dataset("source: ~/a.csv"),
    in_dataset("source: s3:/lake/a.csv"),
    in_dataset("source: s3//lake/a.csv"),
    in_dataset("source: 12"),
    in_dataset("tags: sales"),
    in_dataset("tags: [1]"),
    in_dataset("push: 'yes'"),
    in_dataset("freshness: 10"),
    in_dataset("freshness: soon"),
    in_dataset("on_unreachable: always"),
    in_dataset(f"checksum: sha256:{'a' * 63}"),
    in_dataset("checksum: none"),
    "version: 1\ndefaults: {on_unreachable: [fail]}",
    in_storage("endpoint_url: minio:9000"),
    in_storage("endpoint_url: https://u:p@host"),
    in_storage("endpoint_url: https://host?x=y"),
    in_storage("region: 1"),
    in_storage("anonymous: 'true'"),
    in_storage("addressing_style: virtuel"),
    in_cache("dir: s3://lake/x"),
    in_cache("shared: 1"),
    in_cache("shared: group"),
    in_cache("layers: /mnt/shared"),
    in_cache("layers: [s3://lake/x]"),
    in_cache("durability: always"),
    in_cache("durability: true"),
    in_cache("max_size: 5%"),
    in_cache("max_size: -1"),
    in_cache("max_size: much"),
    in_cache("max_size: [1GB]"),
    in_cache("min_free: 100%"),
    in_cache("min_free: 5"),
    in_cache("min_free: 5 %%"),
    "version: 1\nview: .",
    "version: 1\nview: ./",
    "version: 1\nview: ../links",
    "version: 1\nview: ./../links",
    "version: 1\nview: s3://lake/links",
    "version: 1\nview:",
    *(f"version: 1\n{text}" for text, _ in [*UNKNOWN, *LATER]),
    *(f"version: 1\n{text}" for text, _ in KEYS if "segment" not in _ and "spelled" not in _),
]


def problems(instance: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(instance)]


def test_the_shipped_schema_is_up_to_date():
    shipped = files("datacachalog").joinpath("catalog.schema.json").read_text(encoding="utf-8")

    assert shipped == schema_text(), "the package datacachalog.manifest says how to make it anew"


def test_the_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(json_schema())


def test_every_key_is_described():
    def undescribed(schema: dict[str, Any]) -> list[str]:
        found = []
        for name, child in schema.get("properties", {}).items():
            found += [] if child.get("description", "").endswith(".") else [name]
            found += undescribed(child)
            if isinstance(child.get("additionalProperties"), dict):
                found += undescribed(child["additionalProperties"])
        return found

    assert [] == undescribed(json_schema())


@pytest.mark.parametrize("text", GOOD)
def test_a_good_catalog_passes_the_schema(text: str):
    assert [] == problems(yaml.safe_load(text))


@pytest.mark.parametrize("text", BAD)
def test_a_bad_catalog_does_not_pass_the_schema(text: str):
    assert [] != problems(yaml.safe_load(text))


@given(st.from_regex(r"[A-Za-z0-9._ /-]{0,4}", fullmatch=True) | st.text(max_size=3))
def test_schema_and_reader_agree_on_names(name: str):
    found = problems({"version": 1, "datasets": {name: {"source": "a"}}})

    assert (name_problem(name) is None) == (found == [])


@given(st.from_regex(r"(always|never|[0-9]{0,3} ?[smhdwx]? ?){0,3}", fullmatch=True))
def test_schema_and_reader_agree_on_freshness(text: str):
    try:
        known = bool(Freshness.parse(text))
    except ValueError:
        known = False

    assert known == (problems({"version": 1, "defaults": {"freshness": text}}) == [])
