-- What belongs to which pool. The pools of a target are rows of it, like runners, and those over a credential are rows of
-- `credential:token/pools` or `credential:app:ACCOUNT/pools`. A pool has the ids from 2^52 on.

DROP VIEW runners;

CREATE VIEW runners AS
SELECT
    r.subject AS target,
    json_extract(r.body, '$.name') AS name,
    json_extract(r.body, '$.status') AS status,
    json_extract(r.body, '$.statusSince') AS status_since,
    json_extract(r.body, '$.health.state') AS health,
    json_extract(r.body, '$.os') AS os,
    (SELECT group_concat(value, ' ') FROM json_each(r.body, '$.labels')) AS labels,
    json_extract(r.body, '$.version') AS version,
    json_extract(r.body, '$.ephemeral') AS ephemeral,
    json_extract(r.body, '$.firstSeenAt') AS first_seen_at,
    r.first AS id,
    (
        SELECT group_concat(json_extract(p.body, '$.name'), '; ')
        FROM items AS p
        WHERE p.section = 'runner'
        AND p.subject IN (
            r.subject,
            'credential:token/pools',
            'credential:app:' || CASE
                WHEN substr(r.subject, 1, 5) = 'orgs/' THEN substr(r.subject, 6)
                WHEN substr(r.subject, 1, 12) = 'enterprises/' THEN substr(r.subject, 13)
                ELSE substr(r.subject, 1, instr(r.subject, '/') - 1)
            END || '/pools'
        )
        AND p.first >= 4503599627370496
        AND json_extract(p.body, '$.pool') IS NOT NULL
        AND r.first < 4503599627370496
        AND NOT EXISTS (
            SELECT 1 FROM json_each(p.body, '$.labels') AS wanted
            WHERE lower(wanted.value) NOT IN (SELECT lower(own.value) FROM json_each(r.body, '$.labels') AS own)
        )
    ) AS pools,
    json_extract(r.body, '$.pool.online') AS pool_online,
    json_extract(r.body, '$.pool.total') AS pool_total,
    json_extract(r.body, '$.pool.wanted') AS pool_wanted
FROM items AS r
WHERE r.section = 'runner';

DROP VIEW watchlist;

CREATE VIEW watchlist AS
SELECT value AS target, 'watched' AS state
FROM items, json_each(body, '$.targets')
WHERE section = 'watchlist'
UNION ALL
SELECT value, 'pools'
FROM items, json_each(body, '$.pools')
WHERE section = 'watchlist'
UNION ALL
SELECT value, 'dropping'
FROM items, json_each(body, '$.dropping')
WHERE section = 'watchlist';
