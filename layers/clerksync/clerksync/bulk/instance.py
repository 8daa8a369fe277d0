"""The guard of the instance: a key of a different one must not touch the table."""

from dataclasses import dataclass

from clerksync.bulk.job import Job
from clerksync.bulk.run_ledger import Run
from clerksync.clerk.rate_limit import limit_of
from clerksync.errors import OtherInstanceError, RefusedError


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """The instance that the secret key belongs to."""

    id: str
    rate_limit: int
    """Requests in 10 seconds that a run may send."""


def accept_instance(job: Job, run: Run) -> KeyOwner:
    """Return the instance whose users the key shows, if the table holds its users.

    From then on its rate limit is kept, and the ledger knows the instance. Raises
    RefusedError for a different one, unless the run is forced.
    """
    instance = owner_of_key(job)
    if not job.request.dry_run:
        job.setup.ledger.accept_instance(run, instance.id)
    return instance


def owner_of_key(job: Job) -> KeyOwner:
    """Return the same, and leave the ledger as it is."""
    instance = _ask_instance(job)
    owners = {job.setup.only_instance, job.setup.ledger.accepted_instance()}
    if owners <= {None, instance.id} or job.request.force:
        return instance
    others = " or ".join(sorted(o for o in owners if o not in {None, instance.id}))
    raise RefusedError(
        f"CLERK_SECRET_KEY belongs to instance {instance.id}, the table to {others}. "
        "Nothing was written. To change instances use force, which also lets a "
        "full run delete every user of the old one."
    )


def check_instance(job: Job, instance_id: str) -> None:
    """Raise OtherInstanceError if the key belongs to a different instance by now: each
    step of a distributed run reads the settings again."""
    if _ask_instance(job).id != instance_id:
        message = "CLERK_SECRET_KEY became that of another instance meanwhile."
        raise OtherInstanceError(message)


def _ask_instance(job: Job) -> KeyOwner:
    instance = job.clerk.instance()
    rate_limit = job.setup.rate_limit or limit_of(is_production=instance.is_production)
    job.clerk.rate_limiter.set_limit(rate_limit)
    return KeyOwner(instance.id, rate_limit)
