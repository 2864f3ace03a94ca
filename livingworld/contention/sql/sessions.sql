-- Every session of the database that holds a transaction open, waits for a lock or holds up another one: who it is, what it
-- runs, what it waits for, and who holds that; a shard of Citus counts as its table. Reads the tables of locks and sessions once each, and locks nothing.
WITH locks AS MATERIALIZED (
    SELECT l.* FROM pg_locks l WHERE l.pid IS DISTINCT FROM pg_backend_pid()
),
sessions AS MATERIALIZED (
    SELECT a.*, d.oid AS here FROM pg_stat_activity a
    JOIN pg_database d ON d.datname = current_database()
    WHERE a.pid <> pg_backend_pid()
),
waiting AS MATERIALIZED (
    SELECT DISTINCT ON (l.pid)
        l.pid, l.locktype, l.mode, l.waitstart, l.database, l.relation, l.page, l.tuple, l.classid, l.objid, l.objsubid,
        pg_blocking_pids(l.pid) AS blocked_by
    FROM locks l JOIN sessions s ON s.pid = l.pid AND s.datid = s.here
    WHERE NOT l.granted
    ORDER BY l.pid, l.waitstart
),
-- Who waits for the transaction that has a row holds the row's place in the line meanwhile.
lines AS MATERIALIZED (
    SELECT DISTINCT ON (l.pid) l.pid, l.relation, l.page, l.tuple
    FROM locks l WHERE l.locktype = 'tuple' AND l.granted
)
SELECT
    s.pid,
    s.usename AS role,
    s.application_name,
    host(s.client_addr) AS client,
    s.state,
    s.query,
    s.query = '<insufficient privilege>' AS hidden,
    clock_timestamp() AS asked_at,
    s.xact_start,
    w.waitstart,
    w.blocked_by,
    w.mode,
    w.locktype,
    n.nspname AS schema_name,
    regexp_replace(c.relname, '_[0-9]{6,}$', '') AS table_name,
    '(' || coalesce(w.page, place.page) || ',' || coalesce(w.tuple, place.tuple) || ')' AS place,
    CASE w.locktype WHEN 'advisory' THEN (w.classid::bigint << 32) | w.objid::bigint END AS advisory_key,
    ARRAY(
        SELECT (l.classid::bigint << 32) | l.objid::bigint FROM locks l
        WHERE l.pid = s.pid AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        ORDER BY 1 LIMIT 20
    ) AS advisory_keys,
    ARRAY(
        SELECT DISTINCT regexp_replace(held.relname, '_[0-9]{6,}$', '') FROM locks l
        JOIN pg_class held ON held.oid = l.relation AND held.relkind IN ('r', 'p')
        JOIN pg_namespace room ON room.oid = held.relnamespace AND room.nspname = 'livingworld'
        WHERE l.pid = s.pid AND l.locktype = 'relation' AND l.granted AND l.mode <> 'AccessShareLock'
            AND l.database = s.here
        ORDER BY 1 LIMIT 20
    ) AS tables
FROM sessions s
LEFT JOIN waiting w ON w.pid = s.pid
LEFT JOIN lines place ON place.pid = w.pid AND w.locktype = 'transactionid'
LEFT JOIN pg_class c ON c.oid = coalesce(w.relation, place.relation) AND coalesce(w.database, s.here) = s.here
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE w.pid IS NOT NULL
    OR s.pid IN (SELECT unnest(held_up.blocked_by) FROM waiting held_up)
    OR s.datid = s.here AND s.xact_start IS NOT NULL AND s.backend_type = 'client backend'
    OR s.datid = s.here AND s.pid IN (SELECT l.pid FROM locks l WHERE l.locktype = 'advisory' AND l.granted)
ORDER BY s.xact_start, s.pid
