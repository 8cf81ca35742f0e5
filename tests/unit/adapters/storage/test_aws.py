"""Which server and whose keys; what boto3 itself resolves is the judge."""

from __future__ import annotations

import pwd

import boto3
import pytest

from datacachalog.adapters.storage.aws import StaticKeys, connection
from datacachalog.domain.errors import SettingError
from datacachalog.domain.storage_options import StorageOptions

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA1234", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def aws(tmp_path, monkeypatch):
    """Writes the AWS files, sets variables, and gives what we and boto3 make of them."""

    def resolve(config="", credentials="", **variables):
        (tmp_path / "config").write_text(config)
        (tmp_path / "credentials").write_text(credentials)
        files = {
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        }
        environ = {**files, **variables}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        ours = connection(StorageOptions(), environ)
        client = boto3.Session().client("s3")
        theirs = client.meta.endpoint_url
        region = client.meta.region_name
        client.close()
        return (ours.endpoint, ours.region), (None if "amazonaws" in theirs else theirs, region)

    return resolve


PROFILE = "[profile dev]\nregion = eu-west-1\nendpoint_url = http://dev:1\n"
DEFAULT = "[default]\nregion = eu-west-2\nendpoint_url = http://default:1\n"
SERVICES = (
    "[profile dev]\nregion = eu-west-1\nservices = lab\nendpoint_url = http://all:1\n"
    "[services lab]\ns3 =\n  endpoint_url = http://s3:1\n  addressing_style = path\n"
)


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        ({}, {"AWS_DEFAULT_REGION": "eu-west-3"}),
        ({}, {"AWS_DEFAULT_REGION": "a-b-1", "AWS_ENDPOINT_URL": "http://any:1"}),
        (
            {},
            {
                "AWS_DEFAULT_REGION": "a-b-1",
                "AWS_ENDPOINT_URL": "http://any:1",
                "AWS_ENDPOINT_URL_S3": "http://s3:1",
            },
        ),
        ({"config": DEFAULT}, {}),
        ({"config": DEFAULT + PROFILE}, {"AWS_PROFILE": "dev"}),
        ({"config": DEFAULT + PROFILE}, {"AWS_DEFAULT_PROFILE": "dev"}),
        (
            {"config": DEFAULT + PROFILE + "[profile two]\nregion = eu-north-1\n"},
            {"AWS_DEFAULT_PROFILE": "dev", "AWS_PROFILE": "two"},
        ),
        ({"config": PROFILE}, {"AWS_PROFILE": "dev", "AWS_ENDPOINT_URL": "http://any:1"}),
        ({"config": PROFILE}, {"AWS_PROFILE": "dev", "AWS_DEFAULT_REGION": "ap-south-1"}),
        ({"config": SERVICES}, {"AWS_PROFILE": "dev"}),
        (
            {"config": PROFILE},
            {"AWS_PROFILE": "dev", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        ),
        (
            {"config": PROFILE + "ignore_configured_endpoint_urls = true\n"},
            {"AWS_PROFILE": "dev"},
        ),
        ({"config": '[profile "my prof"]\nregion = eu-west-1\n'}, {"AWS_PROFILE": "my prof"}),
        ({"config": "[profile  dev]\nregion = eu-west-1\n"}, {"AWS_PROFILE": "dev"}),
        ({"config": "[default]\nregion = a-b-1\n[profile default]\nregion = a-b-2\n"}, {}),
        (
            {
                "config": PROFILE,
                "credentials": "[dev]\naws_access_key_id = a\naws_secret_access_key = b\n"
                "region = eu-south-1\nendpoint_url = http://credentials:1\n",
            },
            {"AWS_PROFILE": "dev"},
        ),
    ],
)
def test_requests_go_where_boto3_would_send_them(aws, files, variables):
    ours, theirs = aws(**files, **variables)

    assert theirs == ours


def test_the_catalog_comes_first():
    options = StorageOptions(endpoint_url="https://mine", region="here", profile="p")
    environ = {**KEYS, "AWS_ENDPOINT_URL": "https://other", "AWS_REGION": "there"}

    found = connection(options, environ)

    assert ("https://mine", "here", "p", None) == (
        found.endpoint,
        found.region,
        found.profile,
        found.keys,
    )


def test_a_region_is_taken_without_the_line_break_that_files_end_in():
    assert "eu-west-1" == connection(StorageOptions(), {"AWS_REGION": "eu-west-1\n"}).region


@pytest.mark.parametrize(
    ("options", "environ", "setting"),
    [
        (StorageOptions(), {"AWS_REGION": "a\nb"}, "AWS_REGION"),
        (StorageOptions(), {"AWS_DEFAULT_REGION": "a b"}, "AWS_DEFAULT_REGION"),
        (StorageOptions(region="a/b"), {}, "region"),
    ],
)
def test_what_is_no_region_is_refused(options, environ, setting):
    with pytest.raises(SettingError, match="no region") as caught:
        connection(options, environ)

    assert setting == caught.value.name


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "[::1]:9000", "127.1"])
def test_a_bucket_cannot_stand_before_an_ip_address(host):
    options = StorageOptions(addressing_style="virtual", endpoint_url=f"http://{host}")

    with pytest.raises(SettingError, match="IP address"):
        connection(options, {})


def test_the_keys_of_the_environment_are_used():
    found = connection(StorageOptions(), {**KEYS, "AWS_SESSION_TOKEN": "token\n"})

    assert StaticKeys("AKIA1234", "secret", "token") == found.keys
    assert "secret" not in repr(found)


def test_without_both_keys_the_chain_is_asked():
    assert None is connection(StorageOptions(), {"AWS_ACCESS_KEY_ID": "AKIA1234"}).keys


def test_nobody_is_anonymous_with_keys():
    found = connection(StorageOptions(anonymous=True), KEYS)

    assert (True, None) == (found.anonymous, found.keys)


@pytest.mark.parametrize(
    ("endpoint", "is_aws"),
    [
        ("", True),
        ("https://s3.eu-west-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://s3.amazonaws.com", True),
        ("https://s3-eu-west-1.amazonaws.com", True),
        ("https://s3-fips.dualstack.us-gov-west-1.amazonaws.com", True),
        ("https://s3-accelerate.dualstack.amazonaws.com", True),
        ("https://bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", True),
        ("https://name-123456789012.s3-accesspoint.ap-southeast-2.amazonaws.com", True),
        ("https://lake--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com", True),
        ("https://s3.amazonaws.com.evil.example", False),
        ("http://ec2-3-4-5-6.compute-1.amazonaws.com:9000", False),
        ("https://minio-12.elb.us-east-1.amazonaws.com", False),
        ("https://s3-12.us-east-1.elb.amazonaws.com", False),
        ("https://s3.us-east-1.elb.amazonaws.com", False),
        ("https://1a2b3c.execute-api.us-east-1.amazonaws.com", False),
        ("http://127.0.0.1:9000", False),
    ],
)
def test_aws_is_known_by_its_hosts(endpoint, is_aws):
    found = connection(StorageOptions(), {"AWS_ENDPOINT_URL": endpoint})

    assert is_aws == found.is_aws


@pytest.mark.parametrize("url", ["localhost:9000", "http://", "http://exa mple", "https://[::1"])
def test_an_endpoint_that_is_no_address_is_named(url):
    with pytest.raises(SettingError, match="AWS_ENDPOINT_URL must be an address"):
        connection(StorageOptions(), {"AWS_ENDPOINT_URL": url})


def test_a_key_with_a_line_break_inside_is_refused_and_not_repeated():
    with pytest.raises(SettingError) as caught:
        connection(StorageOptions(), KEYS | {"AWS_SECRET_ACCESS_KEY": "sec\nret"})

    assert "AWS_SECRET_ACCESS_KEY holds a character that no key has" == str(caught.value)


@pytest.mark.parametrize("text", ["[broken", "no section\n", "\ud800", "[a]\nb\n  c = 1\n"])
def test_a_file_that_cannot_be_read_says_nothing(tmp_path, text):
    file = tmp_path / "config"
    file.write_bytes(text.encode(errors="surrogatepass"))

    assert "us-east-1" == connection(StorageOptions(), {"AWS_CONFIG_FILE": str(file)}).region


def test_http_is_allowed_where_it_is_written():
    http = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}

    assert connection(StorageOptions(), http).allow_http
    assert not connection(StorageOptions(allow_http=False), http).allow_http
    assert not connection(StorageOptions(), {}).allow_http


def test_a_user_without_a_home_has_no_files(monkeypatch):
    """As in a container whose user has no entry in /etc/passwd."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)

    assert "us-east-1" == connection(StorageOptions(), {}).region
    assert "us-east-1" == connection(StorageOptions(), {"AWS_CONFIG_FILE": "~/config"}).region


class TestWhomToTrust:
    @pytest.fixture
    def file(self, tmp_path):
        (tmp_path / "authority.pem").touch()
        return str(tmp_path / "authority.pem")

    @pytest.mark.parametrize("name", ["SSL_CERT_FILE", "AWS_CA_BUNDLE"])
    def test_a_variable_says_it(self, name, file):
        found = connection(StorageOptions(), {name: file})

        assert (file, name == "AWS_CA_BUNDLE") == (found.ca_bundle, found.only_boto)

    @pytest.mark.parametrize("is_same", [False, True])
    def test_of_two_that_of_aws_counts(self, file, tmp_path, is_same):
        (tmp_path / "other.pem").touch()
        other = file if is_same else str(tmp_path / "other.pem")

        found = connection(StorageOptions(), {"SSL_CERT_FILE": other, "AWS_CA_BUNDLE": file})

        assert (file, not is_same) == (found.ca_bundle, found.only_boto)

    def test_plain_http_needs_nobody(self):
        options = StorageOptions(endpoint_url="http://127.0.0.1:9000")

        found = connection(options, {"AWS_CA_BUNDLE": "/nowhere"})

        assert (None, False) == (found.ca_bundle, found.only_boto)
