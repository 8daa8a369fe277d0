"""A secret in Secrets Manager that settings are read from, and that is rotated."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws


class KeptSecret:
    def __init__(self, name: str) -> None:
        self._client = boto3.client("secretsmanager")
        self._name = name
        self._client.create_secret(Name=name, SecretString="{}")

    def holds(self, **values: str) -> None:
        """From now on these and nothing else."""
        text = json.dumps(values)
        self._client.put_secret_value(SecretId=self._name, SecretString=text)

    def is_deleted(self) -> None:
        self._client.delete_secret(SecretId=self._name, ForceDeleteWithoutRecovery=True)


@contextmanager
def kept_secret(
    monkeypatch: pytest.MonkeyPatch,
    name: str = "clerksync",
    *,
    named_by: str = "CLERKSYNC_SECRET_ID",
) -> Iterator[KeptSecret]:
    """An emulated Secrets Manager with a secret that is named to the settings."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv(named_by, name)
    with mock_aws():
        yield KeptSecret(name)


def may_be_read_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pause between two looks at one secret."""
    monkeypatch.setattr("clerksync.settings.secret_cache._LEAST_SECONDS", 0)
