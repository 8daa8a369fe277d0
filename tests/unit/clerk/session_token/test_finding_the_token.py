"""Where in a request the token is."""

import pytest

from clerksync.clerk.session_token import find_token
from clerksync.errors import (
    NotAuthenticatedError,
)


@pytest.mark.parametrize(
    ("headers", "cookies", "found"),
    [
        ({"authorization": "Bearer a"}, {}, "a"),
        ({"authorization": "bEaReR a"}, {}, "a"),
        ({"authorization": "  Bearer   a  "}, {}, "a"),
        ({"authorization": "Bearer a"}, {"__session": "b"}, "a"),
        ({"authorization": "Bearer "}, {"__session": "b"}, "b"),
        ({"authorization": "Basic a"}, {"__session": "b"}, "b"),
        ({}, {"__session": "b"}, "b"),
        ({}, {"__session": ""}, None),
        ({}, {"session": "b"}, None),
        ({"authorization": ""}, {}, None),
        ({"authorization": "a"}, {}, None),
        ({"authorization": "Bearer"}, {}, None),
        ({}, {}, None),
    ],
)
def test_a_token_is_found_in_header_or_cookie(
    headers: dict[str, str], cookies: dict[str, str], found: str | None
) -> None:
    """A bearer token first, else the session cookie."""
    if found is None:
        with pytest.raises(NotAuthenticatedError):
            find_token(headers, cookies)
    else:
        assert find_token(headers, cookies) == found
