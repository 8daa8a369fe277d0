"""Where clerksync's own tables are, and where the application's table is."""

from pathlib import Path

import pytest

from clerksync.mapping.file import parse
from clerksync.settings.environment import Settings
from clerksync.settings.schemas import placed

_MEMBERS = (
    '[table]\n{}name = "members"\nkey = "clerk_id"\n\n[columns]\nemail = "email"\n'
)


@pytest.fixture
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mapping that does not say in which schema its table is."""
    file = tmp_path / "members.toml"
    file.write_text(_MEMBERS.format(""))
    monkeypatch.setenv("CLERKSYNC_MAPPING", str(file))
    return file


@pytest.mark.parametrize("mapping", ["", "default"])
def test_with_the_default_mapping_everything_is_in_public(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, mapping: str
) -> None:
    """Its users table is clerksync's own."""
    monkeypatch.setenv("CLERKSYNC_MAPPING", mapping)
    assert (settings.schema, settings.earlier_schema) == ("public", None)
    assert settings.mapping.schema is None


@pytest.mark.usefixtures("members")
def test_with_a_mapping_clerksync_has_a_schema_of_its_own(settings: Settings) -> None:
    """The application's table is in public; earlier versions put all of it there."""
    assert (settings.schema, settings.earlier_schema) == ("clerksync", "public")
    assert settings.mapping.schema == "public"


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize(
    ("schema", "table_is_in"),
    [("public", None), ("app", None), ("clerksync", "public")],
)
def test_a_schema_that_is_set_wins(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    schema: str,
    table_is_in: str | None,
) -> None:
    """The table is beside clerksync's own, except in `clerksync`, where none is."""
    monkeypatch.setenv("CLERKSYNC_SCHEMA", schema)
    assert (settings.schema, settings.earlier_schema) == (schema, None)
    assert settings.mapping.schema == table_is_in


def test_a_mapping_that_differs_only_in_its_deletion_keeps_it() -> None:
    """Such mappings count as equal, so a cache could return the other one."""
    text = _MEMBERS.format('deleted_at = "gone"\ndeletion = "{}"\n')
    for deletion in ("hard", "trigger", "soft"):
        mapping = parse(text.replace("{}", deletion), name="members")
        assert placed(mapping, "clerksync").deletion == deletion


@pytest.mark.parametrize("schema", ["", "clerksync", "app"])
def test_the_schema_that_a_mapping_names_wins(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, members: Path, schema: str
) -> None:
    """Wherever clerksync's own tables are."""
    members.write_text(_MEMBERS.format('schema = "crm"\n'))
    monkeypatch.setenv("CLERKSYNC_SCHEMA", schema)
    assert settings.mapping.schema == "crm"


def test_the_default_mapping_in_the_schema_clerksync_keeps_its_users_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The users table is clerksync's own, and was made there."""
    monkeypatch.setenv("CLERKSYNC_SCHEMA", "clerksync")
    assert settings.mapping.schema is None
