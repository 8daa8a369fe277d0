"""The page is for a browser on this machine, and its actions for the page itself."""

import re
from html.parser import HTMLParser
from pathlib import Path

import psycopg
import pytest
import urllib3

from tests.doors import untouched
from tests.laptop import Laptop, laptop

READ = ("/", "/page/page.js", "/page/state", "/page/user?id=user_1")
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP")


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize(
    "host", ["rebound.example", "127.0.0.1.rebound.example", "localhost.example", "[x"]
)
def test_another_name_for_this_machine_is_refused(
    own: Laptop, path: str, host: str
) -> None:
    """A site that lets its name point here reads nothing (DNS rebinding)."""
    answer = own.get(path, Host=host)
    assert answer.status == 403
    assert "same machine" in answer.json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:3000", "[::1]:3000"])
def test_the_names_of_loopback_are_served(own: Laptop, host: str) -> None:
    """With and without a port."""
    assert own.get("/", Host=host).status == 200
    assert own.get("/page/state", Host=host).status == 200


@pytest.mark.parametrize("header", FORWARDED)
def test_a_tunnel_for_webhooks_does_not_show_users(own: Laptop, header: str) -> None:
    """Also not one that rewrites the host; the webhooks themselves go through."""
    forwarded = {header: "203.0.113.7"}
    for path in READ:
        assert own.get(path, **forwarded).status == 403
    event = b"{}"
    signed = own.clerk.sign(event) | forwarded
    answer = urllib3.request(
        "POST", f"{own.url}/api/webhooks/clerk", body=event, headers=signed, timeout=60
    )
    assert answer.status == 400
    assert "same machine" not in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://stranger.example"},
        {"origin": "http://127.0.0.1:5173"},
        {"origin": "http://localhost"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"Host": "rebound.example", "origin": "http://rebound.example"},
        {"X-Forwarded-For": "203.0.113.7"},
    ],
)
def test_another_page_in_the_browser_cannot_act(
    stub: Laptop, connection: psycopg.Connection, headers: dict[str, str]
) -> None:
    """Whatever it posts, at Clerk and in the tables all stays as it was (CSRF)."""
    stub.sync_all()
    clerk_id = stub.clerk.ids()[0]
    users_before = stub.clerk.users.changes
    with untouched(connection):
        for action, body in [
            ("delete", {"id": clerk_id}),
            ("tier", {"id": clerk_id, "tier": "PRO"}),
            ("token", {"id": clerk_id, "session_id": "sess_1"}),
            ("hold", {}),
            ("sync", {}),
        ]:
            answer = stub.post(f"/page/{action}", body, **headers)
            assert answer.status == 403, action
            assert list(answer.json()) == ["error"]
    assert stub.clerk.users.changes == users_before
    assert not stub.state()["holding"]


def test_a_form_of_another_page_cannot_act(stub: Laptop) -> None:
    """What a form can send without asking first is not JSON."""
    body = {"id": stub.clerk.ids()[0]}
    for type_ in ("text/plain", "application/x-www-form-urlencoded"):
        answer = stub.post("/page/delete", body, content_type=type_)
        assert answer.status == 415
    assert stub.clerk.count == 3


def test_another_page_reads_nothing_but_may_link(own: Laptop) -> None:
    """A link to the page works; a script, an image or a frame of others does not."""
    cross = {"sec-fetch-site": "cross-site"}
    assert own.get("/", **cross).status == 200
    for path in READ[1:]:
        assert own.get(path, **cross).status == 403


def test_no_other_origin_is_told_that_it_may_read(own: Laptop) -> None:
    """Not even another page on this machine, which may read the functions' routes."""
    origin = {"origin": "http://localhost:5173"}
    for path in READ:
        headers = own.get(path, **origin).headers
        assert "access-control-allow-origin" not in headers
        assert headers["cross-origin-resource-policy"] == "same-origin"
    answer = own.get("/api/users/me", **origin)
    assert answer.headers["access-control-allow-origin"] == origin["origin"]


@pytest.mark.parametrize("path", READ)
def test_nothing_but_the_page_itself_may_run_or_be_loaded(
    own: Laptop, path: str
) -> None:
    """The policy also rules out frames around it, and markup made from text."""
    headers = own.get(path).headers
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert not {"script-src", "style-src", "connect-src"} & policy.keys()
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


class _Parts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [str(given[a]) for a in ("src", "href") if given.get(a)]
        self.inline += [name for name in given if name == "style" or name[:2] == "on"]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)


def test_all_of_it_comes_from_here(stub: Laptop) -> None:
    """No address of another host in HTML, CSS or scripts, and nothing inline."""
    html = stub.get("/").data.decode()
    parts = _Parts()
    parts.feed(html)
    assert parts.inline == []
    files = [a for a in parts.addresses if a.startswith("/")]
    assert set(parts.addresses) - set(files) == {
        "#users",
        "#webhooks",
        "#self-sync",
        "#bulk-sync",
    }
    imported = re.findall(r'from "(/page/\w+\.js)"', stub.get(files[-1]).data.decode())
    assert imported
    for path in {*files, *imported}:
        answer = stub.get(path)
        assert answer.status == 200, path
        # The name of SVG's own kind of document is no address that is asked for.
        text = answer.data.decode().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(?m)^\s*//.*|\s// .*$", "", text), path


def test_no_other_file_of_the_folder_is_served(stub: Laptop) -> None:
    """The page's own files are named, one by one."""
    for path in ("/page/acting.py", "/page/signin/clerk.js", "/page/../dev.py"):
        assert stub.get(path).status == 404


def test_a_sign_in_that_is_not_built_is_told(
    monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path
) -> None:
    """And as soon as it is built, that is told too."""
    built = tmp_path / "signin.js"
    monkeypatch.setattr("local.page.routes.SIGN_IN", built)
    with laptop(monkeypatch, database_url) as served:
        before = served.get("/page/state")
        assert before.json()["hook"] is False
        built.touch()
        after = served.get("/page/state", if_none_match=before.headers["etag"])
        assert after.json()["hook"] is True
