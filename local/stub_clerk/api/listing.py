"""`GET /v1/users` and `GET /v1/users/count`: order, cursor, page.

Clerk leaves two things undocumented: whether `created_at_after` and its like include
the bound, and what becomes of a cursor whose user is gone. Both are settings here.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from local.stub_clerk.api.filters import Query, filters_of, first_value, integer
from local.stub_clerk.errors import ClerkError, invalid_param
from local.stub_clerk.users.directory import Order, UserDirectory
from local.stub_clerk.users.object import primary_email_of
from local.stub_clerk.wire import JSON

_MAX_LIMIT = 500
_DEFAULT_LIMIT = 10

# Users without the text or time come first; Clerk does not say where it puts them.
_ORDER_KEYS: dict[str, Callable[[JSON], str | int]] = {
    "created_at": lambda user: int(user["created_at"]),
    "updated_at": lambda user: int(user["updated_at"]),
    "last_active_at": lambda user: user["last_active_at"] or 0,
    "last_sign_in_at": lambda user: user["last_sign_in_at"] or 0,
    "email_address": lambda user: (primary_email_of(user) or "").lower(),
    "phone_number": lambda user: "".join(
        entry["phone_number"] for entry in user["phone_numbers"][:1]
    ),
    "web3wallet": lambda user: "".join(
        entry["web3_wallet"] for entry in user["web3_wallets"][:1]
    ),
    "first_name": lambda user: (user["first_name"] or "").lower(),
    "last_name": lambda user: (user["last_name"] or "").lower(),
    "username": lambda user: (user["username"] or "").lower(),
}


@dataclass(kw_only=True)
class ListingSettings:
    """What Clerk does not document, to be tried both ways.

    `bounds_inclusive`: whether the `*_after` and `*_before` filters include the bound.
    `unknown_cursor_status`: 422 or 404, for a `starting_after` that nobody has (any
    more).
    `ignores_place`: as behind a cache that does not look at `starting_after` and
    `offset`, every page is the first one.
    """

    bounds_inclusive: bool = False
    unknown_cursor_status: int = 422
    ignores_place: bool = False


def list_users(users: UserDirectory, query: Query, settings: ListingSettings) -> bytes:
    """Return the page that `query` asks for, a bare JSON array; raises the 4xx."""
    limit = integer(query, "limit", _DEFAULT_LIMIT) or 0
    offset = integer(query, "offset", 0) or 0
    if not 1 <= limit <= _MAX_LIMIT:
        raise invalid_param("limit", f"must be between 1 and {_MAX_LIMIT}")
    if offset < 0:
        raise invalid_param("offset", "must not be negative")
    field, descending = _order_by(query)
    cursor = first_value(query, "starting_after")
    if cursor and field != "created_at":
        raise invalid_param("starting_after", "requires ordering by created_at")
    if cursor and offset:
        raise invalid_param("starting_after", "cannot be combined with offset")
    if settings.ignores_place:
        cursor, offset = None, 0
    with users.lock:
        order, window, keep = _matching(users, query, field, settings)
        if cursor:
            entry = _cursor_entry(users, cursor, settings)
            window = _beyond(order, window, entry, descending=descending)
        if descending:
            window = window[::-1]
        if keep is None:
            # Slicing a range is what makes a page at any depth cheap.
            ids = [order[at][1] for at in window[offset : offset + limit]]
        else:
            kept = (order[at][1] for at in window if keep(order[at][1]))
            ids = list(islice(kept, offset, offset + limit))
        page = [users.record(user_id).json for user_id in ids]
    return b"[" + b",".join(page) + b"]"


def count_users(users: UserDirectory, query: Query, settings: ListingSettings) -> int:
    """Return how many users match the filters of `query`; raises the 4xx."""
    with users.lock:
        order, window, keep = _matching(users, query, "created_at", settings)
        if keep is None:
            return len(window)
        return sum(keep(order[at][1]) for at in window)


def _order_by(query: Query) -> tuple[str, bool]:
    order_by = first_value(query, "order_by") or "-created_at"
    # A + that was not percent-encoded arrives as a space; no sign means ascending.
    field = order_by[1:] if order_by[0] in "+- " else order_by
    if field not in _ORDER_KEYS:
        raise invalid_param("order_by", f"must be one of {', '.join(_ORDER_KEYS)}")
    return field, order_by.startswith("-")


def _matching(
    users: UserDirectory, query: Query, field: str, settings: ListingSettings
) -> tuple[Order, range, Callable[[str], bool] | None]:
    """Return an ascending order, the part of it to look at, and a test for each id."""
    filters = filters_of(query, users, bounds_inclusive=settings.bounds_inclusive)
    order = _ordered(users, field, filters.chosen)
    window = range(len(order))
    if field != "created_at":
        return order, window, filters.test_for(users, None)
    # The order itself answers this bound: no user has to be looked at.
    bound = filters.bounds["created_at"]
    if bound.stop is not None:
        window = window[: bisect_left(order, (bound.stop,))]
    if bound.first is not None:
        window = window[bisect_left(order, (bound.first,)) :]
    return order, window, filters.test_for(users, "created_at")


def _ordered(users: UserDirectory, field: str, chosen: set[str] | None) -> Order:
    if chosen is None and field == "created_at":
        return users.by_created_at
    if chosen is None and field == "updated_at":
        return users.by_updated_at
    key = _ORDER_KEYS[field]
    ids = users.ids() if chosen is None else chosen
    return sorted((key(users.user(user_id)), user_id) for user_id in ids)


def _cursor_entry(
    users: UserDirectory, cursor: str, settings: ListingSettings
) -> tuple[int, str]:
    if cursor in users:
        return users.record(cursor).created_at, cursor
    raise ClerkError(
        settings.unknown_cursor_status,
        "resource_not_found",
        f"starting_after: no user was found with id {cursor}.",
        param="starting_after",
    )


def _beyond(
    order: Order, window: range, entry: tuple[int, str], *, descending: bool
) -> range:
    """Return what follows the cursor, whether or not it passes the filters itself."""
    at = bisect_left(order, entry)
    if descending:
        return range(window.start, max(window.start, min(window.stop, at)))
    after = at + (at < len(order) and order[at] == entry)
    return range(max(window.start, min(window.stop, after)), window.stop)
