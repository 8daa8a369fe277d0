"""The filters that `GET /v1/users` and `GET /v1/users/count` share."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from local.stub_clerk.errors import ClerkError, invalid_param
from local.stub_clerk.users.directory import UserDirectory
from local.stub_clerk.wire import JSON

Query = dict[str, list[str]]

_MAX_VALUES = 100
_TIMES = ("created_at", "last_active_at", "last_sign_in_at")

# Filters of Clerk's that the stub lacks. To ignore one would be to answer with users
# who were not asked for.
_MISSING = frozenset(
    {
        "phone_number",
        "external_id",
        "username",
        "web3_wallet",
        "organization_id",
        "email_address_query",
        "phone_number_query",
        "username_query",
        "name_query",
        "provider",
        "provider_user_id",
    }
)


@dataclass(frozen=True)
class Bound:
    """The first moment inside and the first one outside, in Unix milliseconds."""

    first: int | None = None
    stop: int | None = None

    def __bool__(self) -> bool:
        return (self.first, self.stop) != (None, None)

    def __contains__(self, at: int | None) -> bool:
        if at is None:
            return not self
        return (self.first is None or at >= self.first) and (
            self.stop is None or at < self.stop
        )


@dataclass(kw_only=True)
class Filters:
    """What a query asks for.

    `chosen` are the ids to look at (None: all); `bounds` hold one Bound for each time.
    """

    chosen: set[str] | None = None
    excluded: set[str] = field(default_factory=set)
    bounds: dict[str, Bound] = field(default_factory=dict)
    tests: list[Callable[[JSON], bool]] = field(default_factory=list)

    def test_for(
        self, users: UserDirectory, answered: str | None
    ) -> Callable[[str], bool] | None:
        """Return the test that an id must pass, or None where every one would.

        The bound of the time `answered` is left out: the caller has seen to it.
        """
        bounds = [(t, b) for t, b in self.bounds.items() if b and t != answered]
        if not (bounds or self.tests or self.excluded):
            return None

        def keep(user_id: str) -> bool:
            if user_id in self.excluded:
                return False
            user = json.loads(users.record(user_id).json)
            return all(user[time] in bound for time, bound in bounds) and all(
                test(user) for test in self.tests
            )

        return keep


def filters_of(
    query: Query, users: UserDirectory, *, bounds_inclusive: bool
) -> Filters:
    """Return the filters of `query`; raises the 422 for a value that Clerk refuses."""
    for name in _MISSING & query.keys():
        raise ClerkError(501, "not_in_stub", f"The stub has no filter {name}.")
    filters = Filters(bounds={t: _bound(query, t, bounds_inclusive) for t in _TIMES})
    asked = values_of(query, "user_id")
    filters.excluded = {value[1:] for value in asked if value.startswith("-")}
    # A + that was not percent-encoded arrives as a space.
    wanted = {value.lstrip("+ ") for value in asked if not value.startswith("-")}
    if wanted:
        filters.chosen = {user_id for user_id in wanted if user_id in users}
    if addresses := values_of(query, "email_address"):
        owners = {id_ for a in addresses if (id_ := users.id_by_email(a))}
        filters.chosen = owners if not wanted else owners & (filters.chosen or set())
    if "banned" in query:
        banned = _boolean(query, "banned")
        filters.tests.append(lambda user: user["banned"] is banned)
    if words := first_value(query, "query"):
        filters.tests.append(lambda user: words.lower() in _searched_text(user))
    return filters


def first_value(query: Query, name: str) -> str | None:
    """Return the first value of a parameter; where one is wanted, Clerk keeps it."""
    return query.get(name, [None])[0]


def values_of(query: Query, name: str) -> list[str]:
    """Return all values of a repeatable parameter; raises the 422 above a hundred."""
    values = query.get(name, [])
    if len(values) > _MAX_VALUES:
        raise invalid_param(name, f"takes up to {_MAX_VALUES} values")
    return values


def integer(query: Query, name: str, default: int | None = None) -> int | None:
    """Return a parameter as a number; raises the 422 where it is none."""
    text = first_value(query, name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise invalid_param(name, "must be an integer") from None


def _boolean(query: Query, name: str) -> bool:
    text = first_value(query, name)
    if text not in ("true", "false"):
        raise invalid_param(name, "must be true or false")
    return text == "true"


def _bound(query: Query, time: str, inclusive: bool) -> Bound:
    after = integer(query, f"{time}_after")
    before = integer(query, f"{time}_before")
    since = integer(query, f"{time}_since") if time == "last_active_at" else None
    firsts = [] if since is None else [since]
    if after is not None:
        firsts.append(after if inclusive else after + 1)
    if before is not None and inclusive:
        before += 1
    return Bound(max(firsts, default=None), before)


def _searched_text(user: JSON) -> str:
    parts = [user["id"], user["first_name"], user["last_name"], user["username"]]
    parts += [entry["email_address"] for entry in user["email_addresses"]]
    parts += [entry["phone_number"] for entry in user["phone_numbers"]]
    return "\n".join(part for part in parts if part).lower()
