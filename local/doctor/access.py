"""Who else may read and write the tables."""

from typing import Final, LiteralString

from clerksync.schema.new_tables import OPEN_ROLES
from local.doctor.check_runner import Verdicts, ok, warning
from local.doctor.subject import Subject

_OWN_TABLES: Final = (
    "sync_state",
    "sync_runs",
    "sync_run_listed",
    "clerksync_migrations",
)
_OF_RATE_LIMITS: Final = ("rate_limits", "tiers")
# A role that may not look into the schema reaches no table of it. The owner has every
# right anyway.
_OPEN: LiteralString = """
    WITH open AS (
        SELECT w.position, t.oid::regclass::text AS name, r.name AS role,
               bool_or(p.name = 'SELECT') AS reads,
               bool_or(p.name <> 'SELECT') AS writes
        FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS w (name, position)
        JOIN pg_class AS t ON t.oid = to_regclass(w.name)
        CROSS JOIN (
            SELECT 'public'::name, 0::oid
            UNION ALL
            SELECT rolname, oid FROM pg_roles WHERE rolname = ANY (%(roles)s)
        ) AS r (name, oid)
        CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS p (name)
        WHERE NOT t.relrowsecurity AND r.oid <> t.relowner
          AND (r.oid = 0 OR has_schema_privilege(r.name, t.relnamespace, 'USAGE'))
          AND CASE WHEN p.name = 'DELETE'
                   THEN has_table_privilege(r.name, t.oid, p.name)
                   ELSE has_any_column_privilege(r.name, t.oid, p.name) END
        GROUP BY w.position, t.oid, r.name
    ),
    by_table AS (
        SELECT position, name, bool_or(reads) AS reads, bool_or(writes) AS writes,
               array_agg(CASE role WHEN 'public' THEN 'PUBLIC' ELSE role END
                         ORDER BY role <> 'public', role) AS roles
        FROM open
        GROUP BY position, name
    )
    SELECT roles, reads, writes, array_agg(name ORDER BY position)
    FROM by_table
    GROUP BY roles, reads, writes
    ORDER BY min(position)
"""


def others(subject: Subject) -> Verdicts:
    """Rights of everybody, and of roles that anybody may have: with the statements
    that take them away."""
    own = [*_OWN_TABLES, *(_OF_RATE_LIMITS if subject.mapping.rate_limits else ())]
    tables = [subject.target, *map(subject.own_table, own)]
    parameters = {"tables": tables, "roles": list(OPEN_ROLES)}
    sound = True
    for roles, reads, writes, open_tables in subject.rows(_OPEN, parameters):
        sound = False
        may = " and ".join(["read"] * reads + ["write"] * writes)
        names, grantees = ", ".join(open_tables), ", ".join(roles)
        policies = " ".join(
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;" for name in open_tables
        )
        yield warning(
            f"{grantees} may {may} {names}, without row-level security. As the "
            f"owner, run: REVOKE ALL ON {names} FROM {grantees}; To let policies "
            "decide instead, if the role of DATABASE_URL is the owner or has "
            f"BYPASSRLS, run: {policies}"
        )
    if sound:
        yield ok("Neither everybody nor a role of PostgREST may use the tables freely.")
