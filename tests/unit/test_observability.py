"""Lines of the log, as Lambda reads them."""

import re

import pytest

from clerksync.observability import logger
from tests.doors import log_lines, log_on_stdout


def test_a_line_has_a_level_and_a_time_that_lambda_can_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its filter takes a line for INFO whose timestamp is not one of RFC 3339."""
    with log_on_stdout():
        logger.warning("something happened")
    (line,) = log_lines(capsys.readouterr().out, "something happened")
    assert line["level"] == "WARNING"
    date, time, zone = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d\.\d{3}", r"[+-]\d\d:\d\d"
    assert re.fullmatch(f"{date}T{time}{zone}", line["timestamp"])
