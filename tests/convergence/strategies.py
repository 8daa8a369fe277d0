"""What a step may be given: few and plain values, which shrink well and can be read."""

from typing import Any, Final, Literal

from hypothesis import strategies as st

from tests.convergence.model_clerk import EMAILS
from tests.convergence.wire import MOMENTS

Answered = Literal["before", "after"]
Change = tuple[str, Any]
Happening = Literal["leave", "sign_up", "move", "alter", "deliver"]

WHO: Final = st.integers(0, 7)
EMAIL: Final = st.integers(0, len(EMAILS) - 1)
TOLD: Final = st.sampled_from(["later", "now", "never"])
WHICH: Final = st.integers(0, 19)
MODE: Final = st.sampled_from(["full", "incremental", "cleanup"])
AT: Final = st.integers(1, 8)
CHANGE: Final = st.sampled_from(
    [
        ("first_name", "Ada"),
        ("first_name", "Bo"),
        ("first_name", None),
        ("last_name", "Castell"),
        ("last_name", None),
        ("username", "noor"),
        ("phone_number", "+4915100000000"),
        ("image_url", "https://img.example.com/2"),
        ("public_metadata", (("plan", "PRO"),)),
        ("public_metadata", ()),
        ("banned", True),
        ("banned", False),
    ]
)
GIVEN: Final = st.sampled_from(
    [
        {"first_name": "Noor", "last_name": "Castell"},
        {"last_name": "Castell"},
        {"username": "noor"},
        {},
    ]
)
CUTS: Final = st.dictionaries(
    st.integers(1, 5), st.sampled_from(MOMENTS), min_size=1, max_size=3
)
CUTS_OF_A_RUN: Final = st.dictionaries(
    st.integers(1, 24), st.sampled_from(MOMENTS), min_size=1, max_size=3
)
HAPPENING: Final = st.sampled_from(["leave", "sign_up", "move", "alter", "deliver"])
RESTORED: Final = st.sampled_from(
    [
        ("users", "rate_limits"),
        ("users", "rate_limits", "sync_state"),
        ("sync_state",),
        ("users", "rate_limits", "sync_state", "sync_runs", "sync_run_listed"),
    ]
)
ANSWERED: Final = st.sampled_from(["before", "after"])
BREAKS: Final = st.sampled_from(
    ["connection", "body", "json", "500", "401", "404", "nginx", "gateway", "moved"]
)
