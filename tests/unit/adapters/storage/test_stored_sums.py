"""The checksums that stores keep of whole objects: how they are told, asked for and compared."""

from __future__ import annotations

import base64
import hashlib
import socket
import subprocess
import sys
import threading
import time
import zlib
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from datacachalog.adapters.storage import comparing, signed_head
from datacachalog.adapters.storage.aws import StaticKeys
from datacachalog.adapters.storage.comparing import Comparison, stored_sum
from datacachalog.adapters.storage.signed_head import Asked, head
from datacachalog.adapters.storage.stored_sums import StoredSum, told_by
from datacachalog.adapters.storage.transfer import PART_BYTES
from datacachalog.domain.errors import IntegrityError
from datacachalog.domain.objects import Revision
from tests.unit.adapters.storage.parts import DATA, SIZE, FakeSource, transferred

CHECK = b"123456789"
# The check values of the CRC catalogue (reveng), and those of hashlib.
SUMS = {
    "crc32": (0xCBF43926).to_bytes(4, "big"),
    "crc32c": (0xE3069283).to_bytes(4, "big"),
    "crc64nvme": (0xAE8B14860A799888).to_bytes(8, "big"),
    "sha1": hashlib.sha1(CHECK, usedforsecurity=False).digest(),
    "sha256": hashlib.sha256(CHECK).digest(),
}

ASKING = """
import sys
from datacachalog.adapters.storage.aws import StaticKeys
from datacachalog.adapters.storage.forks import loaded

asking = loaded("signed_head")
before = set(sys.modules)
for scheme in ("http", "https"):
    asked = asking.Asked(f"{scheme}://localhost:1/lake", "a", None, '"a"')
    asking.head(asked, "x", StaticKeys("a", "b", None))
print("asked", *sorted(set(sys.modules) - before))
"""


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Answers are waited for as long as a busy machine takes to give them."""
    monkeypatch.setattr(comparing, "_PATIENCE_S", 60.0)
    monkeypatch.setattr(signed_head, "_TIMEOUT_S", 60.0)


def spelled(digest):
    return base64.b64encode(digest).decode()


def sum_of(data, algorithm="crc32"):
    running = StoredSum(algorithm, SUMS[algorithm]).running()
    running.update(data)
    return StoredSum(algorithm, running.digest())


class TestWhatAnAnswerTells:
    @pytest.mark.parametrize("algorithm", SUMS)
    @pytest.mark.parametrize("kind", [{}, {"x-amz-checksum-type": "FULL_OBJECT"}])
    def test_a_checksum_of_the_whole_object_is_taken(self, algorithm, kind):
        told = told_by({f"x-amz-checksum-{algorithm}": spelled(SUMS[algorithm]), **kind})

        assert StoredSum(algorithm, SUMS[algorithm]) == told

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"x-amz-checksum-crc32": spelled(SUMS["crc32"]) + "-3"},
            {
                "x-amz-checksum-crc32": spelled(SUMS["crc32"]),
                "x-amz-checksum-type": "COMPOSITE",
            },
            {"x-amz-checksum-crc32": spelled(SUMS["crc64nvme"])},
            {"x-amz-checksum-crc32": "!!!"},
            {"x-amz-checksum-crc32": "ü"},
            {"x-amz-checksum-md5": spelled(bytes(16))},
            {"x-amz-sdk-checksum-algorithm": "CRC32"},
        ],
    )
    def test_what_is_none_of_the_whole_object_is_not(self, headers):
        assert None is told_by(headers)

    def test_of_several_the_quickest_is_taken(self):
        told = told_by({f"x-amz-checksum-{name}": spelled(SUMS[name]) for name in SUMS})

        assert told is not None
        assert "crc64nvme" == told.algorithm

    @pytest.mark.parametrize(
        "headers",
        [
            {"etag": '"b"', "content-length": "9"},
            {"etag": '"a"', "content-length": "8"},
            {"content-length": "9"},
        ],
    )
    def test_the_checksum_of_another_revision_is_not_taken(self, headers):
        told = {**headers, "x-amz-checksum-crc32": spelled(SUMS["crc32"])}

        assert None is stored_sum(told, Revision('"a"', None, 9))
        assert None is not stored_sum(
            {**told, "etag": "a", "content-length": "9"}, Revision('"a"', None, 9)
        )


@pytest.mark.parametrize("algorithm", SUMS)
def test_a_checksum_is_taken_in_pieces(algorithm):
    running = StoredSum(algorithm, SUMS[algorithm]).running()
    for piece in (b"", b"123", bytearray(b"45"), memoryview(b"6789")):
        running.update(piece)

    assert SUMS[algorithm] == running.digest()


def test_the_checksum_of_nothing():
    assert zlib.crc32(b"").to_bytes(4, "big") == StoredSum("crc32", bytes(4)).running().digest()


class TestComparing:
    @pytest.fixture(params=["at once", "late", "last"])
    def asked(self, request):
        """How an answer comes: before the bytes, between them, or after them."""
        come = threading.Event()

        def asked(answer):
            def ask():
                assert come.wait(30)
                return answer

            return Comparison(ask)

        return asked, come, request.param

    def compared(self, asked, told, file):
        ask, come, when = asked
        file.write_bytes(DATA)
        comparison = ask(told)
        comes_before = {"at once": 0, "late": 2 * PART_BYTES}.get(when)
        for start in range(0, SIZE, PART_BYTES):
            if start == comes_before:
                come.set()
                assert comparison._is_answered.wait(30)
            comparison.take(DATA[start : start + PART_BYTES], file, start)
        come.set()
        return comparison.difference(file, SIZE)

    @pytest.mark.parametrize("algorithm", SUMS)
    def test_whenever_the_store_answers_the_right_bytes_pass(self, asked, algorithm, tmp_path):
        assert None is self.compared(asked, sum_of(DATA, algorithm), tmp_path / "a")

    def test_whenever_the_store_answers_others_are_told(self, asked, tmp_path):
        difference = self.compared(asked, StoredSum("crc32", bytes(4)), tmp_path / "a")

        came = spelled(zlib.crc32(DATA).to_bytes(4, "big"))
        assert f"their crc32 is {came}, and the store has AAAAAA==" == difference

    def test_a_store_that_tells_nothing_is_believed(self, asked, tmp_path):
        assert None is self.compared(asked, None, tmp_path / "a")

    def test_a_store_that_never_answers_is_not_waited_for_long(self, monkeypatch, tmp_path):
        monkeypatch.setattr(comparing, "_PATIENCE_S", 0.1)
        end = threading.Event()

        def never():
            end.wait(30)

        comparison = Comparison(never)
        try:
            assert None is comparison.difference(tmp_path / "none", 0)
        finally:
            end.set()

    def test_where_there_are_no_more_threads_it_is_asked_first(self, monkeypatch, tmp_path):
        def fail(_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", fail)
        (tmp_path / "a").write_bytes(CHECK)

        comparison = Comparison(lambda: StoredSum("crc32", SUMS["crc32"]))

        assert None is comparison.difference(tmp_path / "a", 9)


class TestTransfers:
    def test_what_the_store_has_a_checksum_of_passes(self, tmp_path):
        source = FakeSource(tells=lambda: sum_of(DATA, "crc64nvme"))

        transferred(source, tmp_path / "a")

        assert DATA == (tmp_path / "a").read_bytes()

    def test_other_bytes_are_refused_and_not_gone_on_with(self, tmp_path):
        source = FakeSource(tells=lambda: sum_of(DATA[:-1] + b"!"))

        with pytest.raises(IntegrityError, match="their crc32 is") as caught:
            transferred(source, tmp_path / "a")

        assert "fetch it again" in (caught.value.hint or "")
        assert ["a"] == [path.name for path in tmp_path.iterdir()]  # and no journal

    def test_an_object_of_one_part_costs_no_second_request(self, tmp_path):
        def tells():
            raise AssertionError("it was asked")

        transferred(FakeSource(DATA[:PART_BYTES], tells=tells), tmp_path / "a")


class Store(ThreadingHTTPServer):
    """Remembers what it was asked, and answers with `status` and `headers`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status, self.headers = 200, {}
        self.asked = []

    @property
    def bucket_url(self):
        return f"http://127.0.0.1:{self.server_port}/some%20path/lake"


class _Answer(BaseHTTPRequestHandler):
    server: Store

    def log_message(self, *_):
        """Says nothing."""

    def do_HEAD(self):
        told = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, told))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()


KEYS = StaticKeys("AKID", "secret", "token")


class TestAsking:
    @pytest.fixture
    def store(self):
        with Store() as store:
            serving = threading.Thread(target=store.serve_forever, args=(0.02,))
            serving.start()
            yield store
            store.shutdown()
            serving.join()

    def test_the_answers_headers_come_in_small_letters(self, store):
        store.headers = {"ETag": '"a"', "X-Amz-Checksum-CRC32": "y"}

        answer = head(Asked(store.bucket_url, "a", None, '"a"'), "eu-west-1", None)

        assert answer is not None
        assert ('"a"', "y") == (answer["etag"], answer["x-amz-checksum-crc32"])

    @pytest.mark.parametrize("status", [206, 301, 307, 304, 403, 404, 412, 500, 503])
    def test_any_other_answer_is_none_and_no_redirect_is_followed(self, store, status):
        store.status = status
        store.headers = {"Location": f"{store.bucket_url}/b"}

        assert None is head(Asked(store.bucket_url, "a", None, '"a"'), "eu-west-1", KEYS)
        assert 1 == len(store.asked)

    def test_a_server_that_is_not_there_is_no_answer(self):
        assert None is head(Asked("http://127.0.0.1:1/lake", "a", None, '"a"'), "x", KEYS)

    def test_asking_imports_nothing_for_a_fork_meanwhile_would_leave_its_child_waiting(self):
        asked = subprocess.run(
            [sys.executable, "-c", ASKING], capture_output=True, text=True, check=True, timeout=60
        )

        assert "asked" == asked.stdout.strip()

    def test_one_that_falls_silent_is_none_either(self, store, monkeypatch):
        monkeypatch.setattr(signed_head, "_TIMEOUT_S", 0.2)
        end = threading.Event()
        monkeypatch.setattr(_Answer, "do_HEAD", lambda _: end.wait(20))

        assert None is head(Asked(store.bucket_url, "a", None, '"a"'), "x", KEYS)
        end.set()

    def test_who_is_anonymous_signs_nothing(self, store):
        head(Asked(store.bucket_url, "a", None, '"a"'), "eu-west-1", None)

        ((_, headers),) = store.asked
        assert "authorization" not in headers
        assert ("ENABLED", '"a"') == (headers["x-amz-checksum-mode"], headers["if-match"])

    @pytest.mark.parametrize("key", ["a", "a b/ü+?#%&=~.*'(", "tables/customers.parquet"])
    @pytest.mark.parametrize("version", [None, "null", "3/L4+kq=~"])
    @pytest.mark.parametrize("token", [None, "to/ken+="])
    def test_the_signature_is_that_of_botocore(self, store, key, version, token):
        keys = StaticKeys("AKID", "sec/ret+", token)
        head(Asked(store.bucket_url, key, version, '"a"'), "eu-west-1", keys)

        ((path, headers),) = store.asked
        signed_names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert headers["authorization"] == of_botocore(
            f"http://{headers['host']}{path}",
            {n: v for n, v in headers.items() if n in signed_names},
            keys,
            at,
        )

    def test_who_shakes_hands_for_ever_is_not_waited_for(self, monkeypatch):
        monkeypatch.setattr(signed_head, "_TIMEOUT_S", 0.5)
        over = threading.Event()

        def drip(server):
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"\x16\x03\x03\x3f\xff")  # 16 KiB of a handshake follow
                while not over.wait(0.05):
                    connection.sendall(b"\0")

        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=drip, args=[server])
            thread.start()
            bucket = f"https://127.0.0.1:{server.getsockname()[1]}/lake"
            begun = time.monotonic()

            answer = head(Asked(bucket, "a", None, '"a"'), "x", KEYS)
            seconds = time.monotonic() - begun
            over.set()
            thread.join()

        assert None is answer
        assert seconds < 60

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_the_usual_port_is_not_named(self, scheme, monkeypatch):
        asked = []

        class Opener:
            def open(self, request, timeout):
                asked.append((request.full_url, request.get_header("Host")))

        monkeypatch.setattr(signed_head, "_opener", lambda *_: Opener())
        port = {"http": 80, "https": 443}[scheme]

        assert None is head(Asked(f"{scheme}://h:{port}/lake", "a", None, '"a"'), "x", KEYS)
        assert [(f"{scheme}://h:{port}/lake/a", "h")] == asked


def of_botocore(url, headers, keys, at):
    """What botocore would have authorized the same request with."""
    request = AWSRequest("HEAD", url, headers=headers)
    request.context["timestamp"] = f"{at:%Y%m%dT%H%M%SZ}"

    class S3Auth(SigV4Auth):
        def _normalize_url_path(self, path):
            return path  # S3 alone takes paths as they are

        def payload(self, request):
            return headers["x-amz-content-sha256"]

    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    auth = S3Auth(credentials, "s3", "eu-west-1")
    text = auth.string_to_sign(request, auth.canonical_request(request))
    signature = auth.signature(text, request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    scope = auth.scope(request)
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"
