"""Where the token may be: in the header or the session cookie."""

import psycopg
import pytest

from tests.doors import (
    untouched,
)
from tests.integration.functions.self_sync.door import ROUTES, SYNC, Door
from tests.tables import rows


@pytest.mark.parametrize(
    "authorization",
    ["Bearer TOKEN", "bearer TOKEN", "BEARER TOKEN", " Bearer   TOKEN "],
    ids=lambda text: text.replace(" ", "·"),
)
@pytest.mark.parametrize("name", ["authorization", "Authorization"])
def test_the_scheme_and_the_header_have_no_case(
    door: Door, name: str, authorization: str
) -> None:
    """Nor do spaces matter."""
    headers = {name: authorization.replace("TOKEN", door.token())}
    assert door.ask("POST", SYNC, headers=headers).status == 200


@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
@pytest.mark.usefixtures("known")
def test_the_session_cookie_will_do(
    door: Door, method_and_path: tuple[str, str]
) -> None:
    """A page of the same site sends no header."""
    cookies = ["theme=dark", f"__session={door.token()}", "__session_x=nothing"]
    assert door.ask(*method_and_path, cookies=cookies).status == 200


def test_the_header_beats_the_cookie(
    door: Door, connection: psycopg.Connection
) -> None:
    """Who says both means the header, even where the header is no good."""
    other = door.clerk.create_user(email="other@example.com")
    headers = {"authorization": f"Bearer {door.token()}"}
    cookies = [f"__session={door.clerk.session_token(other['id'])}"]
    answer = door.ask("POST", SYNC, headers=headers, cookies=cookies)
    assert answer.body["user"]["id"] == door.user_id
    headers = {"authorization": "Bearer garbage"}
    assert door.ask("POST", SYNC, headers=headers, cookies=cookies).status == 401
    assert list(rows(connection)) == [door.user_id]


@pytest.mark.parametrize(
    "authorization",
    ["", " ", "Bearer", "Bearer ", "bearer  ", "Basic TOKEN", "TOKEN", "BearerTOKEN"],
)
@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
def test_without_a_bearer_token_nobody_is_authenticated(
    door: Door,
    connection: psycopg.Connection,
    method_and_path: tuple[str, str],
    authorization: str,
) -> None:
    """A token counts only where it belongs."""
    headers = {"authorization": authorization.replace("TOKEN", door.token())}
    with untouched(connection):
        answer = door.ask(*method_and_path, headers=headers)
    assert answer.status == 401
    assert answer.error
    assert door.asked() == 0
