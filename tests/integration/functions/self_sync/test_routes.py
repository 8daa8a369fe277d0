"""Which route a request is for, whatever the gateway puts before its path."""

from typing import Any

import pytest

from functions.self_sync import app
from tests.doors import api_request, ask
from tests.integration.functions.self_sync.door import ME, SYNC, Door

ROUTES = [("POST", SYNC), ("POST", "/api/user/sync"), ("GET", ME)]


def request(
    door: Door, method: str, path: str, *, before: str, **event: Any
) -> dict[str, Any]:
    """A request for a path that has something before it."""
    made = api_request(
        method, path, headers={"authorization": f"Bearer {door.token()}"}
    )
    made["rawPath"] = made["requestContext"]["http"]["path"] = before + path
    return made | event


@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
@pytest.mark.parametrize("before", ["/prod", "/v1", "/v1/users", "/api"])
@pytest.mark.usefixtures("known")
def test_a_stage_or_a_base_path_stands_before_the_path(
    door: Door, method_and_path: tuple[str, str], before: str
) -> None:
    """The gateway's own route key says which route it is."""
    event = request(door, *method_and_path, before=before)
    assert ask(app, event).status == 200


@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
@pytest.mark.parametrize(
    "route_key", ["$default", "ANY /{proxy+}", "POST /{stage}/{proxy+}", "", None, 17]
)
@pytest.mark.parametrize("before", ["", "/prod"])
@pytest.mark.usefixtures("known")
def test_without_a_route_of_its_own_the_path_decides(
    door: Door, method_and_path: tuple[str, str], route_key: Any, before: str
) -> None:
    """A function URL, and an API whose only route is the default one."""
    event = request(door, *method_and_path, before=before, routeKey=route_key)
    assert ask(app, event).status == 200


@pytest.mark.usefixtures("known")
def test_any_method_may_have_the_same_route(door: Door) -> None:
    """The method is the request's."""
    event = request(door, "GET", ME, before="/prod", routeKey=f"ANY {ME}")
    assert ask(app, event).status == 200
    event = request(door, "GET", SYNC, before="/prod", routeKey=f"ANY {SYNC}")
    assert ask(app, event).status == 404


@pytest.mark.parametrize(
    "path", ["/api/users/sync/x", "/xapi/users/sync", "/prod", "/API/USERS/ME", ""]
)
@pytest.mark.parametrize("before", ["", "/prod"])
def test_another_path_is_no_route(door: Door, path: str, before: str) -> None:
    """Whatever the gateway lets through."""
    for method in ("GET", "POST"):
        event = request(door, method, path, before=before, routeKey="$default")
        assert ask(app, event).status == 404
