-- What time the batches in quarantine cover: they count nothing, so that time is a gap on the bill. Of those alone whose
-- signature and content were good; a row goes with its payload.
CREATE TABLE IF NOT EXISTS refused (
  sha256 BINARY(32) NOT NULL PRIMARY KEY,
  stream VARBINARY(255) NOT NULL,
  generation BINARY(8) NOT NULL,
  seq BIGINT UNSIGNED NOT NULL,
  covers_from DECIMAL(16,3) NOT NULL,
  covers_to DECIMAL(16,3) NOT NULL,
  KEY by_stream (stream, covers_to),
  CONSTRAINT refused_payload FOREIGN KEY (sha256) REFERENCES quarantine (sha256) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Those of them that the ledger has not counted since, out of another payload.
CREATE OR REPLACE VIEW v_refused AS
  SELECT DISTINCT s.id AS stream_id, r.generation, r.seq, r.covers_from, r.covers_to
    FROM refused r JOIN quarantine q USING (sha256) JOIN stream s ON s.name = r.stream
   WHERE NOT EXISTS (SELECT 1 FROM batch b WHERE b.stream_id = s.id AND b.generation = r.generation AND b.seq = r.seq
                        AND b.sha256 = q.body_sha256 AND b.state = 'committed');

-- What of a stream's time no batch vouches for, by the same rules as the bill's gaps. Times are epoch seconds.
--   1. what a batch says of itself: its log was broken, absent, or its disk full;
--   2. numbers that are not there, within each generation that the stream ever had: since the batch before them in their
--      generation, or in the stream where they are its first ones;
--   3. time between two batches, by more than a second;
--   4. the first numbers of a stream: so many times five minutes before the first one that is there;
--   5. batches that were refused, and lie in quarantine;
--   6. no batch for more than half an hour until now.
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
          SELECT stream_id, MAX(covers_to), ROUND(UNIX_TIMESTAMP(NOW(6)), 3), 'missing', 0
            FROM v_batch GROUP BY stream_id HAVING MAX(covers_to) < UNIX_TIMESTAMP() - 1800) g
    JOIN stream s ON s.id = g.stream_id
   WHERE s.name <> 'edgetally/canary'
     AND (s.retired_at IS NULL OR g.reason <> 'missing' OR g.lost <> 0 OR UNIX_TIMESTAMP(s.retired_at) > g.to_time - 1
          OR NOT UNIX_TIMESTAMP(s.retired_at) BETWEEN g.from_time - 1 AND g.from_time + 1);
