"""What is not asked again, and to whom the secret key is sent."""

import pytest

from clerksync.clerk.api import ClerkApi
from clerksync.errors import (
    ClerkRequestError,
    MissingSettingError,
)
from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from tests.doors import listening


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_asked_again(
    clerk: ClerkApi, stub: StubClerk, waits: list[float], status: int
) -> None:
    """Asking again would not help."""
    stub.fail_next(status=status, retry_after=None)
    with pytest.raises(ClerkRequestError) as raised:
        clerk.instance()
    assert raised.value.status == status
    assert (stub.requests, waits) == (1, [])


def test_a_wrong_key_is_named_and_not_shown(
    clerk: ClerkApi, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which setting to look at."""
    monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_wrong")
    with pytest.raises(ClerkRequestError, match="CLERK_SECRET_KEY") as raised:
        clerk.instance()
    assert "sk_test" not in str(raised.value)
    assert stub.requests == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    clerk: ClerkApi, stub: StubClerk, waits: list[float], status: int
) -> None:
    """Nobody sends our secret key elsewhere."""
    with listening(b"{}") as elsewhere:
        headers = {"Location": elsewhere.url + "/v1/instance"}
        stub.fail_next(fault=Fault(status=status, headers=headers))
        with pytest.raises(ClerkRequestError) as raised:
            clerk.instance()
        assert elsewhere.heard == []
    assert raised.value.status == status
    assert waits == []


# Whose key.


def test_the_backend_api_gets_the_key_and_a_version(
    clerk: ClerkApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is pinned: Clerk changes what an unpinned client gets."""
    with listening(b'{"id": "ins_1"}') as host:
        monkeypatch.setenv("CLERK_API_URL", host.url)
        monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_mine")
        assert clerk.instance().id == "ins_1"
        clerk._http.clear()
    ((path, headers),) = host.heard
    assert path == "/v1/instance"
    assert headers["authorization"] == "Bearer sk_test_mine"
    assert headers["clerk-api-version"] == "2026-05-12"


@pytest.mark.parametrize("same_host", [True, False], ids=["same host", "other host"])
def test_the_key_set_of_an_issuer_is_fetched_without_the_key(
    clerk: ClerkApi, monkeypatch: pytest.MonkeyPatch, *, same_host: bool
) -> None:
    """It is public, and the issuer is whoever the setting names."""
    with listening(b'{"keys": []}') as host:
        monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_mine")
        if same_host:
            monkeypatch.setenv("CLERK_API_URL", host.url)
        assert clerk.jwks(clerk.jwks_url(host.url)) == {"keys": []}
        # Beginning with the same letters does not make it the same host.
        monkeypatch.setenv("CLERK_API_URL", host.url[:-1])
        clerk.jwks(f"{host.url}/v1/jwks")
        clerk._http.clear()
    assert [path for path, _ in host.heard] == ["/.well-known/jwks.json", "/v1/jwks"]
    for _, headers in host.heard:
        assert "authorization" not in headers
        assert "sk_test_mine" not in str(headers)


def test_the_key_set_of_an_issuer_needs_no_key(
    clerk: ClerkApi, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the issuer is known, the secret key need not be set."""
    monkeypatch.delenv("CLERK_SECRET_KEY")
    assert clerk.jwks(clerk.jwks_url(stub.issuer)) == stub.session_key.jwks
    with pytest.raises(MissingSettingError):
        clerk.jwks(clerk.jwks_url(None))
