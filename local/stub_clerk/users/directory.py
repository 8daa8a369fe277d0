"""All users of the instance: their JSON, ready to send, and the orders of listing."""

import json
import threading
from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any, NamedTuple

from local.stub_clerk.errors import email_taken, user_not_found
from local.stub_clerk.wire import JSON, to_json

# (key, user id), ascending. The id settles what happens within one millisecond.
Order = list[tuple[Any, str]]


class _Record(NamedTuple):
    created_at: int
    updated_at: int
    json: bytes


class UserDirectory:
    """Users by id, by email, by time of creation and of update.

    Each user is kept as bytes: a page is joined, not serialised. Hold `lock` around
    anything that must see one state over several calls.
    """

    def __init__(self, users: Iterable[JSON] = ()) -> None:
        self.lock = threading.RLock()
        self.changes = 0  # grows with each
        self._records: dict[str, _Record] = {}
        self._ids_by_email: dict[str, str] = {}
        for user in users:
            self._file(user)
        self.by_created_at: Order = sorted(
            (r.created_at, i) for i, r in self._records.items()
        )
        self.by_updated_at: Order = sorted(
            (r.updated_at, i) for i, r in self._records.items()
        )

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._records

    def record(self, user_id: str) -> _Record:
        """Return times and JSON of a user; raises the 404 when there is none."""
        try:
            return self._records[user_id]
        except KeyError:
            raise user_not_found(user_id) from None

    def user(self, user_id: str) -> JSON:
        """Return a copy of the user object; raises the 404 when there is none."""
        user: JSON = json.loads(self.record(user_id).json)
        return user

    def ids(self) -> list[str]:
        """Return all ids, oldest user first."""
        with self.lock:
            return [user_id for _, user_id in self.by_created_at]

    def id_by_email(self, address: str) -> str | None:
        """Return who has the address, as primary one or not; case does not matter."""
        return self._ids_by_email.get(address.lower())

    def add(self, user: JSON) -> None:
        """Take in a new user; raises the 422 when somebody has one of the emails."""
        with self.lock:
            self._refuse_taken_emails(user)
            self.changes += 1
            self._file(user)
            insort(self.by_created_at, (user["created_at"], user["id"]))
            insort(self.by_updated_at, (user["updated_at"], user["id"]))

    def replace(self, user: JSON) -> None:
        """Put a new version in the place of the old; raises the 404 or the 422."""
        with self.lock:
            self.record(user["id"])
            self._refuse_taken_emails(user)
            self.remove(user["id"])
            self.add(user)

    def remove(self, user_id: str) -> JSON:
        """Take out a user and return it; raises the 404 when there is none."""
        with self.lock:
            user = self.user(user_id)
            for entry in user["email_addresses"]:
                del self._ids_by_email[entry["email_address"].lower()]
            for order, key in (
                (self.by_created_at, user["created_at"]),
                (self.by_updated_at, user["updated_at"]),
            ):
                del order[bisect_left(order, (key, user_id))]
            del self._records[user_id]
            self.changes += 1
            return user

    def _file(self, user: JSON) -> None:
        self._records[user["id"]] = _Record(
            user["created_at"], user["updated_at"], to_json(user)
        )
        for entry in user["email_addresses"]:
            self._ids_by_email[entry["email_address"].lower()] = user["id"]

    def _refuse_taken_emails(self, user: JSON) -> None:
        for entry in user["email_addresses"]:
            owner = self.id_by_email(entry["email_address"])
            if owner not in (None, user["id"]):
                raise email_taken(entry["email_address"])
