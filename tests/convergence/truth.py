"""The rules of truth, as they can be seen from outside: of DESIGN, not of the SQL."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.convergence.look import NOTHING, Look, Row, Seen, rows
from tests.convergence.model_clerk import ModelClerk, Person

_PERSONAL = (
    "email",
    "first_name",
    "last_name",
    "name",
    "username",
    "phone_number",
    "image_url",
    "public_metadata",
)


class BrokenRuleError(AssertionError):
    """`rule` is the name of what did not hold."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of a history."""

    require_email: bool = True
    soft_delete: bool = False
    max_orphan_ratio: float = 0.1
    workers: int = 1

    def environment(self) -> dict[str, str]:
        return {
            "CLERKSYNC_REQUIRE_EMAIL": str(self.require_email),
            "CLERKSYNC_DELETE_MODE": "soft" if self.soft_delete else "hard",
            "CLERKSYNC_MAX_ORPHAN_RATIO": str(self.max_orphan_ratio),
            "CLERKSYNC_WORKERS": str(self.workers),
        }


def hold(rule: str, problems: Iterable[str]) -> None:
    """Raise for the first problem, if there is one."""
    for problem in problems:
        raise BrokenRuleError(rule, problem)


def check_rules(
    clerk: ModelClerk,
    policy: Policy,
    before: Look,
    now: Look,
    tiers: Mapping[str, str],
) -> None:
    """What must hold at every moment, whatever has arrived and whatever has not."""
    hold("a stranger's row", (i for i in now if i not in clerk.by_id))
    hold("unique emails", _shared_emails(now))
    for clerk_id, seen in now.items():
        person, was = clerk.by_id[clerk_id], before.get(clerk_id, NOTHING)
        hold("nobody revived", _revived(person, was, seen))
        hold("nobody alive deleted", _wrongly_deleted(person, was, seen))
        hold("no older version", _older(was, seen, clerk_id))
        hold("companion row", _without_companion(seen, clerk_id))
        hold("tier untouched", _other_tier(seen, tiers.get(clerk_id), clerk_id))
        hold("row as its version", _unlike_version(person, seen, policy, clerk))
        hold("email required", _needless(person, was, seen, policy))
        hold("soft deletion forgets", _remembered(seen, policy, clerk_id))
    gone = [i for i in before if i not in now]
    hold("the memory of a user stays", gone)


def differences(clerk: ModelClerk, policy: Policy, now: Look) -> Iterator[str]:
    """Where the table is not what Clerk shows, column by column."""
    for person in clerk.people:
        seen = now.get(person.id, NOTHING)
        if not person.alive:
            if seen.row is not None:
                yield f"{person.id} has left and has a row"
            continue
        yield from stale(person, policy, seen)


def stale(person: Person, policy: Policy, seen: Seen) -> Iterator[str]:
    """Where somebody who lives is not stored as Clerk shows them now."""
    expected = person.now
    if seen.version != expected.at:
        yield f"{person.id} has version {seen.version}, at Clerk {expected.at}"
    if seen.row is not None and seen.row != expected.row:
        yield f"{person.id} has {_unlike(seen.row, expected.row)}"
    # Who lost the email may have a row or not, by the order of arrival: rule 6.
    if seen.row is None and (expected.row["email"] or not policy.require_email):
        yield f"{person.id} has no row"


def _revived(person: Person, was: Seen, seen: Seen) -> Iterator[str]:
    if person.alive or not (person.buried or was.tombstone):
        return
    if seen.row is not None:
        yield f"{person.id} has left, which was known, and has a row"
    if seen.tombstone is None:
        yield f"{person.id} has left, and the tombstone is gone"


def _wrongly_deleted(person: Person, was: Seen, seen: Seen) -> Iterator[str]:
    if not person.alive:
        return
    if seen.tombstone is not None:
        yield f"{person.id} is known at Clerk and has a tombstone"
    if was.row is not None and seen.row is None:
        yield f"{person.id} is known at Clerk and has lost the row"


def _older(was: Seen, seen: Seen, clerk_id: str) -> Iterator[str]:
    if was.version is not None and (seen.version or 0) < was.version:
        yield f"{clerk_id} had version {was.version} and has {seen.version}"


def _without_companion(seen: Seen, clerk_id: str) -> Iterator[str]:
    if seen.companion != (seen.row is not None):
        yield f"{clerk_id}: companion {seen.companion}, row {seen.row is not None}"


def _other_tier(seen: Seen, tier: str | None, clerk_id: str) -> Iterator[str]:
    if seen.row is not None and seen.tier != (tier or "FREE"):
        yield f"{clerk_id} was {tier or 'FREE'} and is {seen.tier}"


def _shared_emails(now: Look) -> Iterator[str]:
    emails = [one.row["email"] for one in now.values() if one.row and one.row["email"]]
    if len(emails) != len(set(emails)):
        yield f"{sorted(emails)}"


def _unlike_version(
    person: Person, seen: Seen, policy: Policy, clerk: ModelClerk
) -> Iterator[str]:
    """A row is the version that `sync_state` names, whole, but for an email that a
    newer claim has taken; and there is one, unless there need not be."""
    if seen.tombstone is not None:
        if seen.row is not None:
            yield f"{person.id} has a tombstone and a row"
        return
    if seen.version is None:
        yield f"{person.id} is known in no version"
        return
    candidates = person.rows_at(seen.version)
    if not candidates:
        yield f"{person.id} never had version {seen.version}"
    elif seen.row is None:
        if not policy.require_email or all(row["email"] for row in candidates):
            yield f"{person.id} has no row, and has an email or needs none"
        if seen.skipped is None:
            yield f"{person.id} has no row, and nothing says why"
    elif not any(_is_version(seen, row, person.id, clerk) for row in candidates):
        yield f"{person.id} at {seen.version}: {_unlike(seen.row, candidates[-1])}"


def _needless(person: Person, was: Seen, seen: Seen, policy: Policy) -> Iterator[str]:
    """Nobody is created without an email; who loses it keeps the row."""
    if not policy.require_email or was.row is not None or seen.row is None:
        return
    if not any(row["email"] for row in person.rows_at(seen.version or 0)):
        yield f"{person.id} was created without an email"


def _is_version(seen: Seen, row: Row, clerk_id: str, clerk: ModelClerk) -> bool:
    if seen.row == row:
        return True
    if seen.row is None or seen.row != row | {"email": None}:
        return False
    claims = clerk.claims[row["email"]]
    return any(at > (seen.version or 0) and who != clerk_id for at, who in claims)


def _remembered(seen: Seen, policy: Policy, clerk_id: str) -> Iterator[str]:
    if seen.remains is None:
        return
    if not policy.soft_delete:
        yield f"{clerk_id} is softly deleted"
    kept = [name for name in _PERSONAL if seen.remains[name] is not None]
    if kept:
        yield f"{clerk_id} is deleted and keeps {', '.join(kept)}"


def _unlike(row: Row, expected: Row) -> str:
    columns = [name for name in expected if row[name] != expected[name]]
    return ", ".join(f"{n} {row[n]!r} instead of {expected[n]!r}" for n in columns)


def vanished(before: Look, now: Look) -> set[str]:
    """Who had a row and has none."""
    return rows(before) - rows(now)
