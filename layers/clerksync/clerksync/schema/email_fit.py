"""Which emails a table takes for the same, by indexes and exclusion constraints.

The write path asks for the current holder of an email by the table's own rule, so the
rule is read from the catalog when the write path is installed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.rows import class_row

from clerksync.mapping.as_toml import DELETED_EMAIL, toml
from clerksync.mapping.table import TableMapping
from clerksync.write.email_rule import EmailRule
from clerksync.write.identifiers import identifiers

# The key columns of each index that can refuse a row. An exclusion constraint has an
# operator for each; a unique index has the equality of its operator class.
_KEYS: LiteralString = """
    SELECT i.indexrelid::regclass::text AS index,
           i.indnkeyatts = 1 AND i.indimmediate AS simple,
           pg_get_indexdef(i.indexrelid, k.n, true)
               || coalesce(' COLLATE ' || odd.name, '') AS compared,
           a.attname AS column,
           pg_get_expr(d.adbin, d.adrelid, true)
               || coalesce(' COLLATE ' || odd.name, '') AS generated,
           odd.name IS NOT NULL AS odd_collation,
           format('OPERATOR(%%s.%%s)', o.oprnamespace::regnamespace, o.oprname)
               AS equals,
           o.oprname = '=' AS by_equality,
           o.oprnamespace = 'pg_catalog'::regnamespace AS by_usual_equality,
           pg_get_expr(i.indpred, i.indrelid, true) AS where,
           NOT i.indnullsnotdistinct AS nulls_distinct
    FROM pg_index AS i
    JOIN LATERAL generate_series(1, i.indnkeyatts) AS k (n) ON true
    LEFT JOIN pg_attribute AS a
        ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.n - 1] AND a.attnum > 0
    LEFT JOIN pg_attrdef AS d
        ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> ''
    LEFT JOIN pg_constraint AS c ON c.conindid = i.indexrelid AND c.contype = 'x'
    JOIN pg_opclass AS oc ON oc.oid = i.indclass[k.n - 1]
    LEFT JOIN pg_amop AS ao
        ON ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype
        AND ao.amoprighttype = oc.opcintype AND ao.amopstrategy = 3 AND c.oid IS NULL
    LEFT JOIN pg_operator AS o ON o.oid = coalesce(c.conexclop[k.n], ao.amopopr)
    LEFT JOIN LATERAL (
        SELECT format('%%s.%%I', l.collnamespace::regnamespace, l.collname) AS name
        FROM pg_collation AS l
        WHERE l.oid = i.indcollation[k.n - 1] AND NOT l.collisdeterministic
    ) AS odd ON true
    WHERE i.indrelid = to_regclass(%s) AND i.indisvalid
      AND (i.indisunique OR i.indisexclusion)
    ORDER BY 1, k.n
"""
_TYPE: LiteralString = """
    SELECT format_type(coalesce(nullif(t.typbasetype, 0), t.oid), -1)
               || coalesce(' COLLATE ' || l.collnamespace::regnamespace::text || '.'
                           || quote_ident(l.collname), '')
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_collation AS l
        ON l.oid = a.attcollation AND l.collname <> 'default'
    WHERE a.attrelid = to_regclass(%s) AND a.attname = %s
"""
_NAMES: LiteralString = """
    SELECT a.attname, CASE WHEN a.attgenerated <> '' THEN
               pg_get_expr(d.adbin, d.adrelid, true) END
    FROM pg_attribute AS a
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""
_TEXTS: Final = ("text", "character varying", "bpchar")  # citext is not


@dataclass(frozen=True, slots=True)
class _Key:
    """A key column of an index that can refuse a row."""

    index: str
    simple: bool
    """It is the only one, and checked at once."""
    compared: str
    column: str | None
    """None if an expression is compared."""
    generated: str | None
    """The expression of a generated column."""
    odd_collation: bool
    equals: str
    by_equality: bool
    by_usual_equality: bool
    where: str | None
    nulls_distinct: bool


class _Found:
    """What refuses emails: rules that are understood, and indexes that are not."""

    def __init__(self) -> None:
        self.rules: list[EmailRule] = []
        self.not_understood: list[str] = []


def email_rule(
    connection: psycopg.Connection, mapping: TableMapping, schema: str
) -> EmailRule | None:
    """Return the rule of the mapping's table; None if two emails are the same when they
    are the same text, for all rows, or if emails need not be unique."""
    if not mapping.email_unique:
        return None
    rules = _read(connection, mapping, schema).rules
    return None if not rules or _is_plain(rules[0]) else rules[0]


def email_problems(
    connection: psycopg.Connection, mapping: TableMapping, schema: str
) -> Iterator[str]:
    """Yield why the write path cannot keep emails as unique as the table wants them."""
    found = _read(connection, mapping, schema)
    indexes = [rule.by for rule in found.rules]
    plain = f"CREATE UNIQUE INDEX ON {{}} ({sql.Identifier(mapping.email).as_string()})"
    plain = plain.format(identifiers(mapping, schema)["users"].as_string())
    is_emptied = mapping.deletion == "soft" and mapping.deleted_email is None
    if not mapping.email_unique:
        if indexes:
            yield (
                f"is unique, by {indexes[0]}: take email_unique = false out of the "
                "mapping"
            )
        elif found.not_understood:
            key = sql.Identifier(mapping.key).as_string()
            yield (
                f"is unique by {found.not_understood[0]}, together with something "
                "else or only later, so clerksync could not reassign an email. If each "
                f"email has one row: {plain}; and take email_unique = false out of the "
                f"mapping. If rows of your own share emails, drop the index, or limit "
                f"it to rows without a Clerk ID: WHERE {key} IS NULL"
            )
    elif not indexes and not found.not_understood:
        yield f"is not unique: {plain}, or say email_unique = false in the mapping"
    elif not indexes:
        yield (
            f"is unique only by {found.not_understood[0]}, which is deferrable, or on "
            f"something else too. {plain} as well"
        )
    elif found.not_understood:
        yield (
            f"is unique by {indexes[0]}, and {found.not_understood[0]} can refuse it, "
            "too, in a way that clerksync does not understand: drop one of them"
        )
    elif len(indexes) > 1:
        yield (
            f"is unique in {len(indexes)} ways, by {', '.join(indexes)}: clerksync "
            "reassigns emails by one of them. Drop the others"
        )
    elif is_emptied and not found.rules[0].nulls_distinct:
        line = f"deleted_email = {toml(DELETED_EMAIL)}"
        yield (
            f"can be NULL in one row only, by {indexes[0]}, and a soft deletion "
            f"empties it: add to [table]: {line}"
        )


def _is_plain(rule: EmailRule) -> bool:
    is_text = rule.type.partition(" COLLATE ")[0] in _TEXTS and rule.is_column
    return is_text and rule.where is None and rule.nulls_distinct


def _read(connection: psycopg.Connection, mapping: TableMapping, schema: str) -> _Found:
    found = _Found()
    table = identifiers(mapping, schema)["users"].as_string()
    # In a savepoint that is rolled back: the search path comes back with it.
    with connection.transaction(force_rollback=True):
        # So that all names are qualified, whatever the path will be.
        connection.execute(
            "SET LOCAL search_path TO ''; SET LOCAL quote_all_identifiers TO off"
        )
        row = connection.execute(_TYPE, [table, mapping.email]).fetchone()
        if row is None:
            return found
        with connection.cursor(row_factory=class_row(_Key)) as cursor:
            keys = cursor.execute(_KEYS, [table]).fetchall()
        # Every row that sync writes has a key.
        without_key = {f"{mapping.key} IS NULL", f'"{mapping.key}" IS NULL'}
        keys = [key for key in keys if key.where not in without_key]
        of_email = _OfEmail(connection, table, mapping, str(row[0]))
        rules = [of_email.rule(k) for k in keys if k.simple and of_email.alone(k)]
        found.rules = [r for r in rules if not any(_implies(s, r) for s in rules)]
        certain = {r.compared for r in found.rules if r.where is None}
        by_index: dict[str, list[_Key]] = {}
        for key in keys:
            by_index.setdefault(key.index, []).append(key)
        for index, parts in by_index.items():
            understood = any(rule.by == index for rule in rules)
            # Rows that agree in all of these parts agree in one, which is ruled out.
            ruled_out = certain and any(
                k.compared in certain or (k.column == mapping.email and k.by_equality)
                for k in parts
            )
            if not understood and not ruled_out and any(map(of_email.partly, parts)):
                found.not_understood.append(index)
    return found


def _implies(stronger: EmailRule, rule: EmailRule) -> bool:
    """Whether another rule refuses all that this one does, and comes first if they
    are alike."""
    covers = stronger.where in {None, rule.where}
    covers &= stronger.nulls_distinct <= rule.nulls_distinct
    if not covers or stronger is rule:
        return False
    if (stronger.of_email, stronger.equals) == (rule.of_email, rule.equals):
        is_alike = stronger.where == rule.where
        is_alike &= stronger.nulls_distinct == rule.nulls_distinct
        return not is_alike or stronger.by < rule.by
    return rule.is_column and not stronger.is_column


class _OfEmail:
    """What of a table depends on its emails."""

    def __init__(
        self,
        connection: psycopg.Connection,
        table: str,
        mapping: TableMapping,
        type_: str,
    ) -> None:
        self._connection = connection
        self._email = email = mapping.email
        self._type = type_
        names = connection.execute(_NAMES, [table]).fetchall()
        column = sql.Identifier(email).as_string()
        # OFFSET keeps it from being computed while it is planned.
        self._only = f"(SELECT {column}::{type_} FROM {table} OFFSET 0) AS _ ({column})"
        others = [
            sql.Identifier(name).as_string()
            for name, generated in names
            if name != email and not (generated and self._reads(generated, self._only))
        ]
        self._others = f"(SELECT {', '.join(others)} FROM {table}) AS _"
        self._none = "(SELECT) AS _"
        self._null = f"(SELECT NULL::{type_}) AS _ ({column})"
        # What sync itself changes cannot be foreseen for a row that is to be written.
        synced = {column.name for column in mapping.columns} - {email}
        steady = [sql.Identifier(name).as_string() for name, _ in names]
        steady = [name for name in steady if name.strip('"') not in synced]
        self._steady = f"(SELECT {', '.join(steady)} FROM {table}) AS _"

    def alone(self, key: _Key) -> bool:
        """Whether a key column compares emails for equality, and nothing else."""
        if not key.by_equality:
            return False
        if key.where is not None and not self._reads(key.where, self._steady):
            return False
        if key.column is not None and key.generated is None:
            return key.column == self._email
        expression = key.generated or key.compared
        reads = self._reads
        return reads(expression, self._only) and not reads(expression, self._none)

    def partly(self, key: _Key) -> bool:
        """Whether what it compares depends on the email."""
        if key.column is not None and key.generated is None:
            return key.column == self._email
        return not self._reads(key.generated or key.compared, self._others)

    def rule(self, key: _Key) -> EmailRule:
        plain = key.column == self._email and not key.odd_collation
        return EmailRule(
            by=key.index,
            compared=key.compared,
            of_email=key.generated or key.compared,
            type=self._type,
            equals=key.equals,
            where=key.where,
            nulls_distinct=not self._shares_null(key),
            is_column=plain and key.by_usual_equality,
        )

    def _reads(self, expression: str, source: str) -> bool:
        return self._rows(f"SELECT {expression} FROM {source} WHERE false") is not None

    def _shares_null(self, key: _Key) -> bool:
        """Whether a second row without an email may be refused."""
        where = key.where or "true"
        if self._rows(f"SELECT FROM {self._null} WHERE {where}") == []:
            return False
        is_null = f"SELECT ({key.generated or key.compared}) IS NULL FROM {self._null}"
        return not key.nulls_distinct or self._rows(is_null) != [(True,)]

    def _rows(self, query: str) -> list[Any] | None:
        """Return None for a query that Postgres refuses: not understood."""
        try:
            with self._connection.transaction():
                return self._connection.execute(query.encode()).fetchall()
        except errors.DatabaseError:
            return None
