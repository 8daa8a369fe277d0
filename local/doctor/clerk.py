"""Checks of the Clerk instance."""

import time
from email.utils import parsedate_to_datetime
from typing import Final

import urllib3

from clerksync.clerk.api import PAGE_LIMIT
from local.doctor.check_runner import Verdicts, ok, skipped, warning, wrong
from local.doctor.clocks import compared
from local.doctor.subject import Subject
from local.progress import counted

_KINDS: Final = {"sk_test_": "development", "sk_live_": "production"}
_DAY_MS: Final = 86_400_000
# Five requests: a walk through all would be too dear on a large instance.
_USERS_LOOKED_AT: Final = 5 * PAGE_LIMIT
_TIMEOUT_SECONDS: Final = 10
_NO_NEW_ROW: Final = (
    "Such a user gets no new row, but keeps one from when there was an email."
)


def secret_key(subject: Subject) -> Verdicts:
    """It is one, Clerk takes it, and it is of the kind that it says."""
    beginning = subject.settings.clerk_secret_key[:8]
    if beginning not in _KINDS:
        yield wrong(
            "CLERK_SECRET_KEY begins with neither sk_test_ nor sk_live_: copy the "
            "secret key from API keys in the Clerk dashboard."
        )
        return
    instance = subject.instance
    kind = "production" if instance.is_production else "development"
    if kind != _KINDS[beginning]:
        yield wrong(
            f"CLERK_SECRET_KEY begins with {beginning}, and {instance.id} is a {kind} "
            "instance: check the key, and CLERK_API_URL."
        )
        return
    yield ok(f"It works, for the {kind} instance {instance.id}.")


def instance(subject: Subject) -> Verdicts:
    """The key's instance is the one that webhooks and bulk runs are bound to."""
    bound_to = subject.settings.instance_id
    if bound_to is None:
        yield ok("CLERKSYNC_INSTANCE_ID is not set: webhooks of any are taken.")
    elif not bound_to.startswith("ins_"):
        yield wrong("CLERKSYNC_INSTANCE_ID must be an id of Clerk's: ins_….")
    elif bound_to == subject.instance.id:
        yield ok("CLERKSYNC_INSTANCE_ID is that of the secret key.")
    else:
        yield wrong(
            f"CLERKSYNC_INSTANCE_ID is {bound_to}, and CLERK_SECRET_KEY belongs to "
            f"{subject.instance.id}: take both from one instance."
        )


def clock(subject: Subject) -> Verdicts:
    """This machine's against Clerk's, which dates each answer to the second."""
    before = time.time()
    try:
        answer = urllib3.request(
            "GET",
            f"{subject.settings.clerk_api_url}/v1/instance",
            redirect=False,
            retries=False,
            timeout=_TIMEOUT_SECONDS,
        )
        there = parsedate_to_datetime(answer.headers["date"]).timestamp() + 0.5
    except (urllib3.exceptions.HTTPError, KeyError, TypeError, ValueError):
        yield skipped("Waits for an answer of Clerk that has a date.")
        return
    yield compared(there - (before + time.time()) / 2, "Clerk's")


def emails(subject: Subject) -> Verdicts:
    """Users without a primary email, of the last changed ones."""
    total = subject.clerk.count(created_before=int(time.time() * 1000) + _DAY_MS)
    wanted = min(total, _USERS_LOOKED_AT)
    seen = without = 0
    with subject.progress() as advance:
        while seen < wanted:
            page = subject.clerk.updated_page(offset=seen)
            seen += len(page)
            without += sum(user.email is None for user in page.users)
            advance("emails", seen, max(seen, wanted))
            if len(page) < PAGE_LIMIT:
                break
    looked_at = counted(seen, "user")
    if seen < total:
        looked_at = f"the {seen:,} users that were changed last, of {total:,},"
    if without and subject.mapping.email_not_null:
        yield warning(
            f"{without:,} of {looked_at} without an email. {_NO_NEW_ROW} By the "
            "mapping, no row can be without one."
        )
    elif without and subject.settings.require_email:
        yield warning(
            f"{without:,} of {looked_at} without an email. {_NO_NEW_ROW} If they "
            "should get one, set CLERKSYNC_REQUIRE_EMAIL=false."
        )
    elif without:
        yield ok(f"{without:,} of {looked_at} without an email. They get a row, too.")
    else:
        yield ok(f"All of {looked_at} have one.")
