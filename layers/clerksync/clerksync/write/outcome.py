"""What becomes of users that are handed to the write path."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, Self

from clerksync.write.rows import StagedRow


class Change(NamedTuple):
    """What a dry run would do with one user."""

    action: Literal["created", "updated", "deleted", "held_back"]
    clerk_id: str
    columns: tuple[str, ...] = ()
    """Of an update: the columns that would change."""


@dataclass(slots=True)
class Outcome:
    """What became of the users handed over, as counts; each user is in one of them.

    `email_conflicts` comes on top: users, handed over or not, whose row lacks the email
    that they have at Clerk, or who have no row for it, because it is another's here.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    email_conflicts: int = 0
    tombstoned: list[str] = field(default_factory=list)
    """Deleted here, and not confirmed by id since."""
    blocked: list[str] = field(default_factory=list)
    """Not written yet: their email is that of `holders`, who may not be without one."""
    holders: list[str] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)
    """Known here in a newer version that is doubted, and not confirmed by ID since."""
    losers: list[str] = field(default_factory=list)
    """Who is without the email that they have at Clerk, of `email_conflicts`."""
    failed: list[str] = field(default_factory=list)
    """Refused by the table itself: a constraint, a trigger, a value too long."""
    failures: list[str] = field(default_factory=list)
    """Of `failed`: each ID with the reason, in words."""
    locked: list[StagedRow] = field(default_factory=list)
    """Not written yet: another transaction has locked their rows."""
    deleted: int = 0
    """Holders whom Clerk did not know."""
    held_back: int = 0
    """Users whose email an unmanaged row holds, whatever became of them."""
    changes: list[Change] = field(default_factory=list, compare=False)
    """Of a dry run."""
    asked: int = 0
    """Users, besides those handed over, that were fetched from Clerk and written."""

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> Self:
        """What a function of the write path has answered."""
        created, updated, unchanged, skipped, email_conflicts, *lists = row
        tombstoned, blocked, holders, ahead, losers = (ids or [] for ids in lists)
        return cls(
            created,
            updated,
            unchanged,
            skipped,
            email_conflicts,
            tombstoned=tombstoned,
            blocked=blocked,
            holders=holders,
            ahead=ahead,
            losers=losers,
        )

    def add(self, other: "Outcome") -> None:
        for counter in fields(self):
            total = getattr(self, counter.name) + getattr(other, counter.name)
            setattr(self, counter.name, total)

    @property
    def action(self) -> str:
        """For a single user: created, updated, unchanged or skipped."""
        if self.asked and self.skipped:
            return "skipped"  # whoever else was written has a row
        for name in ("created", "updated", "unchanged"):
            if getattr(self, name):
                return name
        return "skipped"
