"""The log says why a token is refused; the response is the same for all."""

import time
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.doors import Answer, assert_tells_nothing_private, log_lines
from tests.integration.functions.self_sync.door import SYNC, Door

_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)

_MESSAGE = "Not authenticated: send a valid Clerk session token."

REFUSED: dict[str, Callable[[Door], str]] = {
    "not a JWT:": lambda _: "mt_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "not a JWT that": lambda _: "a.b.c",
    "wrong algorithm": lambda door: door.token(algorithm="RS512"),
    "wrong type": lambda door: door.token(headers={"typ": "at+jwt"}),
    "wrong category: a JWT template's": lambda door: door.token(
        headers={"cat": "cl_B7d4PD222AAA"}
    ),
    "wrong category: a machine's": lambda door: door.token(
        headers={"cat": "cl_B7d4PD333AAA"}
    ),
    "wrong category: not a session": lambda door: door.token(headers={"cat": "x"}),
    "unknown key ID": lambda door: door.token(key=_KEY, headers={"kid": "ins_x"}),
    "wrong signature": lambda door: door.token(key=_KEY),
    "expired": lambda door: door.token(lifetime_seconds=-60),
    "not yet valid": lambda door: door.token(nbf=int(time.time()) + 60),
    "wrong issuer": lambda door: door.token(iss="https://clerk.proxy.example"),
    "missing claim: exp": lambda door: door.token(exp=None),
    "missing claim: sub": lambda door: door.token(sub=None),
    "missing claim: iss": lambda door: door.token(iss=None),
    "missing sid": lambda door: door.token(sid=None),
    "sub is not a user": lambda door: door.token(sub="mch_2g7np7Hrk0SN6kj5EDMLDaKN"),
    "pending": lambda door: door.token(sts="pending"),
}


def assert_refused(answer: Answer, output: str, why: str, *words: str) -> None:
    assert (answer.status, answer.error) == (401, _MESSAGE)
    assert set(answer.headers) == {"content-type", "cache-control"}
    (line,) = log_lines(output, "request refused")
    assert line["reason"].startswith(why)
    assert_tells_nothing_private(output, *words)


@pytest.mark.parametrize("why", REFUSED)
def test_the_log_says_what_is_wrong_with_a_token(
    door: Door, capsys: pytest.CaptureFixture[str], why: str
) -> None:
    """In a few words, with no part of the token."""
    token = REFUSED[why](door)
    capsys.readouterr()
    answer = door.sync(token)
    output = capsys.readouterr().out
    parts = [part for part in token.split(".") if len(part) > 8]
    assert_refused(answer, output, why, *parts, "proxy.example", "mch_", "ins_x")


@pytest.mark.parametrize(
    ("azp", "why"),
    [("https://evil.example", "azp is not one of"), (None, "no azp")],
    ids=["of another origin", "without an origin"],
)
def test_the_log_says_that_an_origin_is_not_allowed(
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    azp: str | None,
    why: str,
) -> None:
    """By the name of the setting, without the origin."""
    monkeypatch.setenv("CLERK_AUTHORIZED_PARTIES", "https://app.example.test")
    token = door.token(azp=azp)
    capsys.readouterr()
    answer = door.sync(token)
    output = capsys.readouterr().out
    assert_refused(answer, output, why, "evil.example")


@pytest.mark.parametrize(
    ("cookies", "headers", "why"),
    [
        ([], {}, "no token"),
        (["theme=dark", "__session="], {}, "no token"),
        (["__session_Yx2=TOKEN"], {}, "no __session cookie, only one with a suffix"),
        ([], {"authorization": "Basic x"}, "no bearer token"),
    ],
    ids=["nothing", "empty", "a suffix", "another scheme"],
)
def test_the_log_says_that_there_is_no_token(
    door: Door,
    capsys: pytest.CaptureFixture[str],
    cookies: list[str],
    headers: dict[str, str],
    why: str,
) -> None:
    """A cookie with a suffix is the one of a different application."""
    token = door.token()
    cookies = [cookie.replace("TOKEN", token) for cookie in cookies]
    capsys.readouterr()
    answer = door.ask("POST", SYNC, cookies=cookies, headers=headers)
    output = capsys.readouterr().out
    assert_refused(answer, output, why, *token.split("."), "Yx2")
