"""Whatever is asked, the answer is one that the OpenAPI document tells of.

Schemathesis makes the requests from the document: of every operation, valid ones and broken ones,
alone and one after another as their answers lead on.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from sqlalchemy import select

from datacachalog.server.schema import tasks
from tests.integration.registry.brief import BriefFeed

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemathesis.schemas import BaseSchema
    from starlette.testclient import TestClient

    from tests.integration.registry.world import Registry

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
# Workers take random pauses meanwhile, which Hypothesis thinks are a strategy's.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the .random. module")

FEW, MANY = 4, 60


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """With two tables, of two and one snapshots; its streams of events come to an end."""
    registry.app.state.feed = BriefFeed(registry.database)
    for name, file in (("a", "1"), ("a", "2"), ("team.b", "3")):
        assert "completed" == registry.registered(name, registry.parquet(file))["status"]
    return registry


@pytest.fixture
def known(filled: Registry) -> dict[str, list[str]]:
    """Values of parameters and members that mean something here."""
    snapshots = [
        filled.admin.get(f"/api/v1/tables/{one}/snapshots/latest").json()["snapshot_id"]
        for one in ("a", "team.b")
    ]
    job = filled.registered("a", filled.parquet("4"))["job_id"]
    made = things(filled.admin)
    names, tables = ["person", "other"], ["a", "team.b"]
    return {
        "table_name": tables,
        "table": tables,
        "snapshot_id": snapshots,
        "expected_parent": snapshots,
        "expected_current": snapshots,
        "run_id": [made["runs"]],
        "parent_run_id": [made["runs"]],
        "job_name": ["daily"],
        "job": ["daily"],
        "name": names,
        "principal": names,
        "member": names,
        "job_id": [job],
        "uri": [filled.parquet("5"), filled.parquet("6")],
        "format": ["parquet", "csv", "jsonl"],
        "tag": ["tag"],
        "key_id": [made["api-keys"]],
        "grant_id": [made["grants"]],
        "location_id": [made["locations"]],
        "role": ["role"],
        "to": ["person", "role:role"],
        "on": ["catalog", "table:a"],
        "bucket": ["objects"],
        "object_path": ["1", "new"],
    }


def things(admin: TestClient) -> dict[str, str]:
    """One of each kind, and its id."""
    made = {}
    for path, body in (
        ("principals", {"name": "person"}),
        ("principals", {"name": "other"}),
        ("roles", {"name": "role"}),
        ("roles/role/members", {"member": "person"}),
        ("api-keys", {"principal": "person"}),
        ("grants", {"privilege": "SELECT", "on": "table:a", "to": "person"}),
        ("locations", {"uri": "s3://bucket/"}),
        ("jobs/daily/runs", {}),
    ):
        told = admin.post(f"/api/v1/{path}", json=body).json()
        made[path.rpartition("/")[2]] = told.get("id") or told.get("run_id") or ""
    return made


@pytest.fixture
def schema(filled: Registry, known: dict[str, list[str]]) -> BaseSchema:
    """The document, whose requests mean something most of the time."""
    found = schemathesis.openapi.from_asgi("/openapi.json", filled.app)

    def meant(turns: tuple[bool, ...]) -> Callable[[Any, Any], Any]:
        turn = cycle(turns)

        def change(_: Any, given: Any) -> Any:
            if isinstance(given, dict) and next(turn):
                for name in given.keys() & known.keys():
                    given[name] = known[name][len(str(given[name])) % len(known[name])]
            return given

        return change

    found.hook("map_path_parameters")(meant((True, True, False)))
    found.hook("map_query")(meant((True, False)))
    found.hook("map_body")(meant((True, True, True, False)))
    return found


def headers(registry: Registry) -> dict[str, str]:
    return {"Authorization": registry.admin.headers["authorization"]}


def surprised(registry: Registry) -> list[str]:
    """The errors of tasks whose worker met with what nobody foresaw."""
    with registry.database.reading() as connection:
        query = select(tasks.c.error).where(tasks.c.error_code == "internal")
        return [str(one) for one in connection.execute(query).scalars()]


def limits(examples: int, **more: Any) -> settings:
    """The same requests in every run, and no time limit: the machine may be busy."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        **more,
    )


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_one_that_is_documented(filled, schema, whole, mode):
    seen = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @seed(1)
        @limits(MANY if whole else FEW)
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case):
            answer = case.call_and_validate(headers=headers(filled), checks=CHECKS)
            if answer.status_code < 400:
                seen.add(case.operation.label)

        ask()
    if mode is GenerationMode.POSITIVE:  # most are about things that there are
        assert len(seen) > len(list(schema.get_all_operations())) / 2
    assert [] == surprised(filled)


def test_no_answer_is_for_who_has_no_key(filled, schema, whole):
    """Also where a key is asked for in the document only."""
    for found in schema.get_all_operations():
        operation = found.ok()

        @seed(1)
        @limits(FEW if whole else 1)
        @given(operation.as_strategy())
        def ask(case):
            case.call_and_validate(headers=headers(filled), checks=[ignored_auth])

        ask()


@pytest.mark.timeout(1200)
def test_answers_lead_on_to_answers_that_are_documented(filled, schema, whole):
    given_headers = headers(filled)

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case):
            return {"headers": given_headers}

        def validate_response(self, response, case, **more):
            case.validate_response(response, checks=CHECKS, headers=given_headers)

    for number in range(MANY // 4 if whole else 1):
        # Hypothesis tries the same steps again, and takes what the database remembers of them for
        # a mistake of the test: that sequence ends, and what was wrong before it has been told.
        with suppress(FlakyStrategyDefinition):
            seed(number)(Machine).run(settings=limits(3, stateful_step_count=8))
