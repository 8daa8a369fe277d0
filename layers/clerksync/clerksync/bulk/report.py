"""What a run of bulk sync reports: its status, the reasons, and the counts."""

import time
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, Self
from uuid import UUID

from clerksync.errors import UNBLOCK
from clerksync.write.outcome import Outcome
from clerksync.write.refused_row import LOCK

Status = Literal["completed", "partial", "refused", "failed"]
_SEVERITY: Final = ("completed", "partial", "refused", "failed")
_OBSTACLES_NAMED: Final = 5
_FAILURES_NAMED: Final = 20
_REFUSALS_NAMED: Final = 3
_LOSERS_KEPT: Final = 100
_RUN_AGAIN: Final = "Run again when that has ended."


@dataclass(slots=True, kw_only=True)
class Counts:
    """What a step of a run did. The counts of steps add up to those of the run."""

    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    deleted: int = 0
    deletions_blocked: int = 0
    """Orphans that rows of the application's own tables still reference."""
    failed: int = 0
    companions_failed: int = 0
    """Rows beside users, in other tables, that could not be made."""
    email_conflicts: int = 0
    held_back: int = 0
    """Users whose email belongs to an unmanaged row, which keeps it."""
    orphans_found: int = 0
    requests: int = 0
    windows: int = 0
    """Into how many parts the instance's life was cut."""
    write_ms: int = 0
    """How long the database was busy."""
    prove_ms: int = 0
    """How long Clerk was asked for orphans by ID."""
    failures: list[str] = field(default_factory=list)
    """The first users that could not be written: each ID with the reason."""
    refusals: dict[str, int] = field(default_factory=dict)
    """Why users could not be written, each with their number."""
    losers: set[str] = field(default_factory=set)
    """The first users that are without their email, because another row has it."""
    obstacles: set[str] = field(default_factory=set)
    """What blocks deletions: tables and constraints."""

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """Count what was written. Users that a tombstone kept out are not in it."""
        return cls(
            fetched=outcome.asked,
            created=outcome.created,
            updated=outcome.updated,
            unchanged=outcome.unchanged,
            skipped=outcome.skipped,
            deleted=outcome.deleted,
            failed=len(outcome.failed),
            failures=outcome.failures[:_FAILURES_NAMED],
            refusals=dict(Counter(f.partition(": ")[2] for f in outcome.failures)),
            email_conflicts=outcome.email_conflicts,
            losers=set(outcome.losers[:_LOSERS_KEPT]),
            held_back=outcome.held_back,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the counts by name, without what only the run itself needs."""
        json = asdict(self)
        del json["obstacles"], json["losers"]
        return json

    def add(self, other: "Counts") -> None:
        self.obstacles |= other.obstacles
        if len(self.losers) < _LOSERS_KEPT:
            self.losers |= other.losers
        self.refusals = dict(Counter(self.refusals) + Counter(other.refusals))
        self.failures += other.failures[: _FAILURES_NAMED - len(self.failures)]
        for counter in fields(Counts):
            value = getattr(other, counter.name)
            if isinstance(value, int):
                setattr(self, counter.name, getattr(self, counter.name) + value)


@dataclass(slots=True, kw_only=True)
class Report(Counts):
    """What a run saw and did.

    fetched = created + updated + unchanged + skipped + failed, except in a cleanup,
    which writes no user that it lists.
    """

    run_id: UUID
    mode: str
    status: Status = "completed"
    reason: str | None = None
    """Why it is not completed, or what else there is to do."""
    dry_run: bool = False
    users_per_second: int = 0
    """Fetched, while users were being fetched and written."""
    plan_ms: int = 0
    """Which instance is it, how many users, is there a walk to resume?"""
    fetch_ms: int = 0
    """Fetching, with the writing that goes on at the same time."""
    sweep_ms: int = 0
    duration_ms: int = 0
    continues: UUID | None = None
    """The run whose walk this one resumes."""
    clerk_ahead_ms: int = 0
    """Clerk's clock against the database's. Negative: the database's is ahead."""
    out_of_time: bool = False
    """It timed out, and another run can resume it."""

    def as_json(self) -> dict[str, Any]:
        ids = {"run_id": str(self.run_id), "continues": None}
        if self.continues is not None:
            ids["continues"] = str(self.continues)
        return ids | Counts.as_json(self) | ids  # run_id comes first for a reader

    def fall_short(self, status: Status, reason: str) -> None:
        """Note why the run is not completed. Of several statuses, the worst counts."""
        self.status = max(self.status, status, key=_SEVERITY.index)
        self.explain(reason)

    def explain(self, reason: str) -> None:
        """Note what a person should know, whatever the status."""
        self.reason = f"{self.reason} {reason}" if self.reason else reason

    def judge_counts(self, *, failed_before: int, email_not_null: bool) -> None:
        """Note what the counts say against the run. `failed_before` users could not be
        written by earlier runs of the same walk."""
        if self.deletions_blocked:
            named = ", ".join(sorted(self.obstacles)[:_OBSTACLES_NAMED])
            what_to_do = _RUN_AGAIN if self.obstacles == {LOCK} else UNBLOCK
            self.fall_short(
                "partial",
                f"{_users(self.deletions_blocked)} could not be deleted: blocked by "
                f"{named}. {what_to_do} The log names the users.",
            )
        if failed := self.failed + failed_before:
            most = Counter(self.refusals).most_common(_REFUSALS_NAMED)
            named = ", ".join(f"{number} {why}" for why, number in most)
            why = f" ({named})" if named else ""
            self.fall_short(
                "partial", f"{_users(failed)} could not be written{why}, see the log."
            )
        if self.companions_failed:
            self.fall_short(
                "partial",
                f"{_users(self.companions_failed, 'lacks', 'lack')} a row in a "
                "companion table that refused it: failures names them.",
            )
        if self.held_back:
            self.explain(
                f"{_users(self.held_back, 'is', 'are')} held back: a row without their "
                "Clerk ID has their email. Run clerksync link, which shows whose these "
                "rows are."
            )
        conflicts = self.email_conflicts - self.held_back
        if conflicts > 0 and email_not_null:
            self.explain(
                f"{_users(conflicts, 'is', 'are')} without their email, or without "
                "a row, because another row holds the email: see the log."
            )


def _users(count: int, one: str = "", more: str = "") -> str:
    """Return a count of users, perhaps with a verb for one and for more."""
    noun, verb = ("user", one) if count == 1 else ("users", more)
    return f"{count} {noun} {verb}".rstrip()


def ms_since(moment: float) -> int:
    """Whole milliseconds since a moment of `time.monotonic()`."""
    return round((time.monotonic() - moment) * 1000)
