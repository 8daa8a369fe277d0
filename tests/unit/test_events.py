"""The sample events are what API Gateway and EventBridge hand to the functions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clerksync.bulk.request import BulkSyncRequest
from clerksync.clerk.webhook import WebhookEvent, parse_event
from tests import openapi

_FOLDER = Path(__file__).parents[2] / "events"
_WEBHOOKS = (
    "organization_created",
    "user_created",
    "user_created_phone_only",
    "user_deleted",
    "user_updated",
)
_SELF_SYNCS = ("self_sync", "self_sync_with_body", "users_me")
_BULK_SYNCS = (
    "bulk_cleanup",
    "bulk_continuation",
    "bulk_dry_run",
    "bulk_full",
    "bulk_incremental",
    "bulk_user",
    "scheduled",
    "scheduled_incremental",
)
_CUSTOM_RESOURCES = (
    "function_settings",
    "migration",
    "migration_delete",
    "migration_update",
)
_NOT_EVENTS = ("env",)


def _event(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    return event


def _webhook(name: str) -> WebhookEvent:
    return parse_event(_event(name)["body"].encode())


def test_every_file_is_under_test() -> None:
    """A new sample event has to be put to one of the tests below."""
    names = {path.stem for path in _FOLDER.glob("*.json")}
    events = {*_WEBHOOKS, *_SELF_SYNCS, *_BULK_SYNCS, *_CUSTOM_RESOURCES}
    assert names == events | {*_NOT_EVENTS}


@pytest.mark.parametrize("name", _CUSTOM_RESOURCES)
def test_custom_resource_event_is_one_of_the_template(name: str) -> None:
    """Its properties are texts, as CloudFormation hands them over."""
    event = _event(name)
    template = (_FOLDER.parent / "template.yaml").read_text("utf-8")
    assert f"  {event['LogicalResourceId']}:\n    Type: {event['ResourceType']}\n" in (
        template
    )
    properties = event["ResourceProperties"]
    assert all(isinstance(value, str) for value in _leaves(properties))
    assert all(f"      {name}: " in template for name in properties)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


def test_custom_resource_is_made_changed_and_deleted() -> None:
    """One life in three requests: only the first has no id yet, and only a change says
    what was before."""
    create, update = _event("migration"), _event("migration_update")
    delete = _event("migration_delete")
    requests = [event["RequestType"] for event in (create, update, delete)]
    assert requests == ["Create", "Update", "Delete"]
    assert "PhysicalResourceId" not in create
    assert update["PhysicalResourceId"] == delete["PhysicalResourceId"]
    assert update["OldResourceProperties"] == create["ResourceProperties"]
    assert update["ResourceProperties"] == delete["ResourceProperties"]
    assert "OldResourceProperties" not in delete
    assert len({event["RequestId"] for event in (create, update, delete)}) == 3


@pytest.mark.parametrize("name", [*_WEBHOOKS, *_SELF_SYNCS])
def test_http_event_is_of_payload_format_2(name: str) -> None:
    """An HTTP event says the same of its request wherever the format repeats it."""
    event = _event(name)
    context = event["requestContext"]
    http = context["http"]
    assert event["version"] == "2.0"
    assert (
        event["routeKey"] == context["routeKey"] == f"{http['method']} {http['path']}"
    )
    assert event["rawPath"] == http["path"]
    assert event["rawQueryString"] == ""
    assert event["isBase64Encoded"] is False
    assert context["stage"] == "$default"
    headers = event["headers"]
    assert all(header == header.lower() for header in headers)
    assert "cookie" not in headers, "API Gateway moves it to cookies"
    assert headers["host"] == context["domainName"]
    assert headers["user-agent"] == http["userAgent"]
    assert headers["x-forwarded-for"] == http["sourceIp"]


@pytest.mark.parametrize("name", [*_WEBHOOKS, *_SELF_SYNCS])
def test_http_event_has_the_length_of_its_body(name: str) -> None:
    """The content length counts bytes, and a request without a body has no `body`."""
    event = _event(name)
    body = event.get("body")
    assert body != ""
    length = event["headers"].get("content-length", "0")
    assert length == str(len((body or "").encode()))


@pytest.mark.parametrize("name", _WEBHOOKS)
def test_webhook_waits_for_a_signature(name: str) -> None:
    """A webhook event has Svix's headers, with a placeholder where `sign` puts one."""
    headers = _event(name)["headers"]
    assert headers["svix-id"].startswith("msg_")
    assert headers["svix-timestamp"].isdecimal()
    assert headers["svix-signature"] == "v1,placeholder"


@pytest.mark.parametrize("name", _WEBHOOKS)
def test_webhook_body_is_compact_json(name: str) -> None:
    """A webhook body is written as the sender writes it: no spaces, no escapes."""
    body = _event(name)["body"]
    compact = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False)
    assert body == compact


@openapi.needs_specifications
@pytest.mark.parametrize("name", _WEBHOOKS)
def test_webhook_body_is_known_to_clerk(name: str) -> None:
    """A webhook body is valid by Clerk's own specification of the event."""
    openapi.assert_event(json.loads(_event(name)["body"]))


def test_one_life_in_three_webhooks() -> None:
    """One user is created, updated to another address, and deleted, in this order."""
    created = _webhook("user_created").user
    updated = _webhook("user_updated").user
    assert created is not None
    assert updated is not None
    assert created.id == updated.id == _webhook("user_deleted").deleted_id
    assert created.updated_at < updated.updated_at
    assert created.email == "mira@example.com"
    assert updated.email == "mira.okafor@example.org"


def test_updated_user_has_a_primary_address_that_is_not_the_first() -> None:
    """The sample tells code that takes the first address from code that looks."""
    user = _webhook("user_updated").user
    assert user is not None
    assert user.email_addresses is not None
    assert user.email_addresses[0]["email_address"] != user.email


def test_phone_only_user_has_no_address() -> None:
    """The sample without an email address has a phone number."""
    user = _webhook("user_created_phone_only").user
    assert user is not None
    assert user.email is None
    assert user.phone_number == "+15005550006"


def test_organization_event_concerns_no_user() -> None:
    """The sample of another type asks for nothing to be done."""
    event = _webhook("organization_created")
    assert (event.type, event.user, event.deleted_id) == (
        "organization.created",
        None,
        None,
    )


@pytest.mark.parametrize("name", _SELF_SYNCS)
def test_self_sync_waits_for_a_session_token(name: str) -> None:
    """A self-sync event has a placeholder where a session token goes."""
    assert _event(name)["headers"]["authorization"] == "Bearer placeholder"


def test_self_sync_with_a_body_is_of_the_created_user() -> None:
    """The body asks for the user whom the webhook sample creates."""
    user = _webhook("user_created").user
    assert user is not None
    body = json.loads(_event("self_sync_with_body")["body"])
    assert body == {
        "userId": user.id,
        "email": user.email,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "imageUrl": user.image_url,
    }


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("bulk_cleanup", BulkSyncRequest(mode="cleanup")),
        ("bulk_continuation", BulkSyncRequest(unattended=True, continuation=1)),
        ("bulk_dry_run", BulkSyncRequest(mode="full", dry_run=True)),
        ("bulk_full", BulkSyncRequest(mode="full")),
        ("bulk_incremental", BulkSyncRequest(mode="incremental")),
        ("scheduled", BulkSyncRequest(unattended=True)),
        (
            "scheduled_incremental",
            BulkSyncRequest(mode="incremental", unattended=True),
        ),
    ],
)
def test_bulk_sync_event_asks_for(name: str, request_: BulkSyncRequest) -> None:
    """A bulk sync event asks for what its name says; EventBridge's, for the default."""
    assert BulkSyncRequest.from_event(_event(name)) == request_


def test_bulk_sync_of_one_user_names_the_created_one() -> None:
    """The sample for one user is about the user whom the webhook sample creates."""
    user = _webhook("user_created").user
    assert user is not None
    request = BulkSyncRequest.from_event(_event("bulk_user"))
    assert request == BulkSyncRequest(mode="user", user_id=user.id)


def test_incremental_schedule_hands_over_what_the_template_says() -> None:
    """The sample is the input of the template's schedule."""
    template = (_FOLDER.parent / "template.yaml").read_text("utf-8")
    assert f"Input: '{json.dumps(_event('scheduled_incremental'))}'" in template


def test_scheduled_event_is_of_eventbridge_scheduler() -> None:
    """EventBridge Scheduler, unlike a rule, gives `detail` as a string."""
    event = _event("scheduled")
    assert event["source"] == "aws.scheduler"
    assert event["detail-type"] == "Scheduled Event"
    assert event["detail"] == "{}"
    assert event["resources"][0].startswith("arn:aws:scheduler:")
