"""`clerksync demo`: the whole story through the real handlers, each step checked."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from rich.console import Console

from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from local.demo.stage import Stage
from local.stack.functions import close_connections, routes
from local.stack.gateway import Gateway
from local.stack.target import stub_stack

_USERS = 1_000


def run_demo(console: Console) -> int:
    """Run all steps on free ports and a temporary database; gives the exit code."""
    began = time.monotonic()
    # Neither what it shows nor what it checks depends on who runs it.
    for name in [n for n in os.environ if n.startswith("CLERKSYNC_")]:
        del os.environ[name]
    with ExitStack() as stack:
        interrupted = stack.enter_context(_interrupts_noted())
        stub = stack.enter_context(stub_stack(users=_USERS))
        url = os.environ["DATABASE_URL"]
        database = Database(lambda: url)
        stack.callback(database.close)
        gateway = stack.enter_context(Gateway(routes()))
        stack.callback(close_connections)
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        console.print(
            f"An embedded Postgres, a stub Clerk with {stub.count} users "
            f"at {stub.url}, and the functions behind {gateway.url}.",
            highlight=False,
        )
        migrate(database)
        stage = Stage(console, stub, gateway.url, connection)
        for act in (
            first_sync,
            sign_up,
            profile_update,
            duplicate_and_late_events,
            self_sync,
            email_moves,
            deletion,
            second_sync,
            orphan,
        ):
            act(stage)
            # Where Python cannot raise, as in a finalizer, an interrupt is lost.
            if interrupted.is_set():
                raise KeyboardInterrupt
    seconds = time.monotonic() - began
    if stage.failures:
        console.print(f"\n[red]{stage.failures} checks went wrong.[/red]")
        return 1
    console.print(f"\n[green]All as it should be[/green], in {seconds:.1f} s.")
    return 0


@contextmanager
def _interrupts_noted() -> Iterator[threading.Event]:
    """Whatever raises KeyboardInterrupt also sets the event."""
    noted = threading.Event()

    def interrupt(*_: object) -> None:
        noted.set()
        raise KeyboardInterrupt

    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    raising = [k for k in kinds if signal.getsignal(k) is signal.default_int_handler]
    for kind in raising:
        signal.signal(kind, interrupt)
    try:
        yield noted
    except Exception as error:
        # pydantic, for example, turns one into an error of its own while it makes a
        # model.
        if noted.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        for kind in raising:
            signal.signal(kind, signal.default_int_handler)


def first_sync(stage: Stage) -> None:
    stage.step("The first full sync fills the table")
    report = stage.bulk_sync()
    stage.show_report(report)
    users, buckets = stage.count()
    stage.say(f"{users} rows in users, {buckets} in rate_limits")
    with_email = sum(
        stage.stub.get_user(i)["primary_email_address_id"] is not None
        for i in stage.stub.ids()
    )
    stage.expect("the run is completed", holds=report["status"] == "completed")
    stage.expect(
        f"each user with an email, {with_email} of {_USERS}, has row and rate limit",
        holds=users == buckets == with_email,
    )


def sign_up(stage: Stage) -> None:
    stage.step("Somebody signs up: Clerk posts a signed webhook")
    user = stage.stub.create_user(
        email="ada@example.com", first_name="Ada", last_name="Byron", notify=False
    )
    _, action = stage.deliver(stage.stub.event("user.created", user))
    stage.show(user["id"])
    row = stage.row(user["id"])
    stage.expect(f"answered {action}", holds=action == "created")
    stage.expect("it is of tier FREE", holds=row["tier"] == "FREE")
    stage.expect("it has a rate limit", holds=row["bucket"])


def profile_update(stage: Stage) -> None:
    stage.step("The application sets the tier to PRO; then the profile changes")
    ada = _find(stage, "ada@example.com")
    stage.set_tier(ada, "PRO")
    user = stage.stub.update_user(ada, last_name="Lovelace", notify=False)
    _, action = stage.deliver(stage.stub.event("user.updated", user))
    stage.show(ada)
    row = stage.row(ada)
    stage.expect(f"answered {action}", holds=action == "updated")
    stage.expect(
        "the new name is there, and the tier is still PRO",
        holds=(row["name"], row["tier"]) == ("Ada Lovelace", "PRO"),
    )


def duplicate_and_late_events(stage: Stage) -> None:
    ada = _find(stage, "ada@example.com")
    old = stage.stub.event("user.updated", ada)
    user = stage.stub.update_user(ada, first_name="Augusta", notify=False)
    event = stage.stub.event("user.updated", user)
    stage.step("The same delivery comes twice")
    headers, first = stage.deliver(event)
    before = stage.footprint()
    _, second = stage.deliver(event, headers=headers)
    stage.expect(f"answered {first}, then {second}", holds=second == "unchanged")
    stage.expect(
        "the second wrote and locked no row", holds=stage.footprint() == before
    )
    stage.step("An old event arrives after a newer one")
    _, action = stage.deliver(old)
    stage.show(ada)
    stage.expect(f"answered {action}", holds=action == "unchanged")
    stage.expect(
        "the newer name stands", holds=stage.row(ada)["name"] == "Augusta Lovelace"
    )


def self_sync(stage: Stage) -> None:
    stage.step("A browser syncs its user before the webhook is there")
    user = stage.stub.create_user(
        email="grace@example.com", first_name="Grace", last_name="Hopper", notify=False
    )
    answer = stage.self_sync(user["id"])
    stage.show(user["id"])
    row = answer.get("user", {})
    stage.expect(
        f"answered {answer['status']} with the row",
        holds=answer["status"] == 200 and row.get("email") == "grace@example.com",
    )
    _, action = stage.deliver(stage.stub.event("user.created", user))
    stage.expect(f"the webhook, late, is {action}", holds=action == "unchanged")


def email_moves(stage: Stage) -> None:
    stage.step("An email moves from one user to another, and the news comes reversed")
    ada, grace = _find(stage, "ada@example.com"), _find(stage, "grace@example.com")
    left = stage.stub.update_user(grace, email="hopper@example.com", notify=False)
    took = stage.stub.update_user(ada, email="grace@example.com", notify=False)
    stage.deliver(stage.stub.event("user.updated", took))
    stage.show(ada, grace)
    stage.expect(
        "the newer claim has it, the older is without for the moment",
        holds=(stage.row(ada)["email"], stage.row(grace)["email"])
        == ("grace@example.com", None),
    )
    stage.deliver(stage.stub.event("user.updated", left))
    stage.show(ada, grace)
    stage.expect(
        "both have what Clerk says",
        holds=(stage.row(ada)["email"], stage.row(grace)["email"])
        == ("grace@example.com", "hopper@example.com"),
    )


def deletion(stage: Stage) -> None:
    stage.step("A user is deleted; an event from before arrives afterwards")
    grace = _find(stage, "hopper@example.com")
    late = stage.stub.event("user.updated", grace)
    stage.stub.delete_user(grace, notify=False)
    _, action = stage.deliver(stage.stub.event("user.deleted", grace))
    row = stage.row(grace)
    stage.expect(f"answered {action}", holds=action == "deleted")
    stage.expect(
        "the row is gone, and its rate limit with it",
        holds=not row["exists"] and not row["bucket"],
    )
    _, action = stage.deliver(late)
    stage.show(grace)
    stage.expect(f"the late event is {action}", holds=action == "skipped")
    stage.expect("the user stays deleted", holds=not stage.row(grace)["exists"])


def second_sync(stage: Stage) -> None:
    stage.step("A second full sync finds nothing to do")
    before = stage.footprint()
    report = stage.bulk_sync()
    stage.show_report(report)
    changed = report["created"] + report["updated"] + report["deleted"]
    stage.expect("nothing created, updated or deleted", holds=changed == 0)
    stage.expect("no row written or locked", holds=stage.footprint() == before)


def orphan(stage: Stage) -> None:
    stage.step("A user is deleted behind our back: no webhook tells of it")
    ada = _find(stage, "grace@example.com")
    stage.stub.delete_user(ada, notify=False)
    report = stage.bulk_sync()
    stage.show_report(report)
    stage.show(ada)
    stage.expect(
        "the sweep found one orphan, proved it and deleted it",
        holds=(report["orphans_found"], report["deleted"]) == (1, 1),
    )
    stage.expect("the row is gone", holds=not stage.row(ada)["exists"])


def _find(stage: Stage, email: str) -> str:
    """The id of the user who has this address at Clerk."""
    for clerk_id in reversed(stage.stub.ids()):
        user = stage.stub.get_user(clerk_id)
        if any(entry["email_address"] == email for entry in user["email_addresses"]):
            return clerk_id
    raise LookupError(email)
