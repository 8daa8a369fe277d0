"""Whether an answer of a door speaks the truth: generators of what is wrong with it."""

from collections.abc import Iterator
from typing import Final

from tests.convergence.look import Seen
from tests.convergence.model_clerk import Delivery, Person
from tests.convergence.truth import Policy, stale
from tests.doors import Answer

_DONE: Final = frozenset({"created", "updated", "unchanged", "skipped"})


def odd_answer(delivery: Delivery, answer: Answer) -> Iterator[str]:
    allowed = {"deleted"} if delivery.version is None else _DONE
    if answer.body.get("success") is not True or answer.body["action"] not in allowed:
        yield str(answer)


def uncommitted(delivery: Delivery, now: Seen) -> Iterator[str]:
    if delivery.version is None:
        if now.tombstone is None or now.row is not None:
            yield f"{delivery.person.id} is said to be deleted"
    elif now.tombstone is None and (now.version or 0) < delivery.version:
        yield f"{delivery.person.id} has {now.version}, taken was {delivery.version}"


def other_action(action: str, was: Seen, now: Seen) -> Iterator[str]:
    had, has = was.row is not None, now.row is not None
    true = {
        "created": not had and has,
        "updated": had and has and was.content != now.content,
        "unchanged": was.footprint == now.footprint,
        "skipped": not has,
        "deleted": not has,
    }
    if not true[action]:
        yield f"{action}: {was} → {now}"


def other_row(answer: Answer, now: Seen) -> Iterator[str]:
    if now.row is None or "user" not in answer.body:
        yield f"{answer}, stored {now.row}"
        return
    shown = answer.body["user"]
    stored = now.row | {"tier": now.tier}
    for name in stored.keys() - {"clerk_created_at"}:
        if shown[name] != stored[name]:
            yield f"{name} is {stored[name]!r}, told was {shown[name]!r}"


def wrong_self_sync(
    person: Person, policy: Policy, was: Seen, now: Seen, answer: Answer
) -> Iterator[str]:
    expected = 200 if person.alive else 401
    needs_email = person.alive and policy.require_email and was.row is None
    if needs_email and person.now.row["email"] is None:
        expected = 400
    if answer.status != expected:
        yield f"{answer.status} instead of {expected}"
    if person.alive:
        yield from stale(person, policy, now)
