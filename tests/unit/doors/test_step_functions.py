"""Messages between the steps of a shared run."""

from dataclasses import fields

from clerksync.bulk.report import Counts
from clerksync.write.outcome import Outcome


def test_a_part_tells_whatever_becomes_of_users() -> None:
    """Else it would be missing in the report; users asked for count as fetched."""
    outcome = Outcome()
    counted = {
        field.name
        for field in fields(Outcome)
        if isinstance(getattr(outcome, field.name), int)
    }
    assert counted - {"asked"} <= {field.name for field in fields(Counts)}
