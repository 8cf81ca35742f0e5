"""Which S3 server a URI means, and whose credentials go there.

The rules are those of the AWS SDKs (AWS SDKs and Tools Reference Guide, "Service-specific
endpoints" and "Shared config and credentials files"), read with the standard library: asking boto3
takes 0.2 s, which a warm fetch does not have.
"""

from __future__ import annotations

import configparser
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from datacachalog.domain.errors import SettingError
from datacachalog.domain.storage_options import endpoint_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.domain.storage_options import StorageOptions

# AWS General Reference, "Amazon S3 endpoints and quotas", with the endpoints of access points, of
# VPCs and of directory buckets. Other hosts of amazonaws.com are anybody's: EC2, load balancers.
_S3_HOST = re.compile(
    r"(?:^|\.)s3(?:express-[a-z0-9]+-az\d+)?"
    r"(?:[.-](?:fips|dualstack|accelerate|accesspoint|external-1|[a-z]{2,4}(?:-[a-z]+)+-\d))*"
    r"(?:\.vpce)?\.amazonaws\.com(?:\.cn)?$"
)
_REGION = re.compile(r"[A-Za-z0-9_.-]+")
_IP_HOST = re.compile(r"[0-9.]+|.*:.*")
_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "eusc-": "aws-eusc",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
}


@dataclass(frozen=True, slots=True)
class StaticKeys:
    """Credentials that the environment spells out."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None

    def __repr__(self) -> str:
        return f"StaticKeys(…{self.access_key_id[-4:]})"


@dataclass(frozen=True, slots=True)
class Connection:
    """How to talk to one S3 server.

    `endpoint` is None for AWS itself. `keys` is None where there are none to use (`anonymous`) or
    boto3's chain is to find them: profiles, SSO, assumed roles, containers, instances. `ca_bundle`
    is the file of the authorities to trust in place of the system's; `only_boto` where it is not
    the one of `SSL_CERT_FILE`, which alone obstore knows.
    """

    endpoint: str | None
    region: str
    profile: str | None
    anonymous: bool
    keys: StaticKeys | None
    virtual_hosts: bool
    allow_http: bool
    ca_bundle: str | None = None
    only_boto: bool = False

    @property
    def partition(self) -> str | None:
        """The part of AWS whose names of buckets are its own; None for the one nearly all use.

        botocore's `partitions.json` lists them with the regions of each.
        """
        found = (name for start, name in _PARTITIONS.items() if self.region.startswith(start))
        return next(found, None)

    def url(self, bucket: str) -> str:
        """The address of a bucket; a slash and a key follow it."""
        if self.virtual_hosts:
            return self.service(bucket)
        return f"{self.service(bucket)}/{bucket}"

    def service(self, bucket: str) -> str:
        """The server's address, in which a virtual host's bucket is named already."""
        endpoint = (self.endpoint or _aws_endpoint(self.region)).rstrip("/")
        if not self.virtual_hosts:
            return endpoint
        parts = urlsplit(endpoint)
        return f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}"

    @property
    def is_aws(self) -> bool:
        """Whether this is Amazon's own S3, whose behaviour is documented."""
        host = urlsplit(self.endpoint or "").hostname or ""
        return self.endpoint is None or _S3_HOST.search(host) is not None


def _aws_endpoint(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def connection(options: StorageOptions, environ: Mapping[str, str]) -> Connection:
    """The connection for a URI with these options of the catalog, in this environment.

    The catalog comes before the environment, and the environment before the profile. Keys in the
    environment are used unless the catalog names a profile.

    Raises:
        SettingError: an endpoint is no address, or a key no key.
    """
    name = options.profile or environ.get("AWS_DEFAULT_PROFILE") or environ.get("AWS_PROFILE")
    profile = _profile(environ, name or "default")
    endpoint = options.endpoint_url or _endpoint(environ, profile)
    is_http = (endpoint or "").lower().startswith("http://")
    ca_bundle = _ca_bundle(environ, profile, is_http=is_http)
    is_virtual = options.addressing_style == "virtual"
    if is_virtual and _IP_HOST.fullmatch(urlsplit(endpoint or "").hostname or ""):
        problem = "cannot be 'virtual' where the endpoint is an IP address"
        raise SettingError("addressing_style", problem)
    return Connection(
        endpoint=endpoint,
        region=_region(options, environ, profile),
        profile=name,
        anonymous=options.anonymous,
        keys=None if options.anonymous or options.profile else _keys(environ),
        virtual_hosts=is_virtual,
        allow_http=is_http and options.allow_http is not False,
        ca_bundle=ca_bundle,
        only_boto=ca_bundle is not None and ca_bundle != environ.get("SSL_CERT_FILE"),
    )


def _ca_bundle(
    environ: Mapping[str, str], profile: Mapping[str, str], *, is_http: bool
) -> str | None:
    of_ssl = environ.get("SSL_CERT_FILE")
    if is_http:
        return of_ssl or None  # obstore wants it there, too
    return environ.get("AWS_CA_BUNDLE") or profile.get("ca_bundle") or of_ssl or None


def _region(options: StorageOptions, environ: Mapping[str, str], profile: Mapping[str, str]) -> str:
    found = (
        ("region", options.region),
        ("AWS_REGION", environ.get("AWS_REGION")),
        ("AWS_DEFAULT_REGION", environ.get("AWS_DEFAULT_REGION")),
        ("region, in the AWS profile,", profile.get("region")),
    )
    for setting, value in found:
        if region := (value or "").strip():  # secrets in files end in a line break
            if not _REGION.fullmatch(region):
                raise SettingError(setting, "holds a character that no region has")
            return region
    return "us-east-1"


def _endpoint(environ: Mapping[str, str], profile: Mapping[str, str]) -> str | None:
    ignored = environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or profile.get(
        "ignore_configured_endpoint_urls", ""
    )
    if ignored.lower() == "true":
        return None
    found = (
        ("AWS_ENDPOINT_URL_S3", environ.get("AWS_ENDPOINT_URL_S3")),
        ("AWS_ENDPOINT_URL", environ.get("AWS_ENDPOINT_URL")),
        ("endpoint_url of s3, in the AWS profile,", profile.get("s3.endpoint_url")),
        ("endpoint_url, in the AWS profile,", profile.get("endpoint_url")),
    )
    for setting, url in found:
        if url:
            if problem := endpoint_problem(url):
                raise SettingError(setting, problem)
            return url
    return None


def _keys(environ: Mapping[str, str]) -> StaticKeys | None:
    access = _printable(environ, "AWS_ACCESS_KEY_ID")
    secret = _printable(environ, "AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        return None
    token = _printable(environ, "AWS_SECURITY_TOKEN") or _printable(environ, "AWS_SESSION_TOKEN")
    return StaticKeys(access, secret, token or None)


def _printable(environ: Mapping[str, str], name: str) -> str:
    """A variable without the line break that secrets in files end in."""
    value = environ.get(name, "").strip()
    if not all("!" <= c <= "~" for c in value):
        raise SettingError(name, "holds a character that no key has")
    return value


def _profile(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """What a profile says, in both of the AWS files; nothing where it is in none.

    What the `s3` of its services says is there too, as `s3.…`. The credentials file comes before
    the config file, and `[profile default]` before `[default]`, as in botocore.
    """
    home = environ.get("HOME") or "~"
    config = _sections(environ.get("AWS_CONFIG_FILE") or f"{home}/.aws/config")
    credentials = _sections(
        environ.get("AWS_SHARED_CREDENTIALS_FILE") or f"{home}/.aws/credentials"
    )
    values = dict(config.get((name,), {})) if name == "default" else {}
    values = config.get(("profile", name), values) | credentials.get((name,), {})
    services = config.get(("services", values.get("services", "")), {})
    for line in services.get("s3", "").splitlines():
        key, is_one, value = line.partition("=")
        if is_one:
            values[f"s3.{key.strip()}"] = value.strip()
    return values


def _sections(file: str) -> dict[tuple[str, ...], dict[str, str]]:
    """The sections of an AWS file by the words of their names; none where it cannot be read."""
    parser = configparser.RawConfigParser(default_section="\0", strict=False)
    try:
        parser.read_string(Path(file).expanduser().read_text(encoding="utf-8-sig"))
        return {tuple(shlex.split(each)): dict(parser[each]) for each in parser.sections()}
    except (OSError, RuntimeError, ValueError, configparser.Error):
        return {}  # RuntimeError: this user has no home folder
