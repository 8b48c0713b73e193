-- What of a stream's time no batch vouches for, by the same rules as the bill's gaps. Times are epoch seconds.
--   1. what a batch says of itself: its log was broken, absent, or its disk full;
--   2. time between two batches, by more than a second, or numbers of one generation that are not there;
--   3. the first numbers of a stream: so many times five minutes before the first one that is there;
--   4. no batch for more than half an hour until now.
-- The stream of health checks has none. A retired stream has no gaps from its retirement to the next batch, if there is one, unless
-- that one's number shows that some before it were lost: a machine that is off uses no numbers up.
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
                 CASE WHEN before_to IS NULL THEN begin - 300 * (seq - 1) ELSE LEAST(before_to, begin) END, begin, 'missing',
                 before_to IS NULL OR (before_generation = generation AND seq > before_seq + 1)
            FROM (SELECT stream_id, seq, generation, COALESCE(covers_from, covers_to) AS begin,
                         LAG(covers_to) OVER w AS before_to, LAG(generation) OVER w AS before_generation,
                         LAG(seq) OVER w AS before_seq
                    FROM v_batch
                  WINDOW w AS (PARTITION BY stream_id ORDER BY covers_to, COALESCE(covers_from, covers_to), seq)) b
           WHERE begin > before_to + 1 OR (before_generation = generation AND seq > before_seq + 1)
              OR (before_to IS NULL AND seq > 1)
           UNION ALL
          SELECT stream_id, MAX(covers_to), ROUND(UNIX_TIMESTAMP(NOW(6)), 3), 'missing', 0
            FROM v_batch GROUP BY stream_id HAVING MAX(covers_to) < UNIX_TIMESTAMP() - 1800) g
    JOIN stream s ON s.id = g.stream_id
   WHERE s.name <> 'edgetally/canary'
     AND (s.retired_at IS NULL OR g.reason <> 'missing' OR g.lost <> 0 OR UNIX_TIMESTAMP(s.retired_at) > g.to_time - 1
          OR NOT UNIX_TIMESTAMP(s.retired_at) BETWEEN g.from_time - 1 AND g.from_time + 1);
