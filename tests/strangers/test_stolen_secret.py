"""What a stolen signing secret does, and how the table is put right afterwards."""

import psycopg

from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run import BulkSync
from tests.people import user_id, user_json
from tests.strangers.stack import Stack
from tests.tables import rows

# As docs/reliability.md says it.
FORGET_VERSIONS = "UPDATE sync_state SET clerk_updated_at = NULL"
_YEAR_9000_MS = 221_845_392_000_000


def real(stack: Stack) -> dict[str, str]:
    users = [stack.clerk.get_user(clerk_id) for clerk_id in stack.clerk.ids()]
    return {user["id"]: user["first_name"] for user in users}


def stored(connection: psycopg.Connection) -> dict[str, str]:
    return {key: row["first_name"] for key, row in rows(connection).items()}


def test_a_forged_version_that_is_newer_stays_until_the_next_full_run(
    stack: Stack, full_run: BulkSync
) -> None:
    """Newest wins, until a run has asked Clerk for the user by ID."""
    forged = {"id": stack.user_id, "first_name": "Forged", "updated_at": _YEAR_9000_MS}
    assert stack.webhooks.send("user.updated", user_json() | forged).status == 200
    assert stored(stack.connection) == {stack.user_id: "Forged"}
    assert full_run.run(BulkSyncRequest()).status == "completed"
    assert stored(stack.connection) == real(stack)


def test_a_full_run_undoes_what_was_forged(stack: Stack, full_run: BulkSync) -> None:
    """Once the forged versions are forgotten: whatever they were, Clerk's word counts.

    Forged users are orphans then, and forged deletions are those of users who live.
    """
    others = [
        stack.clerk.create_user(email=f"o{n}@example.com", first_name=f"Other{n}")
        for n in range(20)
    ]
    assert full_run.run(BulkSyncRequest()).status == "completed"
    own = {"id": stack.user_id, "first_name": "Forged", "updated_at": _YEAR_9000_MS}
    for user in (
        user_json(email="forged@example.com") | own,
        user_json(2, email="o3@example.com", version=_YEAR_9000_MS // 2),
    ):
        assert stack.webhooks.send("user.updated", user).status == 200
    assert stack.webhooks.send("user.deleted", others[5]["id"]).status == 200
    assert stored(stack.connection) != real(stack)

    stack.connection.execute(FORGET_VERSIONS)
    report = full_run.run(BulkSyncRequest())
    assert (report.status, report.deleted) == ("completed", 1)
    assert stored(stack.connection) == real(stack)
    assert user_id(2) not in stored(stack.connection)
    emails = {row["email"] for row in rows(stack.connection).values()}
    assert "o3@example.com" in emails
