"""Settings: present, well-formed, and known."""

import pytest

from tests.integration.local.doctor.examining import Doctor
from tests.secrets import kept_secret

# clerksync_here clears what moto has set.
AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


def test_settings_that_can_be_read_are_counted(doctor: Doctor) -> None:
    """Green, whatever value they have."""
    level, message = doctor(CLERKSYNC_WORKERS="4", CLERKSYNC_DELETE_MODE="soft").one(
        "settings"
    )
    assert (level, message) == ("ok", "7 settings are set, and can be read.")


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("CLERKSYNC_WORKERS", "all", "must be a whole number from 1 to 32"),
        ("CLERKSYNC_REQUIRE_EMAIL", "maybe", "must be true or false"),
        ("CLERKSYNC_DELETE_MODE", "never", "must be hard or soft"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "10%", "must be a number from 0 to 1"),
        ("CLERKSYNC_RATE_LIMIT", "0", "must be a whole number from"),
        ("CLERKSYNC_MAX_CONTINUATIONS", "15", "must be a whole number from"),
        ("CLERKSYNC_DATABASE_AUTH", "kerberos", "must be password or iam"),
        ("CLERK_API_URL", "correct-horse", "must be an address"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(
    doctor: Doctor, name: str, value: str, advice: str
) -> None:
    """With what it must be, and without what it is."""
    examined = doctor(**{name: value})
    assert examined.code == 1
    wrong = [message for level, message in examined.of("settings") if level == "wrong"]
    assert [m for m in wrong if m.startswith(name) and advice in m] == wrong
    assert len(wrong) == 1
    assert value not in wrong[0].split() or len(value) == 1


def test_several_wrong_settings_are_all_named(doctor: Doctor) -> None:
    """Not one each time that it is called."""
    examined = doctor(CLERKSYNC_WORKERS="all", CLERKSYNC_DELETE_MODE="never")
    named = [message.split()[0] for _, message in examined.of("settings")]
    assert named == ["CLERKSYNC_DELETE_MODE", "CLERKSYNC_WORKERS"]


@pytest.mark.parametrize(
    ("name", "check", "level", "needed_by"),
    [
        ("DATABASE_URL", "database", "wrong", "Every function needs it."),
        ("CLERK_SECRET_KEY", "secret key", "wrong", "Self-sync and bulk sync need it."),
        (
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "webhook secret",
            "warning",
            "The webhook function needs it.",
        ),
    ],
)
def test_what_is_missing_is_named_with_who_needs_it(
    doctor: Doctor, name: str, check: str, level: str, needed_by: str
) -> None:
    """Who only syncs from a laptop needs no webhook: that one is a warning."""
    found, message = doctor(**{name: ""}).one(check)
    assert found == level
    assert message.startswith(f"{name} is not set. ")
    assert message.endswith(needed_by)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CLERKSYNC_WORKER", " Was CLERKSYNC_WORKERS meant?"),
        ("CLERKSYNC_REQUIRE_MAIL", " Was CLERKSYNC_REQUIRE_EMAIL meant?"),
        ("CLERKSYNC_SCHEMATA", " Was CLERKSYNC_SCHEMA meant?"),
        ("CLERK_WEBHOOK_SINGING_SECRET", " Was CLERK_WEBHOOK_SIGNING_SECRET meant?"),
        ("CLERKSYNC_Q", " Remove it."),
    ],
)
def test_a_name_that_nobody_reads_is_told_with_the_nearest_one(
    doctor: Doctor, name: str, meant: str
) -> None:
    """It changes nothing, which its author may not know."""
    examined = doctor(**{name: "correct-horse"})
    assert examined.code == 0
    assert ("warning", f"{name} is no setting, and changes nothing.{meant}") in (
        examined.of("settings")
    )


def test_names_of_others_are_left_alone(doctor: Doctor) -> None:
    """Front ends have settings that begin with CLERK_ too."""
    examined = doctor(CLERK_SIGN_IN_URL="/sign-in", NEXT_PUBLIC_CLERK_X="1")
    assert examined.level("settings") == "ok"


def test_settings_of_a_secret_are_looked_at_as_well(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They count as set, and may be misspelt there."""
    with kept_secret(monkeypatch) as secret:
        secret.holds(**doctor.settings, CLERKSYNC_WORKER="4", CLERKSYNC_WORKERS="4")
        examined = Doctor(doctor.folder, AWS)(CLERKSYNC_SECRET_ID="clerksync")
    assert examined.code == 0
    told = "The secret that CLERKSYNC_SECRET_ID names was read: 7 values."
    assert examined.one("secret") == ("ok", told)
    unknown, readable = examined.of("settings")
    assert unknown[1].startswith("CLERKSYNC_WORKER is no setting")
    assert readable == ("ok", "7 settings are set, and can be read.")


def test_a_secret_that_cannot_be_read_is_told_once(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else waits for it."""
    with kept_secret(monkeypatch):
        examined = Doctor(doctor.folder, AWS)(CLERKSYNC_SECRET_ID="other")
    assert examined.wrong == {"secret"}
    assert "CLERKSYNC_SECRET_ID" in examined.one("secret")[1]
    assert {f["level"] for f in examined.findings} == {"wrong", "skipped"}
    for check in ("settings", "secret key", "webhook secret", "database", "mapping"):
        assert examined.one(check) == ("skipped", "Waits for: secret.")
