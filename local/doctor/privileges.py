"""What the role of DATABASE_URL may do."""

from typing import Final, LiteralString

from clerksync.errors import InvalidSettingError
from clerksync.write.rate_limits import FUNCTION
from clerksync.write.sql_functions import build
from local.doctor.check_runner import Verdicts, ok, warning, wrong
from local.doctor.subject import Subject

_ROLE: Final = "The role of DATABASE_URL"
_ALL: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
_OF_SOFTLY_DELETED: Final = ("SELECT", "INSERT", "UPDATE")
# They are made with a user, and go by their foreign key.
_OF_COMPANIONS: Final = ("SELECT", "INSERT")
_OWN_TABLES: Final = {
    "sync_state": ("SELECT", "INSERT", "UPDATE"),
    "sync_runs": ("SELECT", "INSERT", "UPDATE"),
    "sync_run_listed": ("SELECT", "INSERT", "DELETE"),
    "clerksync_migrations": ("SELECT",),
}
_SCHEMAS: LiteralString = """
    SELECT quote_ident(nspname), has_schema_privilege(oid, 'USAGE'),
           has_schema_privilege(oid, 'CREATE')
    FROM pg_namespace
    WHERE nspname = ANY (%(schemas)s)
"""
_MAY_CREATE_SCHEMAS: LiteralString = """
    SELECT has_database_privilege(current_database(), 'CREATE'),
           quote_ident(current_database())
"""
_IS_THERE: LiteralString = "SELECT to_regclass(%(table)s) IS NOT NULL"
_TEMPORARY: LiteralString = """
    SELECT has_database_privilege(current_database(), 'TEMPORARY'),
           quote_ident(current_database())
"""
# Rights on single columns are taken for rights: which of them, the table's check tells.
_LACKING: LiteralString = """
    SELECT t.oid::regclass::text, string_agg(w.privilege, ', ' ORDER BY w.position)
    FROM unnest(%(tables)s::text[], %(privileges)s::text[])
         WITH ORDINALITY AS w (name, privilege, position)
    JOIN pg_class AS t ON t.oid = to_regclass(w.name)
    WHERE NOT has_table_privilege(t.oid, w.privilege)
      AND CASE WHEN w.privilege = 'DELETE' THEN true
               ELSE NOT has_any_column_privilege(t.oid, w.privilege) END
    GROUP BY t.oid
    ORDER BY 1
"""
_ROW_SECURITY: LiteralString = """
    SELECT t.oid::regclass::text
    FROM unnest(%(tables)s::text[]) AS w (name)
    JOIN pg_class AS t ON t.oid = to_regclass(w.name)
    WHERE t.relrowsecurity AND row_security_active(t.oid)
    GROUP BY t.oid
    ORDER BY 1
"""
# A default of nextval() asks for a right of its own; an identity column does not.
_SEQUENCES: LiteralString = """
    SELECT s.oid::regclass::text
    FROM pg_depend AS d
    JOIN pg_class AS s ON s.oid = d.objid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.deptype = 'a'
      AND d.refobjid IN (
          SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS w (name)
      )
      AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE')
               ELSE false END
    ORDER BY 1
"""
_FUNCTIONS: LiteralString = """
    SELECT p.oid::regprocedure::text
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = %(schema)s AND p.proname = ANY (%(names)s)
      AND NOT has_function_privilege(p.oid, 'EXECUTE')
    ORDER BY 1
"""


def rights(subject: Subject) -> Verdicts:
    """What is lacking, with the GRANT that gives it. Tables that are not there yet are
    left to other checks."""
    sound = True
    for problem in _outside_tables(subject):
        sound = False
        yield problem
    if not sound:
        return  # without USAGE, no table can be named
    for problem in _on_tables(subject):
        sound = False
        yield problem
    if sound:
        yield ok(f"{_ROLE} has what is needed.")
    yield from _for_migrate(subject)
    yield from _row_security(subject)


def _outside_tables(subject: Subject) -> Verdicts:
    for schema, usage, _ in subject.rows(_SCHEMAS, {"schemas": subject.schemas}):
        if not usage:
            yield wrong(_lacks("USAGE", f"SCHEMA {schema}"))
    temporary, database = subject.row(_TEMPORARY)
    if not temporary:
        yield wrong(_lacks("TEMPORARY", f"DATABASE {database}"))


def _on_tables(subject: Subject) -> Verdicts:
    of_application = [subject.target, *subject.companions]
    of_target = _ALL if _deletes_rows(subject) else _OF_SOFTLY_DELETED
    wanted = [(subject.target, right) for right in of_target]
    for table, companion in subject.companions.items():
        needed = _ALL if companion.is_rate_limits else _OF_COMPANIONS
        wanted += [(table, right) for right in needed]
    for name, privileges in _OWN_TABLES.items():
        wanted += [(subject.own_table(name), right) for right in privileges]
    if subject.mapping.rate_limits:
        wanted.append((subject.own_table("tiers"), "SELECT"))
    tables, rights = zip(*wanted, strict=True)
    pairs = {"tables": list(tables), "privileges": list(rights)}
    for table, lacking in subject.rows(_LACKING, pairs):
        yield wrong(_lacks(lacking, table))
    for (sequence,) in subject.rows(_SEQUENCES, {"tables": of_application}):
        yield wrong(_lacks("USAGE", f"SEQUENCE {sequence}"))
    functions = build(subject.mapping, subject.schema).functions
    names = [*(function.name for function in functions), FUNCTION]
    parameters = {"schema": subject.schema, "names": names}
    for (function,) in subject.rows(_FUNCTIONS, parameters):
        yield wrong(_lacks("EXECUTE", f"FUNCTION {function}"))


def _deletes_rows(subject: Subject) -> bool:
    try:
        return not subject.settings.soft_delete
    except InvalidSettingError:
        return True  # the check of the settings tells of it


def _for_migrate(subject: Subject) -> Verdicts:
    """What only migrate needs: another role may have it."""
    schemas = subject.rows(_SCHEMAS, {"schemas": [subject.schema]})
    for schema, _, create in schemas:
        if not create:
            yield warning(
                f"{_ROLE} may not CREATE in schema {schema}, which clerksync migrate "
                "needs: call that as another role, or let the schema's owner GRANT it."
            )
    may_create, database = subject.row(_MAY_CREATE_SCHEMAS)
    if not schemas and not may_create:
        yield warning(
            f"{_ROLE} may not make the schema {subject.schema}, which is not there and "
            "which clerksync migrate needs: call that as another role, or let the "
            f"database's owner GRANT CREATE ON DATABASE {database}."
        )
    if subject.mapping.rate_limits and not _has_buckets(subject):
        pairs = {"tables": [subject.target], "privileges": ["REFERENCES"]}
        for table, lacking in subject.rows(_LACKING, pairs):
            yield warning(
                f"{_ROLE} lacks {lacking} on {table}, which clerksync migrate needs "
                "for rate_limits: call that as another role, or let its owner GRANT it."
            )


def _has_buckets(subject: Subject) -> bool:
    table = subject.own_table("rate_limits")
    return bool(subject.row(_IS_THERE, {"table": table})[0])


def _row_security(subject: Subject) -> Verdicts:
    tables = [subject.target, *subject.companions, *map(subject.own_table, _OWN_TABLES)]
    for (table,) in subject.rows(_ROW_SECURITY, {"tables": tables}):
        yield warning(
            f"{_ROLE} is under the row-level security of {table}, whose policies may "
            "hide rows and refuse writes: take the table's owner, or ALTER ROLE … "
            "BYPASSRLS."
        )


def _lacks(privileges: str, what: str) -> str:
    return f"{_ROLE} lacks {privileges} on {what}: let its owner GRANT it."
