"""The lineage of tables, as far as the caller may see them."""

from __future__ import annotations

import pytest

from datacachalog.server.identity.access import ObjectKind, Privilege


@pytest.fixture
def made(registry):
    """Tables a, b, c and d, each made of the one before; b twice."""
    for name in "abcd":
        registry.registered(name, registry.parquet(f"{name}.parquet"))
    last = {}
    for number, pair in enumerate(["ab", "ab", "bc", "cd", "cc"]):
        source, target = tuple(pair)
        inputs = {"run_id": f"run{number}", "inputs": [{"table_name": source}]}
        registry.admin.post(f"/api/v1/jobs/make-{target}/runs", json=inputs)
        done = {"status": "success", "outputs": [{"table_name": target}]}
        path = f"/api/v1/jobs/make-{target}/runs/run{number}/complete"
        assert 200 == registry.admin.put(path, json=done).status_code
        last[source, target] = f"run{number}"
    return last


def edges(answer):
    assert 200 == answer.status_code, answer.text
    return {(one["source"], one["target"]): one["last_run_id"] for one in answer.json()["edges"]}


def test_what_a_table_was_made_of(registry, made):
    answer = registry.admin.get("/api/v1/tables/d/lineage")

    assert made == edges(answer)
    assert ("d", "upstream", False) == (
        answer.json()["table_name"],
        answer.json()["direction"],
        answer.json()["is_cut"],
    )
    assert "make-d" == answer.json()["edges"][0]["job_name"]


def test_what_was_made_of_it(registry, made):
    answer = registry.admin.get("/api/v1/tables/b/lineage?direction=downstream")

    assert made == edges(answer) | {("a", "b"): "run1"}


def test_only_the_nearest(registry, made):
    answer = registry.admin.get("/api/v1/tables/d/lineage?depth=1")

    assert ({("c", "d"): "run3"}, True) == (edges(answer), answer.json()["is_cut"])


def test_what_is_behind_a_table_that_may_not_be_read_is_not_shown(registry, made):
    read = [(Privilege.SELECT, ObjectKind.TABLE, registry.table_id(name)) for name in "acd"]
    ann = registry.principal("ann", *read)

    assert {("c", "d"), ("c", "c")} == set(edges(ann.get("/api/v1/tables/d/lineage")))
    assert 403 == ann.get("/api/v1/tables/b/lineage").status_code
    assert 403 == ann.get("/api/v1/tables/none/lineage").status_code
    assert 404 == registry.admin.get("/api/v1/tables/none/lineage").status_code
    assert 422 == ann.get("/api/v1/tables/d/lineage?depth=0").status_code
