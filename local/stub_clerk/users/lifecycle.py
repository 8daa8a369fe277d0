"""Users are created, change and are deleted, and each time a webhook may be sent."""

from collections.abc import Callable
from typing import Any

from local.stub_clerk.users.changes import changed, new_user
from local.stub_clerk.users.directory import UserDirectory
from local.stub_clerk.wire import JSON


class UserLifecycle:
    """Changes the users of a directory, and announces each change.

    `announce` is called with the type of the event and the user object, after the
    change. With `notify` false it is not called: nobody hears of the change. `users`
    may be replaced by another directory at any time. `now` is Clerk's clock, in Unix
    milliseconds.
    """

    def __init__(
        self,
        users: UserDirectory,
        announce: Callable[[str, JSON], None],
        now: Callable[[], int],
    ) -> None:
        self.users = users
        self._announce = announce
        self._now = now

    def create(
        self,
        *,
        email: str | None = None,
        created_at: int | None = None,
        notify: bool = True,
        **fields: Any,
    ) -> JSON:
        """Create a user and return it; raises ClerkError 422 for an email in use.

        `created_at` is Unix milliseconds, by default now. `fields` are those of the
        user object (`first_name`, `public_metadata` and so on), and `phone_number` and
        `emails`: all addresses. If `email`, the primary one, is not among them, it
        comes last. Announces `user.created`.
        """
        created_at = self._now() if created_at is None else created_at
        user = new_user(email=email, created_at=created_at, **fields)
        self.users.add(user)
        if notify:
            self._announce("user.created", user)
        return user

    def update(self, user_id: str, *, notify: bool = True, **changes: Any) -> JSON:
        """Change a user as `changes.changed` describes, and return it.

        `updated_at` grows with each change. Raises ClerkError 404, or 422 for an email
        in use. Announces `user.updated`.
        """
        with self.users.lock:
            user = changed(self.users.user(user_id), changes, self._now())
            self.users.replace(user)
        if notify:
            self._announce("user.updated", user)
        return user

    def delete(self, user_id: str, *, notify: bool = True) -> JSON:
        """Delete a user and return what it was; raises ClerkError 404.

        Announces `user.deleted`.
        """
        user = self.users.remove(user_id)
        if notify:
            self._announce("user.deleted", user)
        return user
