"""A Clerk that is not the one it should be, and must not be believed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from local.stub_clerk.stub import StubClerk
from tests.chaos.bulk import BulkRun
from tests.chaos.certificates import Authority
from tests.chaos.environment import Answer, Environment
from tests.chaos.findings import LONGEST_SECONDS, Finding
from tests.chaos.proxy import Proxy
from tests.chaos.rig import Rig

_EVENTS: Final = Path(__file__).parents[2] / "events"
_HERE: Final = "127.0.0.1"


def not_believed(rig: Rig) -> Iterator[Finding]:
    """Bulk runs against an empty instance, and against another one's users."""
    key = rig.clerk.secret_key
    others = {
        "Clerk: an empty list": StubClerk(environment_type="production"),
        "Clerk: users of another instance": StubClerk(
            users=100, seed=2, environment_type="production", secret_key=key
        ),
    }
    for name, other in others.items():
        with other:
            outcome = BulkRun(rig, CLERK_API_URL=other.url).end()
        lost = len(rig.differences())
        broken = [] if outcome.ended == "refused" else ["was not refused"]
        if lost:
            broken.append("lost something")
        yield Finding(
            name,
            "bulk sync",
            outcome.ended,
            outcome.seconds,
            "nothing to recover",
            lost,
            broken,
        )


def certificates(rig: Rig) -> Iterator[Finding]:
    """Self-syncs of a Clerk behind TLS. The first shows that one may be trusted."""
    trusted = Authority(rig.folder, "trusted")
    unknown = Authority(rig.folder, "unknown")
    shown = {
        "good": (trusted.server("good", host=_HERE), 200),
        "of another name": (trusted.server("other", host="clerk.example.org"), 503),
        "expired": (trusted.server("old", host=_HERE, age=timedelta(days=2)), 503),
        "of an unknown authority": (unknown.server("stranger", host=_HERE), 503),
    }
    port = int(rig.clerk.url.rpartition(":")[2])
    for name, (context, expected) in shown.items():
        rig.clerk.reset_requests()
        with (
            Proxy(port, tls=context) as proxy,
            _asking(rig, f"https://{_HERE}:{proxy.port}", trusted.file) as asking,
        ):
            answer = _self_sync(rig, asking)
        broken = []
        if answer.status != expected:
            broken.append(f"should be {expected}")
        if expected != 200 and rig.clerk.requests:
            broken.append("was told the secret key")
        yield Finding(
            f"Clerk: a certificate {name}" if name != "good" else "Clerk: good TLS",
            "self-sync",
            str(answer.status),
            answer.seconds,
            "nothing to recover",
            0,
            broken,
        )


def cold_without_secrets(rig: Rig) -> Iterator[Finding]:
    """An environment that never read its settings, while Secrets Manager is silent."""
    webhook = json.loads((_EVENTS / "user_created.json").read_text("utf-8"))
    rig.secrets_proxy.freeze()
    with rig.environment() as cold:
        answer = cold.invoke("webhook", webhook)
        rig.secrets_proxy.heal()
        after = cold.invoke("webhook", webhook)
    broken = []
    if answer.status != 500 or answer.seconds > LONGEST_SECONDS:
        broken.append("should be a 500, in time")
    # It has its settings: now the sample's placeholder is a bad signature.
    if after.status != 400:
        broken.append("did not recover")
    yield Finding(
        "Secrets Manager: silent at a cold start",
        "webhook",
        str(answer.status),
        answer.seconds,
        "by itself, at once",
        0,
        broken,
    )


@contextmanager
def _asking(rig: Rig, url: str, authority: Path) -> Iterator[Environment]:
    settings = rig.settings | {
        "CLERK_API_URL": url,
        "CLERK_JWT_KEY": rig.clerk.jwt_public_key,
        "SSL_CERT_FILE": str(authority),
    }
    with Environment(settings, log=rig.folder / "functions.log") as environment:
        yield environment


def _self_sync(rig: Rig, environment: Environment) -> Answer:
    clerk_id = rig.clerk.ids()[0]
    event = json.loads((_EVENTS / "self_sync.json").read_text("utf-8"))
    token = rig.clerk.session_token(clerk_id, iss=rig.issuer)
    event["headers"]["authorization"] = f"Bearer {token}"
    return environment.invoke("self_sync", event)
