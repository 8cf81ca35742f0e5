"""What whoever runs a registry looks at: metrics, logs, traces, `datlake doctor` and `migrate`."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import text, update
from starlette.testclient import TestClient

from datacachalog.server.app import create_app
from datacachalog.server.catalog.locations import create_location
from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import now
from datacachalog.server.operations.logs import JsonLines, Lines, use_logs
from datacachalog.server.schema import tasks
from tests.integration.registry.test_serving import SAMPLE, Server, run
from tests.servers.processes import HeldPorts

ONE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
TABLES = "/api/v1/tables"
KEY = "dlk_abcdefghijkl_" + "S" * 43


class TestMetrics:
    def test_requests_are_counted_by_route_and_never_by_path(self, registry):
        client = registry.admin
        client.get(f"{TABLES}/secret-name/snapshots/latest")
        client.get("/secret-path")
        client.request("SECRET", TABLES)
        client.put("/api/v1/datasets/objects/secret-object", content=b"12345")
        client.get("/api/v1/datasets/objects/secret-object")

        told = client.get("/metrics").text

        latest = "/api/v1/tables/{table_name}/snapshots/latest"
        assert f'datlake_requests_total{{method="GET",route="{latest}",status="404"}} 1.0' in told
        assert 'route="(none)",status="404"} 1.0' in told
        assert 'method="other"' in told
        assert f'datlake_request_seconds_count{{method="GET",route="{latest}"}} 1.0' in told
        assert "datlake_upload_bytes_total 5.0" in told
        assert "datlake_download_bytes_total 5.0" in told
        assert "process_resident_memory_bytes" in told
        assert "secret" not in told.lower()

    def test_tasks_are_counted_by_state(self, registry, worker):
        registry.registered("t", registry.parquet("a.parquet"))
        worker.stop()
        asked = {"table_name": "t", "uri": registry.parquet("b.parquet"), "format": "parquet"}
        registry.admin.post("/api/v1/jobs/register-snapshot", json=asked)
        with registry.database.writing() as connection:
            waiting = update(tasks).where(tasks.c.status == "queued")
            connection.execute(waiting.values(run_after=now() - timedelta(seconds=90)))

        told = registry.admin.get("/metrics").text

        kind = 'kind="register-snapshot"'
        assert f'datlake_tasks{{{kind},status="completed"}} 1.0' in told
        assert f'datlake_tasks{{{kind},status="queued"}} 1.0' in told
        assert "datlake_queue_depth 1.0" in told
        oldest = re.search(r"^datlake_queue_oldest_seconds ([\d.]+)$", told, re.MULTILINE)
        assert oldest
        assert 90 <= float(oldest[1]) < 150

    def test_they_need_a_key_that_may_read_all_unless_they_are_open(self, registry, settings):
        nobody = TestClient(registry.app)
        reader = registry.principal("r", (Privilege.SELECT, ObjectKind.CATALOG, ""))
        other = registry.principal("o", (Privilege.UPDATE, ObjectKind.CATALOG, ""))
        opened = settings.model_copy(update={"metrics_open": True})
        open_app = TestClient(create_app(registry.database, None, opened))

        asked = [one.get("/metrics").status_code for one in (nobody, other, reader, open_app)]
        assert [401, 403, 200, 200] == asked


class TestLogs:
    @pytest.fixture
    def record(self):
        made = logging.makeLogRecord(
            {
                "name": "datlake.access",
                "levelname": "INFO",
                "msg": "GET %s with Bearer abc.def and %s at postgresql://u:pass@h/d",
                "args": ("/x", KEY),
                "told": {"request_id": "req-1", "status": 200, "ms": 1.5, "principal": "ann"},
            }
        )
        try:
            raise ValueError(f"https://b.example/a?X-Amz-Signature=0123&x=1 {KEY}")
        except ValueError:
            made.exc_info = sys.exc_info()
        return made

    def test_a_line_for_programs_is_one_object(self, record):
        line = JsonLines().format(record)

        found = json.loads(line)
        assert ("info", "req-1", "ann", 1.5) == (
            found["level"],
            found["request_id"],
            found["principal"],
            found["ms"],
        )
        assert "ValueError" in found["error"]
        assert "\n" not in line

    @pytest.mark.parametrize("form", [JsonLines, Lines])
    def test_no_line_has_a_secret(self, record, form):
        line = form().format(record)

        for secret in ("S" * 43, "abc.def", "u:pass", "0123"):
            assert secret not in line

    def test_a_terminal_gets_lines_for_people(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        kept, level = logging.getLogger().handlers, logging.getLogger().level
        found = {}
        try:
            for stream in (Terminal(), io.StringIO()):
                use_logs("auto", stream)
                logging.getLogger("uvicorn.error").info("started")
                found[stream.isatty()] = stream.getvalue()
        finally:
            logging.getLogger().handlers = kept
            logging.getLogger().setLevel(level)

        assert found[True].endswith("info    started\n")
        assert "started" == json.loads(found[False])["message"]

    @ONE
    def test_a_server_tells_of_every_request_and_of_itself_in_one_form(
        self, options, settings, tmp_path
    ):
        server = Server(options, tmp_path)
        try:
            secret = str(server.key).split("_", 2)[2]
            server.ask(f"{TABLES}?limit=5")
        finally:
            assert 0 == server.stop()

        log = server.log.read_text()
        lines = [json.loads(one) for one in log.splitlines() if one.startswith("{")]
        asked = [one for one in lines if one["logger"] == "datlake.access"]
        assert [("GET", TABLES, 200, "admin")] == [
            (one["method"], one["route"], one["status"], one["principal"])
            for one in asked
            if one["route"] == TABLES
        ]
        assert all(one["request_id"].startswith("req-") for one in asked)
        assert any("Uvicorn running" in one["message"] for one in lines)
        others = [one for one in log.splitlines() if not one.startswith("{")]
        assert 1 == len(others), others  # the key, shown to a person, once
        assert 1 == log.count(secret)


class Collector(ThreadingHTTPServer):
    """A receiver of traces, as OpenTelemetry's own collector is one."""

    def __init__(self):
        self.spans, self.resources = [], []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            raise NotImplementedError
        for one in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.resources += [each.value.string_value for each in one.resource.attributes]
            self.server.spans += [each for scope in one.scope_spans for each in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


@ONE
class TestTraces:
    def test_a_task_is_in_the_trace_of_who_asked_for_it(self, options, settings, tmp_path):
        collector = Collector()
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{collector.server_port}"
        trace = "0af7651916cd43dd8448eb211c80319c"
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
                server = Server(options, tmp_path)
            shutil.copy(SAMPLE, settings.data_dir / "objects" / "a.parquet")
            server.more = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            uri = (settings.data_dir / "objects" / "a.parquet").as_uri()
            assert "completed" == server.registered("t", uri)["status"]
            assert 0 == server.stop()
        finally:
            collector.shutdown()
            thread.join()
            collector.server_close()

        ours = {one.name: one for one in collector.spans if one.trace_id.hex() == trace}
        task, request = ours["task register-snapshot"], ours["POST /api/v1/jobs/register-snapshot"]
        by_id = {one.span_id: one for one in collector.spans}
        above = task
        while above.span_id != request.span_id:
            above = by_id[above.parent_span_id]
        assert "datlake" in collector.resources

    def test_what_sends_them_must_be_there(self, options):
        ports = HeldPorts(1)
        (port,) = ports
        script = (
            "import sys; sys.modules['opentelemetry.sdk'] = None\n"
            f"sys.argv = ['datlake', *{options!r}, 'serve', '--port', '{port}']\n"
            "from datacachalog.cli.main import datlake; datlake()"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert 2 == done.returncode
        assert "pip install 'datacachalog[server,otel]'" in done.stderr

    def test_an_exporter_that_nobody_knows_is_refused(self, options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
            code, _, told = run(*options, "worker")

        assert (2, True) == (code, "must be otlp or none" in told)


class TestDoctor:
    def checks(self, options):
        code, out, _ = run(*options, "doctor", "--json")
        return code, {one["check"]: one for one in json.loads(out)}

    def test_a_registry_that_is_well(self, options, settings):
        assert (0, "") == run(*options, "migrate")[:2]

        code, found = self.checks(options)

        assert 0 == code, found
        root = f"file://{settings.own_root()}"
        assert ["settings", "disk", "database", "clock", "workers", root] == list(found)

    def test_a_database_that_is_to_be_brought_up_to_date(self, options, database):
        with database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

        code, found = self.checks(options)

        assert 6 == code
        assert "of a newer version" in found["database"]["said"]

    def test_what_waits_for_a_worker(self, options, registry, worker):
        worker.stop()
        asked = {"table_name": "t", "uri": registry.parquet("b.parquet"), "format": "parquet"}
        registry.admin.post("/api/v1/jobs/register-snapshot", json=asked)
        assert 0 == self.checks(options)[0]
        with registry.database.writing() as connection:
            connection.execute(update(tasks).values(run_after=now() - timedelta(seconds=90)))

        code, found = self.checks(options)

        assert 6 == code
        assert "does a worker run?" in found["workers"]["said"]

    def test_locations(self, options, registry, seaweedfs, use_environment):
        use_environment(seaweedfs.environment())
        bucket = seaweedfs.bucket()
        with registry.database.writing() as connection:
            for name, prefix in ((bucket, "in/"), ("no-such-bucket", "")):
                options_ = {"endpoint_url": seaweedfs.endpoint}
                create_location(connection, "s3", name, prefix, options_)
            create_location(connection, "file", "", "/nowhere/", {})

        code, found = self.checks(options)

        assert 0 != code
        ok = {check: one["ok"] for check, one in found.items() if "://" in check}
        assert ok == {
            f"s3://{bucket}/in/": True,
            "s3://no-such-bucket/": False,
            "file:///nowhere/": False,
            f"file://{registry.objects.resolve()}/": True,
        }
        client = seaweedfs.client()
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)
        assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)
        client.close()

    @ONE
    def test_one_that_others_reach_without_tls(self, options):
        run(*options, "migrate")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATLAKE_SERVER_HOST", "0.0.0.0")  # noqa: S104
            assert "without TLS" in self.checks(options)[1]["settings"]["said"]
            patch.setenv("DATLAKE_SERVER_BEHIND_TLS", "true")
            assert self.checks(options)[1]["settings"]["ok"]

    def test_a_database_that_is_not_there(self, tmp_path):
        url = "postgresql://u:secret@127.0.0.1:9/x"
        code, out, _ = run("--data-dir", str(tmp_path), "--database-url", url, "doctor")

        assert 6 == code
        assert "database\tfailed" in out
        assert "secret" not in out


@ONE
def test_who_listens_for_others_without_tls_is_warned(options, tmp_path):
    for tls in ("false", "true"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATLAKE_SERVER_BEHIND_TLS", tls)
            server = Server(options, tmp_path, "--host", "0.0.0.0")  # noqa: S104
        server.process.send_signal(signal.SIGTERM)
        assert 0 == server.process.wait(60)
        assert (tls == "false") == ("without TLS" in server.log.read_text())
