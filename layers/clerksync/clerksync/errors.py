"""Everything that clerksync raises on purpose, each with its HTTP status."""

import math
from typing import ClassVar, Final

UNBLOCK: Final = (
    "Let the user go there: ON DELETE CASCADE or SET NULL for a foreign key (clerksync "
    "doctor shows how), or delete the rows that hold it."
)


class ClerksyncError(Exception):
    """Base of all below; its message says what to do next and holds no secret."""

    http_status: ClassVar[int] = 500
    """The HTTP status to respond with. With 500, log the message; it is for the owner
    and not for the client."""

    @property
    def http_headers(self) -> dict[str, str]:
        """HTTP headers that belong to the response."""
        return {}


class MissingSettingError(ClerksyncError):
    """A setting that this job needs is not there."""

    def __init__(self, name: str, hint: str) -> None:
        super().__init__(f"{name} is not set. {hint}")
        self.name = name


class InvalidSettingError(ClerksyncError):
    """A setting is there and cannot be used."""


class NoMappingError(InvalidSettingError):
    """There is no mapping of that name, and no such file."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name
        """For the terminal of the owner only: it may be a value that was meant for a
        different setting, and no log holds those."""


class UnreadableFileError(InvalidSettingError):
    """A file that a person wrote is no text, or cannot be read at all."""


class AccessDeniedError(InvalidSettingError):
    """A secret that the function's role may not read, or not yet."""


class InvalidSignatureError(ClerksyncError):
    """A webhook that the signing secret did not sign, or not within 5 minutes."""

    http_status = 400


class InvalidPayloadError(ClerksyncError):
    """A body that is not what Clerk, or a browser, sends."""

    http_status = 400


class NotAuthenticatedError(ClerksyncError):
    """No session token, or one that must be refused."""

    http_status = 401

    def __init__(self, message: str, *, why: str | None = None) -> None:
        super().__init__(message)
        self.why = why
        """What is wrong with the token: for the log only, because a stranger learns
        nothing from a response. Holds no part of the token."""


class UnknownUserError(NotAuthenticatedError):
    """Clerk, asked by id, does not know the user: a session can outlive its user."""


class OtherInstanceTokenError(NotAuthenticatedError):
    """The table holds the users of a different Clerk instance."""

    def __init__(self, instance: str, owners: list[str]) -> None:
        super().__init__(
            "This server and its table belong to different Clerk instances.",
            why=f"CLERK_SECRET_KEY belongs to instance {instance}, the table to "
            f"{' or '.join(owners)}: nothing was written. Set the keys of the table's "
            "instance, or a different DATABASE_URL. To change instances, run bulk sync "
            "once with force.",
        )


class DeletedUserError(NotAuthenticatedError):
    """The user was deleted while we were asking for it."""


class MissingEmailError(ClerksyncError):
    """The user has no email at Clerk, and without one it gets no row."""

    http_status = 400


class ForbiddenError(ClerksyncError):
    """A valid session token, used for somebody else."""

    http_status = 403


class ClerkUnavailableError(ClerksyncError):
    """Clerk did not answer, or not usefully, as often as we were ready to ask."""

    http_status = 503

    def __init__(self, message: str, retry_after_seconds: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    @property
    def http_headers(self) -> dict[str, str]:
        return {"retry-after": str(max(1, math.ceil(self.retry_after_seconds)))}


class ClerkRequestError(ClerksyncError):
    """Clerk refused the request itself: asking again would not help."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class StuckListingError(ClerksyncError):
    """Clerk's listing shows the same users again and again."""

    def __init__(self) -> None:
        super().__init__(
            "Clerk's user listing does not advance: the next page shows users of the "
            "page before. A cache or a proxy between here and Clerk may ignore "
            "starting_after and offset: let it pass query strings on, cache nothing, "
            "or set CLERK_API_URL to Clerk itself. Then run again."
        )


class UnreadableUserError(ClerksyncError):
    """Clerk responded with a user that cannot be read: asking again would not help."""


class OtherInstanceError(ClerksyncError):
    """The key of Clerk became that of another instance in the middle of a run."""


class RefusedError(ClerksyncError):
    """A guard stops a run before anything is written; force lets it go on."""


class OutOfTimeError(ClerksyncError):
    """The time of this run is over: what is left is for the next."""

    def __init__(self, message: str = "The time of the run was over.") -> None:
        super().__init__(message)


class SchemaOutdatedError(ClerksyncError):
    """The database is behind the code."""


class LacksRightError(ClerksyncError):
    """The role of DATABASE_URL may not do what a migration does."""


class TablesElsewhereError(ClerksyncError):
    """clerksync's own tables are in a schema where this migration must not use them."""


class TableMisfitError(ClerksyncError):
    """A table was there before, and the write path cannot use it."""


class DeletionBlockedError(ClerksyncError):
    """A rule of the application's own tables stands against deleting a user."""

    def __init__(self, obstacle: str) -> None:
        super().__init__(f"The deletion is blocked by {obstacle}. {UNBLOCK}")
        self.obstacle = obstacle


class RowLockedError(ClerksyncError):
    """Another transaction keeps the row of a user locked."""

    def __init__(self) -> None:
        super().__init__(
            "Another transaction of the application keeps the user's row locked. It is "
            "written as soon as Clerk, or the browser, tries again after that "
            "transaction has ended; pg_stat_activity shows which one it is."
        )


class RowRefusedError(ClerksyncError):
    """The application's own table swallowed the row of a user."""

    def __init__(self) -> None:
        super().__init__(
            "The row was not written, though nothing objected: a trigger that returns "
            "NULL, a rule or a policy of the table swallows it. Let the row through, "
            "or let the trigger raise an error that says why not."
        )


class DatabaseUnreachableError(ClerksyncError):
    """No connection to Postgres, or none that can be used."""
