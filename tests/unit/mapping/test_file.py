"""Mappings as people write them, and what they get wrong."""

from dataclasses import replace
from pathlib import Path

import pytest

from clerksync.errors import InvalidSettingError
from clerksync.mapping.file import DEFAULT, load, parse, presets

GOOD = """\
# People of ours.
[table]
name = "people"
key = "clerk"

[columns]
mail = "email"
"""


def refusal(text: str) -> str:
    with pytest.raises(InvalidSettingError) as refused:
        parse(text, name="mine")
    return str(refused.value)


def test_presets_have_names() -> None:
    """As the documentation gives them."""
    assert presets() == ["avatar", "clerk-id", "default", "prisma"]
    assert load("default") == DEFAULT
    assert {load(name).name for name in presets()} == set(presets())


def test_the_least_that_a_mapping_needs() -> None:
    """A table, its key and a column for the email."""
    mapping = parse(GOOD, name="mine")
    assert (mapping.table, mapping.key, mapping.email) == ("people", "clerk", "mail")
    assert (mapping.tier, mapping.created_at, mapping.companions) == (None, None, ())
    assert mapping.shown == ["clerk", "mail"]


def test_a_file_may_be_anywhere(tmp_path: Path) -> None:
    """Whatever has a slash or ends with .toml is a path."""
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    assert load(str(file)).table == "people"


@pytest.mark.parametrize("name", ["nope", "/no/such/file.toml", "../default", ""])
def test_an_unknown_name_is_told_with_those_there_are(name: str) -> None:
    """So that one can be chosen."""
    with pytest.raises(InvalidSettingError, match="avatar, clerk-id, default, prisma"):
        load(name)


@pytest.mark.parametrize(
    ("added", "line", "reason"),
    [
        ('[tabel]\nname = "x"', 8, "there is no such setting as tabel: write table"),
        ('x = { from = "name", truncate = 0 }', 8, "truncate: input should be greater"),
        ('x = { from = "banned", truncate = 5 }', 8, "only a text can be cut off"),
        (
            'x = { from = "email", truncate = 5 }',
            8,
            'no use in part. Write x = "email"',
        ),
        ('x = { from = "clerk_id", values = ["a"] }', 8, 'Write x = "clerk_id"'),
        ('x = { from = "name", values = [1] }', 8, "values must be texts, as in"),
        ('x = { from = "name", values = [] }', 8, "values must be texts, as in"),
        (
            'x = { from = "created_at", values = ["a"] }',
            8,
            "is timestamp, which cannot",
        ),
        ('x = { from = "public_metadata", values = ["a"] }', 8, "is jsonb, which"),
        (
            'x = { from = "public_metadata.y", type = "integer", values = ["a"] }',
            8,
            'say type = "text"',
        ),
        ('x = "not name"', 8, "Clerk's users have no not name"),
        ("tiers = 1", 8, 'tiers: input should be a source, as in tiers = "first_name"'),
        ('[columns]\nx = "email"', 8, "[Dd]eclare|redefine|overwrite"),
        ('mail = "name"', 8, "overwrite"),
        ('clerk = "name"', 8, 'column "clerk" is named twice'),
        ('x = "emial"', 8, "Clerk's users have no emial. Use one of"),
        ('x = "id.y"', 8, "Clerk's users have no id.y"),
        ('x = "public_metadata."', 8, "Clerk's users have no public_metadata."),
        ('x = { from = "name", type = "jsonb" }', 8, "name is text: leave type out"),
        ('x = { from = "public_metadata.y", type = "uuid" }', 8, "type: input should"),
        ('x = { form = "name" }', 8, "there is no such setting as form"),
        ("x = 5", 8, "x: input should be"),
        ('[columns.x]\nfrom = "emial"', 8, "Clerk's users have no emial"),
        ('[columns.x]\nfrom = "name"\nform = 1', 10, "no such setting as form"),
        (
            (
                '[[companions]]\ntable = "c"\nkey = "u"\nreferences = "i"\n'
                "[companions.values]\nx = [1]"
            ),
            13,
            "x must be a text",
        ),
        ('x = { from = "name", or = 0 }', 8, "or = 0 is not of type text"),
        (
            'x = { from = "public_metadata.y", type = "integer", or = true }',
            8,
            "or = true is not of type integer.*or = 0",
        ),
        ("""'x"; DROP TABLE y; --' = "name" """, 8, "is no name.*no quotes"),
        ('[defaults]\n"a\'b" = 1', 9, "is no name.*no quotes"),
        ('[defaults]\nmail = "x"', 9, 'column "mail" is named twice'),
        ("[defaults]\nx = [1]", 9, "x must be a text, a number, true or false"),
        ('[[companions]]\ntable = "c"\nkey = "u"', 8, "references is missing"),
        (
            (
                '[[companions]]\ntable = "c"\nkey = "u"\nreferences = "clerk"\n'
                "values = { u = 1 }"
            ),
            8,
            'column "u" of "c" is named twice',
        ),
        (
            (
                '[[companions]]\ntable = "c"\nkey = "u"\nreferences = "clerk"\n'
                'updated_at = "u"'
            ),
            8,
            'column "u" of "c" is named twice',
        ),
        (
            '[[companions]]\ntable = "c"\nkey = "u"\nreferences = "i"\nx = 1',
            12,
            "no .* x",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    added: str, line: int, reason: str
) -> None:
    """And why: an unknown key, a column twice, a quote in a name, a wrong source."""
    with pytest.raises(InvalidSettingError, match=reason) as refused:
        parse(GOOD + added, name="mine")
    assert f"line {line}" in str(refused.value)
    assert str(refused.value).startswith("Mapping mine")


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ('name = "people"', 'name = "pe\\"ople"', 3, "is no name"),
        ('name = "people"', f'name = "{"x" * 64}"', 3, "is no name"),
        ('name = "people"', "", 2, 'name is missing. Add name = "users"'),
        (
            'key = "clerk"',
            'key = "clerk"\nemail_unique = "no"',
            5,
            "email_unique: .* as in email_unique = false",
        ),
        ('key = "clerk"', "", 2, 'key is missing. Add key = "clerk_id"'),
        ('mail = "email"', 'x = "name"', 6, 'one column .*: email = "email"'),
        (
            'key = "clerk"',
            'key = "clerk"\nemail = "x"',
            5,
            r'needs a line in \[columns\]: x = "email"',
        ),
        (
            'key = "clerk"',
            'key = "clerk"\ndeleted_email = "deleted@example.com"',
            5,
            'the same email. Write deleted_email = "deleted\\+{clerk_id}@',
        ),
        (
            'key = "clerk"',
            'key = "clerk"\ntier = { column = "plan", values = 5 }',
            5,
            "values must be texts, as in",
        ),
        (
            '"email"',
            '{ from = "email", or = "x" }',
            7,
            'no constant .*Write mail = "email"',
        ),
        ('key = "clerk"', 'kee = "clerk"', 4, "there is no such setting as kee"),
        ('key = "clerk"', 'key = "clerk"\ntier = 5', 5, "tier: input should be"),
        (
            'key = "clerk"',
            'key = "clerk"\ndeletion = "soft"',
            5,
            "soft deletion needs a deleted_at column. .* deleted_at = ",
        ),
        (
            'key = "clerk"',
            (
                'key = "clerk"\ndeleted_at = "gone"\nemail_not_null = true\n'
                'deletion = "soft"'
            ),
            7,
            'instead: deleted_email = "deleted\\+{clerk_id}@example.com"',
        ),
        (
            'key = "clerk"',
            'key = "clerk"\nid = { column = "id", generate = "nanoid" }',
            5,
            "generate: input should be",
        ),
    ],
)
def test_a_table_that_is_described_wrongly_is_told_with_its_line(
    old: str, new: str, line: int, reason: str
) -> None:
    """Names, missing parts, and choices that exclude each other."""
    with pytest.raises(InvalidSettingError, match=reason) as refused:
        parse(GOOD.replace(old, new), name="mine")
    assert f"line {line}" in str(refused.value)


NAMESAKES = """\
[table]
name = "people"
key = "clerk"
id = { column = "id", generate = "uuid4" }
updated_at = "updated"
rate_limits = true

[columns]
mail = "email"

[columns.plan]
from = "public_metadata.plan"

[defaults]
amount = 1

[[companions]]
table = "credits"
key = "person"
references = "number"
id = { column = "id", generate = "cuid" }
updated_at = "updated"
values = { amount = 0 }

[[companions]]
table = "badges"
key = "person"
references = "clerk"
[companions.id]
column = "id"
generate = "cuid"
[companions.values]
amount = 2
"""


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ("people", {None: 2, "clerk": 3, "id": 4, "updated": 5, "mail": 9}),
        ("people", {"plan": 11, "amount": 15, "number": 20, "unnamed": 2}),
        ("credits", {None: 18, "person": 19, "id": 21, "updated": 22, "amount": 23}),
        ("badges", {None: 26, "person": 27, "id": 30, "amount": 33, "clerk": 26}),
        ("rate_limits", {None: 6, "tokens": 6}),
        ("tiers", {None: 6, "capacity": 6}),
    ],
)
def test_a_column_has_the_line_of_its_own_table(
    table: str, lines: dict[str | None, int]
) -> None:
    """However often there are others of that name; what is not named, the table's."""
    mapping = parse(NAMESAKES, name="mine")
    assert {column: mapping.line_of(table, column) for column in lines} == lines


@pytest.mark.parametrize("text", ["[table", "\x00", "[table]\nname =", "a = 1\na = 2"])
def test_what_is_no_toml_is_refused(text: str) -> None:
    """With the place where reading stopped."""
    assert "line" in refusal(text)


def test_a_keyword_or_a_space_is_a_name_like_any_other() -> None:
    """Names are quoted: tables called user or order are common."""
    text = GOOD.replace('"people"', '"user"').replace("mail =", '"e mail" =')
    assert parse(text, name="mine").table == "user"


def test_the_first_of_several_emails_is_the_one_that_is_unique() -> None:
    """Unless the table names another."""
    two = GOOD + 'username = "email"'
    assert parse(two, name="mine").email == "mail"
    named = two.replace("[columns]", 'email = "username"\n[columns]')
    assert parse(named, name="mine").email == "username"


def test_mappings_are_values() -> None:
    """The write path is built once for equal ones."""
    assert parse(GOOD, name="mine") == parse(GOOD, name="mine")
    assert hash(parse(GOOD, name="mine")) == hash(parse(GOOD, name="mine"))
    assert replace(DEFAULT, table="people") != DEFAULT
