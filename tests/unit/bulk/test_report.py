"""What a report says about its counts."""

from uuid import UUID

import pytest

from clerksync.bulk.report import Report


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (
            1,
            (
                "1 user could not be deleted",
                "1 user could not be written",
                "1 user lacks a row",
                "1 user is held back",
                "1 user is without",
            ),
        ),
        (
            2,
            (
                "2 users could not be deleted",
                "2 users could not be written",
                "2 users lack a row",
                "2 users are held back",
                "2 users are without",
            ),
        ),
    ],
)
def test_one_user_is_not_called_several(count: int, said: tuple[str, ...]) -> None:
    """In any of the reasons."""
    report = Report(
        run_id=UUID(int=1),
        mode="full",
        deletions_blocked=count,
        failed=count,
        companions_failed=count,
        held_back=count,
        email_conflicts=2 * count,
    )
    report.judge_counts(failed_before=0, email_not_null=True)
    for part in said:
        assert part in str(report.reason)
