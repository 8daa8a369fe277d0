"""A bulk run that ran out of Lambda's time starts the run that goes on from there."""

from clerksync.bulk.request import BulkSyncRequest
from clerksync.observability import count, describe, logger


def start_next_run(
    request: BulkSyncRequest, *, function_arn: str, at_most: int
) -> None:
    """Invoke the function once more, asynchronously, unless it is the end of a chain.

    Failing at that is not failing: the schedule's next run goes on from there as well.
    """
    if request.continuation >= at_most:
        count("BulkSyncNotContinued")
        logger.error("too many runs in a row, the rest is for the schedule's next")
        return
    # boto3 costs 150 ms: only a run that needs another one pays for it.
    import boto3  # noqa: PLC0415 - see above
    from botocore.config import Config  # noqa: PLC0415 - same
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - same

    number = request.continuation + 1
    following = request.model_copy(update={"continuation": number, "unattended": True})
    # Little of Lambda's time is left.
    patience = Config(connect_timeout=2, read_timeout=3, retries={"max_attempts": 1})
    try:
        boto3.client("lambda", config=patience).invoke(
            FunctionName=function_arn,
            InvocationType="Event",
            Payload=following.model_dump_json(exclude_none=True),
        )
    except (BotoCoreError, ClientError) as error:
        count("BulkSyncNotContinued")
        logger.error("the next run could not be started", **describe(error))
