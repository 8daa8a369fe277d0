"""Secrets Manager's GetSecretValue, without boto3 where that can be.

Importing boto3 and making a client is a quarter of a webhook's first request. In Lambda
one signed request does; whatever is not as expected there is left to boto3.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from clerksync.errors import AccessDeniedError, InvalidSettingError
from clerksync.time_limit import seconds_left

# For connecting, and for each silence. Two secrets and a database share 7 seconds.
_TIMEOUT_SECONDS: Final = 2.0
_LEAST_SECONDS: Final = 0.1
_TARGET: Final = "secretsmanager.GetSecretValue"


def read_secret(name: str, *, named_by: str) -> str | None:
    """Its text, or None where it holds bytes. Raises AccessDeniedError or another
    InvalidSettingError, which say what to check."""
    timeout = min(_TIMEOUT_SECONDS, max(seconds_left(), _LEAST_SECONDS))
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        try:
            return _ask(name, os.environ, timeout)
        except TimeoutError:
            # Whoever else asks would wait as long, and a webhook has 7 seconds in all.
            message = (
                f"The secret named by {named_by} cannot be read: Secrets Manager does "
                "not answer. In a VPC it needs an endpoint or a NAT gateway."
            )
            raise InvalidSettingError(message) from None
        except (OSError, HTTPException, LookupError, TypeError, ValueError):
            pass
    import boto3  # noqa: PLC0415 - see above
    from botocore.config import Config  # noqa: PLC0415 - same
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - same

    patience = Config(
        connect_timeout=timeout, read_timeout=timeout, retries={"total_max_attempts": 1}
    )
    try:
        secrets = boto3.client("secretsmanager", config=patience)
        answer = secrets.get_secret_value(SecretId=name)
    except (BotoCoreError, ClientError) as error:
        what = type(error).__name__
        if isinstance(error, ClientError):
            what = error.response["Error"]["Code"]
        message = (
            f"The secret named by {named_by} cannot be read ({what}): check name, "
            "region and permission, also that for its KMS key."
        )
        denied = what == "AccessDeniedException"
        raise (AccessDeniedError if denied else InvalidSettingError)(message) from None
    text: str | None = answer.get("SecretString")
    return text


def _ask(name: str, environment: Mapping[str, str], timeout: float) -> str:
    """Ask once. Raises LookupError for anything but the secret."""
    region = environment["AWS_REGION"]
    url = urlsplit(_endpoint(region, environment))
    body = json.dumps({"SecretId": name}).encode()
    headers = signed_headers(url.netloc, body, region, environment, datetime.now(UTC))
    connect = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = connect(url.netloc, timeout=timeout)
    try:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise LookupError(response.status)
        return str(json.loads(response.read())["SecretString"])
    finally:
        connection.close()


def signed_headers(
    host: str, body: bytes, region: str, keys: Mapping[str, str], now: datetime
) -> dict[str, str]:
    """Of a POST to /, by AWS Signature Version 4:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
        "x-amz-target": _TARGET,
    }
    if keys.get("AWS_SESSION_TOKEN"):
        headers["x-amz-security-token"] = keys["AWS_SESSION_TOKEN"]
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    names = ";".join(sorted(headers))
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{now:%Y%m%d}/{region}/secretsmanager/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{digest}"
    key = b"AWS4" + keys["AWS_SECRET_ACCESS_KEY"].encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _endpoint(region: str, environment: Mapping[str, str]) -> str:
    for variable in ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"):
        if environment.get(variable):
            return environment[variable]
    kind = "-fips" if environment.get("AWS_USE_FIPS_ENDPOINT") == "true" else ""
    suffix = ".cn" if region.startswith("cn-") else ""
    return f"https://secretsmanager{kind}.{region}.amazonaws.com{suffix}"
