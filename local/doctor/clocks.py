"""How far clocks may be apart."""

from typing import Final

from local.doctor.check_runner import Verdict, ok, warning, wrong

# Session tokens are taken for 5 s more than they say; the rest is for webhooks.
_WARNING_SECONDS: Final = 5
_WRONG_SECONDS: Final = 60
_CONSEQUENCE: Final = (
    "Session tokens are refused when they are 5 seconds off, webhooks when they are 5 "
    "minutes off. Let NTP set the clock that is wrong."
)


def compared(ahead_seconds: float, whose: str) -> Verdict:
    """A verdict on how far another clock is ahead of this machine's."""
    apart = abs(ahead_seconds)
    if apart <= _WARNING_SECONDS:
        return ok(f"This machine's clock and {whose} agree.")
    verdict = wrong if apart > _WRONG_SECONDS else warning
    where = "behind" if ahead_seconds > 0 else "ahead of"
    return verdict(
        f"This machine's clock is {apart:,.0f} seconds {where} {whose}. {_CONSEQUENCE}"
    )
