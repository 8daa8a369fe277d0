"""Clerk's users with their primary email, and whether Clerk has verified it."""

from typing import IO, Any, ClassVar, Final, NotRequired
from uuid import uuid4

from typing_extensions import TypedDict

from clerksync.bulk.clocks import end_of_listing
from clerksync.bulk.fetch import fetch_windows
from clerksync.bulk.job import Job
from clerksync.bulk.windows import Windows
from clerksync.clerk.api import ClerkApi
from clerksync.clerk.needed_fields import ALWAYS
from clerksync.clerk.retry import BULK
from clerksync.clerk.user import ClerkUser, Page
from clerksync.settings.environment import Settings
from clerksync.write.copy_text import copy_lines
from clerksync.write.rows import Prepared


class _Address(TypedDict):
    id: str
    email_address: str
    verification: NotRequired[Any]


class VerifiableUser(ClerkUser):
    """A user as `link` reads it. Bulk sync reads less, and is faster for it."""

    needed: ClassVar[frozenset[str]] = ALWAYS | {
        "primary_email_address_id",
        "email_addresses",
    }
    email_addresses: list[_Address] | None = None  # type: ignore[assignment] # more of the same

    @property
    def is_verified(self) -> bool:
        """Whether Clerk says that the primary email is verified."""
        for address in self.email_addresses or ():
            if address["id"] == self.primary_email_address_id:
                verification = address.get("verification")
                return (
                    isinstance(verification, dict)
                    and verification.get("status") == "verified"
                )
        return False


_UNREAD: Final = 0


def linking_client(settings: Settings) -> ClerkApi:
    """Make a client that reads users with the verification of their emails."""
    return ClerkApi(
        BULK,
        url=lambda: settings.clerk_api_url,
        secret_key=lambda: settings.clerk_secret_key,
        user_model=lambda: VerifiableUser,
        refresh=settings.refresh,
    )


def spool_users(job: Job, spool: IO[str]) -> int:
    """Write a line for COPY for each user of Clerk: ID, version, email, verified.

    Returns how many users there must be at least: those that Clerk counted both before
    and after. A user can be in two lines. Raises what Clerk raises.
    """
    until = end_of_listing(job.clerk, job.users.clock())
    expected = job.clerk.count(created_before=until)
    windows = Windows.until(until, to_come=expected)
    workers = job.setup.workers
    seen = 0
    for batch in fetch_windows(job.clerk, windows, _prepared, workers=workers):
        for page in batch:
            spool.writelines(f"{line}\n" for _, _, line in page.prepared.rows)
            seen += page.size
        job.setup.progress("fetch", seen, max(expected, seen))
    return min(expected, job.clerk.count(created_before=until))


def _prepared(page: Page) -> Prepared:
    rows: list[list[Any]] = [
        [user.id, user.updated_at, user.email, _is_verified(user)]
        for user in page.users
    ]
    # They count, so that the listing is complete, and match no row.
    rows += [[u.id or uuid4().hex, _UNREAD, None, False] for u in page.unreadable]
    lines = zip(rows, copy_lines(rows), strict=True)
    return Prepared([(row[0], row[1], line) for row, line in lines], [])


def _is_verified(user: ClerkUser) -> bool:
    return isinstance(user, VerifiableUser) and user.is_verified
