
-- Time that a batch calls missing and does not cover: an edge's clock was set meanwhile, and covers never run backwards.
CREATE TABLE IF NOT EXISTS missing (
  stream_id INT UNSIGNED NOT NULL,
  generation BINARY(8) NOT NULL,
  seq BIGINT UNSIGNED NOT NULL,
  from_time DECIMAL(16,3) NOT NULL,
  to_time DECIMAL(16,3) NOT NULL,
  PRIMARY KEY (stream_id, generation, seq),
  KEY by_time (stream_id, to_time)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What of a stream's time no batch vouches for, by the same rules as the bill's gaps. Times are epoch seconds.
--   1. what a batch says of itself: its log was broken, absent, or its disk full;
--   2. numbers that are not there, within each generation that the stream ever had: since the batch before them in their
--      generation, or in the stream where they are its first ones;
--   3. time between two batches, by more than a second;
--   4. the first numbers of a stream: so many times five minutes before the first one that is there;
--   5. batches that were refused, and lie in quarantine;
--   6. what a batch calls missing at another time than it covers, as the clock was set meanwhile;
--   7. no batch for more than half an hour until now.
-- The stream of health checks has none. A retired stream has no gaps from its retirement to the next batch, if there is
-- one, unless that one's number shows that some before it were lost: a machine that is off uses no numbers up.
CREATE OR REPLACE VIEW v_stream_gaps AS
  SELECT CONVERT(s.name USING utf8mb4) AS stream, g.from_time AS from_time,
         CASE WHEN g.reason = 'missing' AND g.lost = 0 AND UNIX_TIMESTAMP(s.retired_at) BETWEEN g.from_time - 1 AND g.to_time - 1
              THEN GREATEST(g.from_time, ROUND(UNIX_TIMESTAMP(s.retired_at), 3)) ELSE g.to_time END AS to_time,
         g.reason AS reason
    FROM (SELECT stream_id, COALESCE(covers_from, covers_to) AS from_time, covers_to AS to_time,
                 CASE WHEN continuity <> 'ok' THEN continuity ELSE log END AS reason, 0 AS lost
            FROM v_batch WHERE continuity <> 'ok' OR log <> 'ok'
           UNION ALL
          SELECT stream_id,
                 CASE WHEN seq = number + 1 THEN before_to
                      WHEN before_to IS NULL THEN begin - 300 * (seq - number - 1)
                      ELSE LEAST(COALESCE(generation_to, before_to), begin) END,
                 begin, 'missing', seq > number + 1
            FROM (SELECT stream_id, seq, COALESCE(covers_from, covers_to) AS begin, LAG(covers_to) OVER w AS before_to,
                         LAG(covers_to) OVER g AS generation_to, COALESCE(LAG(seq) OVER g, 0) AS number
                    FROM v_batch
                  WINDOW w AS (PARTITION BY stream_id ORDER BY covers_to, COALESCE(covers_from, covers_to), seq),
                         g AS (PARTITION BY stream_id, generation ORDER BY seq)) b
           WHERE seq > number + 1 OR begin > before_to + 1
           UNION ALL
          SELECT stream_id, covers_from, covers_to, 'refused', 0 FROM v_refused
           UNION ALL
          SELECT stream_id, from_time, to_time, 'broken', 0 FROM missing
           UNION ALL
          SELECT stream_id, MAX(covers_to), ROUND(UNIX_TIMESTAMP(NOW(6)), 3), 'missing', 0
            FROM v_batch GROUP BY stream_id HAVING MAX(covers_to) < UNIX_TIMESTAMP() - 1800) g
    JOIN stream s ON s.id = g.stream_id
   WHERE s.name <> 'edgetally/canary'
     AND (s.retired_at IS NULL OR g.reason <> 'missing' OR g.lost <> 0 OR UNIX_TIMESTAMP(s.retired_at) > g.to_time - 1
          OR NOT UNIX_TIMESTAMP(s.retired_at) BETWEEN g.from_time - 1 AND g.from_time + 1);
