"""Settings that depend on what the mapping says."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from clerksync.errors import InvalidSettingError
from clerksync.settings.environment import Settings

TABLE = (
    '[table]\nname = "p"\nkey = "k"\nemail_not_null = true\n{}\n[columns]\nm = "email"'
)


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """A mapping with these lines in [table]."""

    def use(lines: str) -> None:
        file = tmp_path / f"{len(lines)}.toml"
        file.write_text(TABLE.format(lines))
        monkeypatch.setenv("CLERKSYNC_MAPPING", str(file))

    return use


def test_soft_deletion_by_setting_shows_what_the_mapping_lacks(
    monkeypatch: pytest.MonkeyPatch, mapped: Callable[[str], None]
) -> None:
    """Each line that is missing, and no other."""
    monkeypatch.setenv("CLERKSYNC_DELETE_MODE", "soft")
    gone, email = 'deleted_at = "deleted_at"', 'deleted_email = "deleted+{clerk_id}@'
    mapped("")
    with pytest.raises(InvalidSettingError, match=f"{gone} and {re.escape(email)}"):
        _ = Settings().soft_delete
    mapped('deleted_at = "gone"')
    with pytest.raises(InvalidSettingError, match=rf"mapping {re.escape(email)}"):
        _ = Settings().soft_delete
    mapped(f'deleted_at = "gone"\n{email}example.com"')
    assert Settings().soft_delete


def test_the_default_tier_is_as_the_table_has_it(
    monkeypatch: pytest.MonkeyPatch, mapped: Callable[[str], None]
) -> None:
    """A mapping may have values for tiers."""
    mapped('tier = { column = "plan", values = { FREE = "free", PRO = "pro" } }')
    assert Settings().default_tier == "free"
    monkeypatch.setenv("CLERKSYNC_DEFAULT_TIER", "GOLD")
    assert Settings().default_tier == "GOLD"
