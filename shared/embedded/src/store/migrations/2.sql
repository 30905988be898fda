-- Two more sections:
--
--   section          subject   first          second   third
--   mute             monitor   hash of scope  0        0
--   acknowledgement  acme/web  runner         outage   0

CREATE VIEW mutes AS
SELECT
    coalesce(
        json_extract(body, '$.scope.target'),
        json_extract(body, '$.scope.runner.name') || ' in ' || json_extract(body, '$.scope.runner.target'),
        json_extract(body, '$.scope.named')
    ) AS scope,
    json_extract(body, '$.since') AS since,
    json_extract(body, '$.until') AS until,
    json_extract(body, '$.reason') AS reason,
    json_extract(body, '$.by') AS by
FROM items
WHERE section = 'mute';

CREATE VIEW acknowledgements AS
SELECT
    subject AS target,
    first AS runner,
    second AS outage,
    json_extract(body, '$.at') AS at,
    json_extract(body, '$.by') AS by
FROM items
WHERE section = 'acknowledgement';
