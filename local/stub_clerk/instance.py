"""Who the stub says it is: ids and keys, invented once for a seed."""

import base64
import random
from dataclasses import dataclass

from local.stub_clerk.wire import JSON, new_id

_CREATED_AT_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Instance:
    """A Clerk instance's id, kind and secrets."""

    id: str
    environment_type: str
    secret_key: str
    webhook_signing_secret: str

    @property
    def key_kind(self) -> str:
        """Return what the instance's keys say after `sk_` and `pk_`."""
        return "live" if self.environment_type == "production" else "test"

    def publishable_key(self, host: str) -> str:
        """Return the key that names the Frontend API's host."""
        encoded = base64.b64encode(f"{host}$".encode()).decode()
        return f"pk_{self.key_kind}_{encoded}"

    def json(self) -> JSON:
        """Return what `GET /v1/instance` answers."""
        return {
            "object": "instance",
            "id": self.id,
            "environment_type": self.environment_type,
            "allowed_origins": None,
            "workspace_id": None,
        }


def invented_instance(seed: int, environment_type: str) -> Instance:
    """Return the instance of a seed and an environment, always the same one."""
    rng = random.Random(f"{environment_type} instance {seed}")
    kind = "live" if environment_type == "production" else "test"
    return Instance(
        id=new_id("ins", _CREATED_AT_MS, rng),
        environment_type=environment_type,
        secret_key=f"sk_{kind}_{rng.getrandbits(200):050x}",
        webhook_signing_secret="whsec_" + base64.b64encode(rng.randbytes(24)).decode(),
    )
