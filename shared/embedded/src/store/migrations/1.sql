-- One row per item. `body` is the item as JSON; the other columns are its key:
--
--   section      subject             first          second         third
--   target       acme/web            0              0              0
--   runner       acme/web            runner         0              0
--   outage       acme/web            runner         outage         0
--   change       any                 revision       0              0
--   notification any                 notification   attempt        0 claim, 1 sent
--   last-seen    any                 slot           0              0
--   cursor       any                 0              0              0
--   credential   credential:token    0              0              0
--   watchlist    monitor             0              0              0
--
-- Neither STRICT nor `->>`: sqlite3 programs before 3.38 could not read the file.
CREATE TABLE items (
    section TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    first   INTEGER NOT NULL,
    second  INTEGER NOT NULL,
    third   INTEGER NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (section, subject, first, second, third)
);

-- For people with the sqlite3 program. The monitor itself reads none of these.

CREATE VIEW targets AS
SELECT
    json_extract(t.body, '$.target') AS target,
    json_extract(t.body, '$.revision') AS revision,
    json_extract(c.body, '$.notifiedThrough') AS notified_through,
    json_extract(t.body, '$.watchedSince') AS watched_since,
    max(json_extract(t.body, '$.observedAt'), coalesce(json_extract(f.body, '$.at'), '')) AS seen_at,
    json_extract(t.body, '$.failing.since') AS failing_since,
    json_extract(t.body, '$.failing.failure.detail') AS failure
FROM items AS t
LEFT JOIN items AS f ON f.section = 'last-seen' AND f.subject = t.subject
LEFT JOIN items AS c ON c.section = 'cursor' AND c.subject = t.subject
WHERE t.section = 'target';

CREATE VIEW runners AS
SELECT
    subject AS target,
    json_extract(body, '$.name') AS name,
    json_extract(body, '$.status') AS status,
    json_extract(body, '$.statusSince') AS status_since,
    json_extract(body, '$.health.state') AS health,
    json_extract(body, '$.os') AS os,
    (SELECT group_concat(value, ' ') FROM json_each(body, '$.labels')) AS labels,
    json_extract(body, '$.version') AS version,
    json_extract(body, '$.ephemeral') AS ephemeral,
    json_extract(body, '$.firstSeenAt') AS first_seen_at,
    first AS id
FROM items
WHERE section = 'runner';

CREATE VIEW outages AS
SELECT
    subject AS target,
    json_extract(body, '$.runnerName') AS runner,
    json_extract(body, '$.status') AS status,
    json_extract(body, '$.startedAt') AS started_at,
    json_extract(body, '$.confirmedAt') AS confirmed_at,
    json_extract(body, '$.resolvedAt') AS resolved_at,
    coalesce(json_extract(body, '$.ending'), 'open') AS ending,
    json_extract(body, '$.inJob') AS in_job,
    first AS runner_id,
    second AS outage_id
FROM items
WHERE section = 'outage';

CREATE VIEW changes AS
SELECT
    subject,
    first AS revision,
    json_extract(body, '$.decidedAt') AS decided_at,
    (SELECT group_concat(json_extract(value, '$.event'), ' ') FROM json_each(body, '$.events')) AS events,
    json_extract(body, '$.counts.total') AS total,
    json_extract(body, '$.counts.online') AS online,
    json_extract(body, '$.counts.down') AS down
FROM items
WHERE section = 'change';

CREATE VIEW notifications AS
SELECT
    c.subject,
    c.first AS notification,
    c.second AS attempt,
    json_extract(c.body, '$.claimedAt') AS claimed_at,
    (SELECT group_concat(json_extract(value, '$.kind'), ' ') FROM json_each(c.body, '$.message.items')) AS items,
    json_extract(c.body, '$.after') AS after,
    json_extract(c.body, '$.through') AS through,
    coalesce(json_extract(s.body, '$.ending'), 'unknown') AS ending,
    json_extract(s.body, '$.at') AS ended_at,
    json_extract(s.body, '$.reason') AS reason
FROM items AS c
LEFT JOIN items AS s
    ON s.section = 'notification' AND s.subject = c.subject AND s.first = c.first AND s.second = c.second AND s.third = 1
WHERE c.section = 'notification' AND c.third = 0;

CREATE VIEW credentials AS
SELECT
    json_extract(body, '$.id') AS credential,
    json_extract(body, '$.revision') AS revision,
    json_extract(body, '$.failing.since') AS failing_since,
    json_extract(body, '$.failing.failure.detail') AS failure,
    json_extract(body, '$.expiryWarning.expiresAt') AS expires_at
FROM items
WHERE section = 'credential';

CREATE VIEW watchlist AS
SELECT value AS target, 'watched' AS state
FROM items, json_each(body, '$.targets')
WHERE section = 'watchlist'
UNION ALL
SELECT value, 'dropping'
FROM items, json_each(body, '$.dropping')
WHERE section = 'watchlist';
