"""In Lambda a secret is read by one signed request, and by boto3 if that fails."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from clerksync.settings.environment import Settings
from clerksync.settings.secrets_manager import _endpoint, read_secret, signed_headers
from tests.doors import Listener, listening
from tests.secrets import kept_secret

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "se/cret+key"}
NOW = datetime(2026, 11, 20, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "to/ken=="])
@pytest.mark.parametrize("body", [b"{}", '{"SecretId": "é"}'.encode()])
def test_the_signature_is_the_one_that_botocore_makes(
    monkeypatch: pytest.MonkeyPatch, token: str | None, body: bytes
) -> None:
    """With a role's session token, and without."""
    keys = KEYS | ({"AWS_SESSION_TOKEN": token} if token else {})
    host = "secretsmanager.eu-west-1.amazonaws.com"
    ours = signed_headers(host, body, "eu-west-1", keys, NOW)
    given = {name: ours[name] for name in ("content-type", "x-amz-target")}
    request = AWSRequest("POST", f"https://{host}/", data=body, headers=given)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW)
    credentials = Credentials(*KEYS.values(), token)
    SigV4Auth(credentials, "secretsmanager", "eu-west-1").add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """What stands for Secrets Manager's own address, in a function of Lambda's."""
    for name, value in (KEYS | {"AWS_REGION": "eu-central-1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "webhook")
    told = {"SecretString": json.dumps({"CLERK_SECRET_KEY": "told"})}
    with listening(json.dumps(told).encode()) as endpoint:
        monkeypatch.setattr(
            "clerksync.settings.secrets_manager._endpoint", lambda *_: endpoint.url
        )
        yield endpoint


def test_one_request_is_made_and_boto3_is_not_needed(
    endpoint: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the secret and what is asked for."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setenv("CLERKSYNC_SECRET_ID", "clerksync/prod")
    assert Settings().clerk_secret_key == "told"
    [(_, headers)] = endpoint.heard
    told = {name.lower(): value for name, value in headers.items()}
    assert told["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert "/eu-central-1/secretsmanager/aws4_request" in told["authorization"]


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"SecretBinary": "AA=="}'])
def test_what_is_not_as_expected_is_left_to_boto3(
    endpoint: Listener, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    """It knows more endpoints, credentials and retries than we care to."""
    endpoint.body = answer
    with kept_secret(monkeypatch) as secret:
        secret.holds(CLERK_SECRET_KEY="by boto3")
        assert endpoint.heard == []
        text = read_secret("clerksync", named_by="CLERKSYNC_SECRET_ID")
    assert text == '{"CLERK_SECRET_KEY": "by boto3"}'
    assert len(endpoint.heard) == 1


def test_nobody_there_is_left_to_boto3(
    endpoint: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As is an environment without keys: a snapshot has them elsewhere."""
    with kept_secret(monkeypatch) as secret:
        secret.holds(A="b")
        monkeypatch.delenv("AWS_REGION")
        assert read_secret("clerksync", named_by="X") == '{"A": "b"}'
    assert endpoint.heard == []


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({}, "https://secretsmanager.eu-west-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://a"}, "http://a"),
        (
            {"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "b"},
            "b",
        ),
        (
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "https://secretsmanager-fips.eu-west-1.amazonaws.com",
        ),
    ],
)
def test_the_endpoint_is_where_aws_keeps_it(
    environment: dict[str, str], endpoint: str
) -> None:
    """In the function's own region, or where the environment says."""
    assert _endpoint("eu-west-1", environment) == endpoint


def test_china_has_a_domain_of_its_own() -> None:
    """As for all of AWS there."""
    url = _endpoint("cn-north-1", {})
    assert url == "https://secretsmanager.cn-north-1.amazonaws.com.cn"
