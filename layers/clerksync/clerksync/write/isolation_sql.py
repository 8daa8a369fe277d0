"""Find the rows of a batch that the table refuses, and write the others.

The body of a PL/pgSQL function, with the name of the upsert left open. It tries groups
of rows, each in a subtransaction, and halves a group that is refused until the row is
alone. Where 64 rows in a row were refused for one reason, a group that is refused for
it is not halved any more, if its last row is refused, too. All rows are still written
in one transaction.
"""

from typing import LiteralString

# Of 100 rows one may well be bad: then groups of 64 need the fewest attempts. Ranges
# are taken from the end, so that rows are claimed in the order of their IDs.
ISOLATE: LiteralString = """
#variable_conflict use_variable
DECLARE
    _ids text[];
    _froms integer[] := '{{}}';
    _tos integer[] := '{{}}';
    _from integer;
    _to integer;
    _middle integer;
    _part record;
    _state text;
    _table text;
    _constraint text;
    _column text;
    _context text;
    _why jsonb;
    _last jsonb;
    _alike integer := 0;
    _is_alike boolean;
    _asked integer;
BEGIN
    created := 0;
    updated := 0;
    unchanged := 0;
    skipped := 0;
    email_conflicts := 0;
    tombstoned := '{{}}';
    blocked := '{{}}';
    holders := '{{}}';
    ahead := '{{}}';
    _losers := '{{}}';
    refused := '[]';
    SELECT array_agg(i.clerk_id ORDER BY i.clerk_id COLLATE "C")
    INTO _ids
    FROM pg_temp.clerksync_incoming AS i;
    FOR _group IN REVERSE (cardinality(_ids) - 1) / 64 .. 0 LOOP
        _froms := _froms || (_group * 64 + 1);
        _tos := _tos || least(_group * 64 + 64, cardinality(_ids));
    END LOOP;
    WHILE cardinality(_froms) > 0 LOOP
        _from := _froms[cardinality(_froms)];
        _to := _tos[cardinality(_tos)];
        _froms := trim_array(_froms, 1);
        _tos := trim_array(_tos, 1);
        BEGIN
            SELECT * INTO STRICT _part FROM {upsert_some}(
                _ids[_from:_to], _require_email, _manages_tier, _default_tier,
                _all_asked, _lock_timeout, _doubted_before
            );
            -- What COMMIT would raise is raised here, where it costs one row.
            SET CONSTRAINTS ALL IMMEDIATE;
            SET CONSTRAINTS ALL DEFERRED;
        EXCEPTION WHEN OTHERS OR assert_failure OR query_canceled THEN
            GET STACKED DIAGNOSTICS
                _state = RETURNED_SQLSTATE, _table = TABLE_NAME,
                _constraint = CONSTRAINT_NAME, _column = COLUMN_NAME,
                _context = PG_EXCEPTION_CONTEXT;
            -- Not about a row, or about one that is locked, unless a trigger raised it.
            IF (left(_state, 2) IN ('08', '53', '57', '58')
                OR _state IN ('25006', '40001', '40P01', '55P03', 'CS003'))
               AND _context
                   !~ '^PL/pgSQL function (?![^ ]*clerksync_)[^\n]* at RAISE(\n|$)'
            THEN
                RAISE;
            END IF;
            _why := jsonb_build_array(
                _state, nullif(_table, ''), nullif(_constraint, ''), nullif(_column, '')
            );
            _is_alike := _why = _last AND _alike >= 64;
            IF _from < _to AND _is_alike AND _asked IS DISTINCT FROM _from THEN
                -- Its last row speaks for the group.
                _froms := _froms || _from || _to;
                _tos := _tos || (_to - 1) || _to;
                _asked := _from;
            ELSIF _from = _to OR _is_alike THEN
                refused := refused || (
                    SELECT jsonb_agg(jsonb_build_array(id) || _why)
                    FROM unnest(_ids[_from:_to]) AS id
                );
                _alike := CASE WHEN _why = _last THEN _alike ELSE 0 END
                          + _to - _from + 1;
                _last := _why;
            ELSE
                _middle := (_from + _to) / 2;
                _froms := _froms || (_middle + 1) || _from;
                _tos := _tos || _to || _middle;
            END IF;
            CONTINUE;
        END;
        _alike := 0;
        created := created + _part.created;
        updated := updated + _part.updated;
        unchanged := unchanged + _part.unchanged;
        skipped := skipped + _part.skipped;
        email_conflicts := email_conflicts + _part.email_conflicts;
        tombstoned := tombstoned || _part.tombstoned;
        blocked := blocked || _part.blocked;
        holders := holders || _part.holders;
        ahead := ahead || _part.ahead;
        _losers := _losers || _part._losers;
    END LOOP;
END
"""
