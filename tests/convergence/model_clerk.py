"""A model of Clerk: people who live, and what the table should say of each.

The stub shows them to the functions and words their events. What is expected is kept
beside it, in plain rows: the table is never compared with what the stub made.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from local.stub_clerk.stub import StubClerk
from local.stub_clerk.users.changes import new_user
from local.stub_clerk.users.directory import UserDirectory
from local.stub_clerk.wire import JSON, to_json
from tests.convergence.look import Row

# Few, so that people get into each other's way.
EMAILS: Final = tuple(f"{letter}@example.com" for letter in "abcdef")
CROWD: Final = 8
_LONG_AGO_MS: Final = 1_600_000_000_000
_A_MINUTE_MS: Final = 60_000
# Ids do not sort by age: ties are settled by id, and batches are written in its order.
_SHUFFLED: Final = "mQz3Xc8Kf1Vw6Jb0Td5Rg9Hn2Yp7La4S"


@dataclass(frozen=True, slots=True)
class Profile:
    """Who somebody is at Clerk."""

    created_at: int
    email: str | None = None
    other_emails: tuple[str, ...] = ()
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    phone_number: str | None = None
    image_url: str = "https://img.example.com/1"
    public_metadata: tuple[tuple[str, str], ...] = ()
    banned: bool = False

    @property
    def emails(self) -> tuple[str, ...]:
        return self.other_emails + ((self.email,) if self.email else ())

    def row(self) -> Row:
        """As DESIGN has it: first and last name, else username, else the email."""
        full_name = " ".join(n for n in (self.first_name, self.last_name) if n)
        local_part = self.email.split("@")[0] if self.email else None
        return {
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "name": full_name or self.username or local_part,
            "username": self.username,
            "phone_number": self.phone_number,
            "image_url": self.image_url,
            "public_metadata": dict(self.public_metadata),
            "banned": self.banned,
            "clerk_created_at": self.created_at,
        }


@dataclass(frozen=True, slots=True)
class Version:
    at: int
    """Clerk's `updated_at`, Unix ms."""
    row: Row


@dataclass(eq=False, slots=True)
class Person:
    id: str
    profile: Profile
    versions: list[Version] = field(default_factory=list)
    json: JSON = field(default_factory=dict)
    alive: bool = True
    buried: bool = False
    """A door has said that the deletion is done."""

    @property
    def now(self) -> Version:
        return self.versions[-1]

    @property
    def changed_within_a_version(self) -> bool:
        """Which of two events is the newer one then, nobody can tell."""
        return len({known.at for known in self.versions}) < len(self.versions)

    def rows_at(self, version: int) -> list[Row]:
        """Several where the content changed and the version did not."""
        return [known.row for known in self.versions if known.at == version]


@dataclass(eq=False, slots=True)
class Delivery:
    """An event on its way."""

    type: str
    person: Person
    version: int | None
    body: bytes


class ModelClerk:
    """Every method that changes somebody gives the events that Clerk would send."""

    def __init__(self, stub: StubClerk) -> None:
        self._stub = stub
        self.directory = UserDirectory()
        self.people: list[Person] = []
        self.by_id: dict[str, Person] = {}
        self.claims: dict[str, list[tuple[int, str]]] = {}
        """For each email the versions, with their user, that had it."""
        self.sent: list[Delivery] = []
        self._past: list[tuple[JSON, ...]] = [()]
        # Behind the database's: what happens at Clerk has happened when a run begins.
        self._clock_ms = time.time_ns() // 1_000_000 - _A_MINUTE_MS
        self._changes = 0

    @property
    def living(self) -> list[Person]:
        return [person for person in self.people if person.alive]

    def anybody(self, who: int) -> Person | None:
        """Somebody who lives or has lived; the same number, the same person."""
        return self.people[who % len(self.people)] if self.people else None

    def somebody(self, who: int) -> Person | None:
        living = self.living
        return living[who % len(living)] if living else None

    def as_it_was(self, changes: int, lacking: int | None = None) -> UserDirectory:
        """Who there was so many changes ago, perhaps without one of them."""
        there = list(self._past[max(0, len(self._past) - 1 - changes)])
        if there and lacking is not None:
            del there[lacking % len(there)]
        return UserDirectory(there)

    def sign_up(self, email: int | None, given: dict[str, Any]) -> list[Delivery]:
        return self._sign_up([(email, given)], created_at=None)

    def import_users(self, emails: list[int], *, long_ago: bool) -> list[Delivery]:
        """All within one millisecond."""
        people = ((email, {"first_name": "Imported"}) for email in emails)
        return self._sign_up([*people], created_at=_LONG_AGO_MS if long_ago else None)

    def alter(
        self, who: int, change: dict[str, Any], *, same_version: bool = False
    ) -> list[Delivery]:
        """Everything but emails. Clerk may do so without a new version."""
        person = self.somebody(who)
        if person is None:
            return []
        profile = replace(person.profile, **change)
        return [self._update(person, profile, same_version=same_version)]

    def move(self, who: int, email: int, *, keep_old: bool) -> list[Delivery]:
        """To an address of one's own, or one that nobody has."""
        person = self.somebody(who)
        address = self._free_email(email, person)
        if person is None or address is None:
            return []
        return [self._move(person, address, keep_old=keep_old)]

    def lose_email(self, who: int, *, keep: bool) -> list[Delivery]:
        """Without a primary address; `keep` keeps it as an address that is not."""
        person = self.somebody(who)
        if person is None or person.profile.email is None:
            return []
        return [self._move(person, None, keep_old=keep)]

    def rotate(self, who: int, people: int) -> list[Delivery]:
        """Each takes the address of the one before: with two, a swap. An address has
        one holder at a time, so the first must do without in between."""
        living = [p for p in self.living if p.profile.email]
        if len(living) < people:
            return []
        circle = [living[(who + n) % len(living)] for n in range(people)]
        addresses = [person.profile.email for person in circle]
        takers = zip([*circle[1:], circle[0]], addresses, strict=True)
        sent = [self._move(circle[0], None)]
        return sent + [self._move(person, address) for person, address in takers]

    def chain(self, who: int, email: int) -> list[Delivery]:
        """One moves to a new address, the next to the one given up, and so on."""
        living = [p for p in self.living if p.profile.email]
        address = self._free_email(email, None)
        if not living or address is None:
            return []
        sent = []
        for number in range(min(3, len(living))):
            person = living[(who + number) % len(living)]
            given_up = person.profile.email
            sent.append(self._move(person, address))
            address = given_up
        return sent

    def leave(self, who: int) -> list[Delivery]:
        person = self.somebody(who)
        if person is None:
            return []
        self.directory.remove(person.id)
        person.alive = False
        self._tick(person.now.at)
        self._remember()
        return [self._delivery("user.deleted", person)]

    def _sign_up(
        self, people: list[tuple[int | None, dict[str, Any]]], created_at: int | None
    ) -> list[Delivery]:
        sent = []
        now = self._tick(0)
        for email, given in people[: CROWD - len(self.living)]:
            address = None if email is None else self._free_email(email, None)
            number = len(self.people)
            letter = _SHUFFLED[number % len(_SHUFFLED)]
            person = Person(
                f"user_{letter}{number:026d}",
                Profile(created_at or now, email=address, **given),
            )
            self.people.append(person)
            self.by_id[person.id] = person
            self._note_version(person, now)
            self.directory.add(person.json)
            self._remember()
            sent.append(self._delivery("user.created", person))
        return sent

    def _move(
        self, person: Person, email: str | None, *, keep_old: bool = False
    ) -> Delivery:
        had = person.profile.emails if keep_old else person.profile.other_emails
        others = tuple(dict.fromkeys(e for e in had if e != email))
        profile = replace(person.profile, email=email, other_emails=others)
        return self._update(person, profile)

    def _update(
        self, person: Person, profile: Profile, *, same_version: bool = False
    ) -> Delivery:
        at = person.now.at if same_version else self._tick(person.now.at + 1)
        person.profile = profile
        self._note_version(person, at)
        self.directory.replace(person.json)
        self._remember()
        return self._delivery("user.updated", person)

    def _note_version(self, person: Person, at: int) -> None:
        profile = person.profile
        person.versions.append(Version(at, profile.row()))
        if profile.email:
            self.claims.setdefault(profile.email, []).append((at, person.id))
        primary = {} if profile.email else {"primary_email_address_id": None}
        person.json = new_user(
            email=profile.email,
            emails=profile.emails,
            phone_number=profile.phone_number,
            created_at=profile.created_at,
            updated_at=at,
            first_name=profile.first_name,
            last_name=profile.last_name,
            username=profile.username,
            image_url=profile.image_url,
            public_metadata=dict(profile.public_metadata),
            banned=profile.banned,
            **primary,
        ) | {"id": person.id}

    def _free_email(self, email: int, person: Person | None) -> str | None:
        """That one or the next which nobody else has."""
        others = [p for p in self.living if p is not person]
        taken = {address for p in others for address in p.profile.emails}
        wanted: Iterable[str] = EMAILS[email:] + EMAILS[:email]
        return next((address for address in wanted if address not in taken), None)

    def _tick(self, at_least: int) -> int:
        """Clerk's clock: it may stand still from one person's change to another's, but
        each of one person's changes is later than the one before."""
        self._changes += 1
        self._clock_ms = max(self._clock_ms + self._changes % 3, at_least)
        return self._clock_ms

    def _remember(self) -> None:
        self._past.append(tuple(person.json for person in self.living))

    def _delivery(self, type_: str, person: Person) -> Delivery:
        event = self._stub.event(type_, person.json, self._clock_ms)
        version = person.now.at if person.alive else None
        self.sent.append(Delivery(type_, person, version, to_json(event)))
        return self.sent[-1]
