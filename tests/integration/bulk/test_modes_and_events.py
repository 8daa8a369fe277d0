"""The modes besides a full run, and the events that ask for a run."""

from typing import Any

import psycopg
import pytest

from clerksync.bulk.request import BulkSyncRequest
from clerksync.errors import InvalidPayloadError
from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.integration.bulk.bulk import Bulk, miss_two
from tests.people import shown
from tests.tables import rows


def test_an_incremental_run_reads_what_changed_and_never_sweeps(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Requests go with the changes, not with the instance."""
    bulk()
    connection.execute("UPDATE sync_runs SET started_at = now() + interval '10 min'")
    _, second = miss_two(stub)
    report = bulk("incremental")
    assert (report.status, report.updated, report.deleted) == ("completed", 1, 0)
    assert report.requests == 2
    assert second in rows(connection)


@pytest.mark.parametrize("deleted", [10, 40, 490])
def test_an_incremental_run_misses_nobody_when_others_are_deleted_in_mid_walk(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, deleted: int
) -> None:
    """Deletions from the page read before pull the next users past its end."""
    bulk()
    connection.execute("UPDATE sync_runs SET started_at = now() + interval '10 min'")
    changed = sorted(shown(stub))[:900]
    for clerk_id in changed:
        stub.update_user(clerk_id, first_name="Renamed")
    last_updated_first = changed[::-1]

    def delete(request: StubRequest) -> None:
        offset = request.query.get("offset", ["0"])[0]
        if int(offset) > 0 and len(stub.ids()) == 1_200:
            for clerk_id in last_updated_first[:deleted]:
                stub.delete_user(clerk_id)

    stub.interfere = delete
    assert bulk("incremental").status == "completed"
    table = rows(connection)
    left_out = {i for i in changed if table[i]["first_name"] != "Renamed"}
    assert left_out & set(stub.ids()) == set()


def test_an_incremental_run_without_a_watermark_reads_everything(
    bulk: Bulk, stub: StubClerk
) -> None:
    """And does not sweep."""
    report = bulk("incremental")
    assert (report.status, report.created) == ("completed", len(shown(stub)))


def test_a_cleanup_deletes_and_writes_no_user(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """What changed at Clerk waits for a run that syncs."""
    bulk()
    first, _ = miss_two(stub)
    report = bulk("cleanup")
    assert (report.status, report.fetched, report.deleted) == ("completed", 1_199, 1)
    assert (report.created, report.updated, report.unchanged) == (0, 0, 0)
    assert rows(connection)[first]["first_name"] != "Renamed"


def test_a_single_user_is_written_or_deleted(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Clerk's answer by id is proof of life and of death."""
    clerk_id = min(shown(stub))
    assert bulk("user", user_id=clerk_id).created == 1
    bulk.users.delete([clerk_id])
    assert bulk("user", user_id=clerk_id).created == 1, "proof brings it back"
    stub.delete_user(clerk_id)
    assert bulk("user", user_id=clerk_id, dry_run=True).deleted == 0
    assert bulk("user", user_id=clerk_id).deleted == 1
    assert rows(connection) == {}


@pytest.mark.parametrize(
    "event",
    [
        {"mode": "everything"},
        {"mode": "user"},
        {"mode": "user", "user_id": "1; DROP TABLE users"},
        {"dry_run": "perhaps"},
        {"continuation": -1},
        {"continuation": "often"},
        {"unknown": 1},
    ],
)
def test_an_event_that_is_none_is_refused(event: dict[str, Any]) -> None:
    """A misspelt dry_run must not become a real run."""
    with pytest.raises(InvalidPayloadError, match="Not an event of bulk sync"):
        BulkSyncRequest.from_event(event)
