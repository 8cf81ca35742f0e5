"""Runs of jobs as functions that return a `Result`: pipelines without exceptions.

None of them raises what can be expected of a registry or a file: that is the `Err`, the exception
itself, with the `run_id` of the run. What else goes wrong is a bug, and raised. Where `client` is
None, it is the one that the environment configures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from datacachalog.domain.errors import ApiError as SDKError
from datacachalog.domain.errors import LocalFileError
from datacachalog.sdk.client import DatlakeClient
from datacachalog.sdk.ids import new_run_id
from datacachalog.sdk.lineage import RunLineage
from datacachalog.sdk.policies import LOG, react
from datacachalog.sdk.records import Artifact
from datacachalog.sdk.result import Err, Ok, map, map_err, recover  # noqa: A004

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from datacachalog.sdk.result import Result
    from datacachalog.sdk.runs import Ended

T = TypeVar("T")
TIMEOUT_S: Final = 300.0
_MOST_CHARACTERS: Final = 10_000  # of an error, as the registry has it


@dataclass
class Run:
    """One execution of a job."""

    job_name: str
    run_id: str

    def __post_init__(self) -> None:
        self.lineage = RunLineage()  # for its completion; what the run *is* are the two above
        self.unstarted: dict[str, Any] | None = None  # what the registry could not be told yet


@dataclass
class UriInfo:
    """Where a table's current snapshot is.

    `schema` is `{"fields": [{"name", "type", "nullable"}, …]}`. Where the policy lets a missing
    table pass (`continue_on_not_found`), `uri` and `format` are empty, and `is_found` is false.
    """

    table_name: str
    uri: str
    format: str
    schema: dict[str, Any] | None

    @property
    def is_found(self) -> bool:
        """Whether there is such a table."""
        return bool(self.uri)


@dataclass
class SnapshotInfo:
    """A snapshot that was registered."""

    table_name: str
    snapshot_id: str
    uri: str


def start_run(
    client: DatlakeClient | None,
    job_name: str,
    metadata: Mapping[str, Any] | None = None,
    *,
    run_id: str | None = None,
    parent_run_id: str | None = None,
    heartbeat_interval_s: int | None = None,
) -> Result[Run, SDKError]:
    """Starts a run of a job; `run_id` is made here, unless given, so that again is the same run.

    Where the policy suppresses transient errors, a run that the registry cannot be told of is `Ok`
    nevertheless; its completion tells of both.
    """
    asked, run = client or DatlakeClient(), Run(job_name, run_id or new_run_id())
    begun = {
        "metadata": dict(metadata or {}),
        "parent_run_id": parent_run_id,
        "heartbeat_interval_s": heartbeat_interval_s,
    }
    doing = f"starting a run of {job_name!r}"
    told = _told(asked, doing, run, lambda: _start(asked, run, begun))
    if told == Ok(value=False):
        run.unstarted = begun
    return map(told, lambda _: run)


def _start(client: DatlakeClient, run: Run, begun: Mapping[str, Any]) -> None:
    client.start_run(run.job_name, run_id=run.run_id, **begun)


def _caught_up(client: DatlakeClient, run: Run) -> None:
    """Starts a run that the registry could not be told of before."""
    if run.unstarted is not None:
        _start(client, run, run.unstarted)
        run.unstarted = None


def complete_run(
    client: DatlakeClient | None,
    run: Run,
    success: bool,  # noqa: FBT001 - as in the plan
    extra: Mapping[str, Any] | None = None,
    artifacts: Sequence[Artifact] | None = None,
) -> Result[None, SDKError]:
    """Ends a run, once; the same again changes nothing, but may add `artifacts` that came late.

    `extra` is added to the run's metadata; its `error`, where the run failed, is the run's error.
    What `fetch_latest_uri` found for this `run` are its inputs.
    """
    metadata = dict(extra or {})
    error = None if success else metadata.pop("error", None)
    status: Ended = "success" if success else "failed"
    told = None if error is None else str(error)
    ended = end_run(client, run, status, error=told, metadata=metadata, artifacts=artifacts or ())
    return map(ended, lambda _: None)


def end_run(
    client: DatlakeClient | None,
    run: Run,
    status: Ended,
    *,
    error: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    artifacts: Sequence[Artifact] = (),
) -> Result[bool, SDKError]:
    """What `complete_run` does, for runs that were aborted, too; whether the registry was told."""
    asked = client or DatlakeClient()
    told = dict(metadata or {})
    if left_out := run.lineage.left_out:
        told["lineage_left_out"] = left_out
        LOG.warning("run %s: %d inputs or outputs cannot be told of", run.run_id, left_out)

    def end() -> None:
        _caught_up(asked, run)
        asked.complete_run(
            run.job_name,
            run.run_id,
            status,
            error=None if error is None else as_text(error, _MOST_CHARACTERS),
            metadata=told,
            inputs=run.lineage.inputs,
            outputs=run.lineage.outputs,
            artifacts=artifacts,
        )

    doing = f"completing run {run.run_id} of {run.job_name!r}"
    return _told(asked, doing, run, end)


def fetch_latest_uri(
    client: DatlakeClient | None, run: Run | None, table_name: str
) -> Result[UriInfo, SDKError]:
    """Where the current snapshot of a table is, which becomes an input of the run, if given."""
    asked = client or DatlakeClient()

    def fetch() -> UriInfo:
        found = asked.get_latest_snapshot_uri(table_name)
        if run is not None:
            run.lineage.read(found.table_name, found.snapshot_id)
        schema = None if found.schema is None else dict(found.schema)
        return UriInfo(table_name, found.uri, found.format, schema)

    doing = f"fetching the URI of {table_name!r}"
    missing = UriInfo(table_name, uri="", format="", schema=None)
    misses = asked.policy.lets_miss
    return recover(
        _done(asked, doing, run, fetch, unless=misses),
        lambda error: Ok(missing) if misses(error) else Err(error),
    )


def register_snapshot(
    client: DatlakeClient | None,
    run: Run,
    table_name: str,
    uri: str,
    *,
    format: str,  # noqa: A002 - as in the plan
    schema: Mapping[str, Any] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Result[SnapshotInfo, SDKError]:
    """Makes an object the next snapshot of a table, which becomes an output of the run.

    It is done when this returns, or an `Err` after `timeout_s`.
    """
    asked = client or DatlakeClient()

    def register() -> SnapshotInfo:
        _caught_up(asked, run)
        job = asked.register_snapshot(
            table_name,
            uri,
            format,
            schema,
            job_name=run.job_name,
            run_id=run.run_id,
            timeout_s=timeout_s,
        )
        return SnapshotInfo(table_name, str(job.snapshot_id), uri)

    return _done(asked, f"registering a snapshot of {table_name!r}", run, register)


def upload_object(
    client: DatlakeClient | None, bucket: str, object_name: str, file_path: str
) -> Result[str, SDKError]:
    """Puts a local file where the registry keeps objects; its URI."""
    asked = client or DatlakeClient()
    doing = f"uploading {object_name!r} to {bucket!r}"
    return _done(asked, doing, None, lambda: asked.upload_object(bucket, object_name, file_path))


def make_log_artifact(
    bucket: str, run: Run, local_log_path: str, *, client: DatlakeClient | None = None
) -> Result[Artifact, SDKError]:
    """Uploads a run's log; what `complete_run` is to be given, so that it is linked to the run."""
    uploaded = upload_object(client, bucket, log_name(run.job_name, run.run_id), local_log_path)
    return map_err(
        map(uploaded, lambda uri: Artifact(type="log", uri=uri)), lambda error: of_run(error, run)
    )


def publish_event(
    client: DatlakeClient, run: Run, event_type: str, data: Mapping[str, Any]
) -> Result[None, SDKError]:
    """Tells of something that happened in a run."""

    def publish() -> None:
        _caught_up(client, run)
        client.publish(event_type, data, run_id=run.run_id)

    doing = f"publishing the event {event_type!r}"
    return map(_told(client, doing, run, publish), lambda _: None)


def beat(client: DatlakeClient, run: Run) -> None:
    """Says that a run is alive; raises what `DatlakeClient.heartbeat` does."""
    _caught_up(client, run)
    client.heartbeat(run.job_name, run.run_id)


def log_name(job_name: str, run_id: str, number: int = 1) -> str:
    """The name of the object that a run's log is; of its second one, and so on."""
    file = "run.log" if number == 1 else f"run-{number}.log"
    return f"jobs/{job_name}/{run_id}/{file}"


def as_text(text: str, most_characters: int) -> str:
    """A text of any origin as a registry takes it: without what is no character, and cut."""
    plain = text.encode("utf-8", "replace").decode().replace("\0", "�")
    return plain if len(plain) <= most_characters else f"{plain[: most_characters - 1]}…"


def of_run(error: SDKError, run: Run | None) -> SDKError:
    """The same error, which now knows the run that it happened in."""
    if run is not None and error.run_id is None:
        error.run_id = run.run_id
    return error


def _done(
    client: DatlakeClient,
    doing: str,
    run: Run | None,
    call: Callable[[], T],
    *,
    unless: Callable[[SDKError], bool] = lambda _: False,
) -> Result[T, SDKError]:
    """What the call returns, or the error that could be expected of it.

    The policy's reaction to an error is left out where `unless` it is none after all.
    """
    try:
        return Ok(call())
    except (SDKError, LocalFileError) as error:
        found = of_run(SDKError.from_exception(error), run)
    if not unless(found):
        react(client, found, doing)
    return Err(found)


def _told(
    client: DatlakeClient, doing: str, run: Run, call: Callable[[], None]
) -> Result[bool, SDKError]:
    """Whether the registry was told; where it was not, an error unless the policy lets it pass."""
    passes = client.policy.lets_pass
    done = map(_done(client, doing, run, call, unless=passes), lambda _: True)
    if isinstance(done, Err) and passes(done.error):
        LOG.warning("%s: %s; it goes on without", doing, done.error)
        return Ok(value=False)
    return done
