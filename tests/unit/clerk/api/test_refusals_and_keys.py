"""What is not asked again, what is not Clerk's, and to whom the secret key is sent."""

import json
import re

import pytest

from clerksync.clerk.api import ClerkApi
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    MissingSettingError,
)
from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from local.stub_clerk.wire import to_json
from tests.doors import listening
from tests.foreign_responses import FOREIGN, NOT_FOUND
from tests.people import user_id


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
    clerk: ClerkApi, stub: StubClerk, status: int
) -> None:
    """Nobody sends our secret key elsewhere. The message says where to look."""
    with listening(b"{}") as elsewhere:
        headers = {"Location": elsewhere.url + "/v1/instance?token=secret"}
        stub.fail_next(6, fault=Fault(status=status, headers=headers))
        with pytest.raises(ClerkUnavailableError) as raised:
            clerk.instance()
        assert elsewhere.heard == []
    message = str(raised.value)
    assert f"status {status}" in message
    assert "a redirect to http://127.0.0.1 (is CLERK_API_URL right?)" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nginx", "status 404, text/html, beginning “404 Not Found"),
        ("gateway", "beginning “no Route matched with those values”"),
        ("empty", "status 404, text/html, without a body"),
        ("other JSON", "beginning “JSON with errors”"),
        ("another code", "status 404 (organization_not_found)"),
        ("firewall", "status 403, text/html, beginning “Access denied"),
        ("moved", "is CLERK_API_URL right?"),
    ],
)
def test_what_was_received_in_clerks_place_is_reported(
    clerk: ClerkApi, stub: StubClerk, name: str, shown: str
) -> None:
    """A person can tell from it which proxy it was."""
    stub.fail_next(6, fault=FOREIGN[name])
    with pytest.raises(ClerkUnavailableError) as raised:
        clerk.user(user_id(1))
    assert shown in str(raised.value)
    assert stub.requests == 6


def test_nothing_private_of_a_foreign_response_is_reported(
    clerk: ClerkApi, stub: StubClerk
) -> None:
    """A proxy may show whatever it was sent, and data of people."""
    bodies = [
        "Denied: ada@example.com with sk_test_abc and user_2abc, Bearer " + "x" * 40,
        json.dumps({"first_name": "Ada", "email": "ada@example.com"}),
        json.dumps({"message": "No ada@example.com, sk_test_abc"}),
    ]
    for body in bodies:
        stub.fail_next(6, fault=Fault(status=404, body=body))
        with pytest.raises(ClerkUnavailableError) as raised:
            clerk.user(user_id(1))
        message = str(raised.value)
        assert not re.search("Ada|ada@|sk_test|user_2abc|xxxx", message), message


@pytest.mark.parametrize("name", NOT_FOUND)
def test_only_clerks_own_code_says_that_a_user_is_gone(
    clerk: ClerkApi, stub: StubClerk, name: str
) -> None:
    """A proxy's 404 that passes is waited out, and the user is there."""
    known = stub.ids()[0]
    stub.fail_next(5, fault=NOT_FOUND[name])
    user = clerk.user(known)
    assert user is not None
    assert user.id == known
    stub.fail_next(fault=Fault(status=404, code="resource_not_found"))
    assert clerk.user(known) is None


def test_a_page_of_other_users_proves_nobody_gone(
    clerk: ClerkApi, stub: StubClerk
) -> None:
    """A cache that ignores the query returns the first page of all."""
    page = to_json([stub.get_user(clerk_id) for clerk_id in stub.ids()[:10]])
    stub.fail_next(6, fault=Fault(body=page.decode()))
    with pytest.raises(ClerkUnavailableError):
        clerk.users_by_id([user_id(404)])


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
