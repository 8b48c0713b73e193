-- What the bill needs: channels that are billed under another name, and what a closed month keeps. An empty line ends a
-- statement, and every statement can be run again.

CREATE TABLE IF NOT EXISTS channel_alias (
  old VARBINARY(255) NOT NULL PRIMARY KEY,
  new VARBINARY(255) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  commit_no BIGINT UNSIGNED NOT NULL
) ENGINE = InnoDB;

-- The series of a closed month, one row a channel, under the commit_no of its row in `period`. What a closing wrote that
-- did not come to its end has no such row, and the next closing deletes it.
CREATE TABLE IF NOT EXISTS period_series (
  commit_no BIGINT UNSIGNED NOT NULL,
  channel VARBINARY(255) NOT NULL,
  sha256 BINARY(32) NOT NULL,
  series LONGBLOB NOT NULL,
  PRIMARY KEY (commit_no, channel)
) ENGINE = InnoDB;

-- A closed month stays as it is, also where somebody means well.
DROP TRIGGER IF EXISTS period_is_closed;

CREATE TRIGGER period_is_closed BEFORE UPDATE ON period FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a closed period does not change: what comes later is an adjustment';

DROP TRIGGER IF EXISTS period_is_kept;

CREATE TRIGGER period_is_kept BEFORE DELETE ON period FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a closed period is not deleted: what comes later is an adjustment';

DROP TRIGGER IF EXISTS period_series_is_closed;

CREATE TRIGGER period_series_is_closed BEFORE UPDATE ON period_series FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a closed period does not change: what comes later is an adjustment';

DROP TRIGGER IF EXISTS period_series_is_kept;

CREATE TRIGGER period_series_is_kept BEFORE DELETE ON period_series FOR EACH ROW
BEGIN
  IF EXISTS (SELECT 1 FROM period WHERE commit_no = OLD.commit_no) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a closed period is not deleted: what comes later is an adjustment';
  END IF;
END;

-- What of a stream's time no batch vouches for, by the same rules as the bill's gaps. Times are epoch seconds.
--   1. what a batch says of itself: its log was broken, absent, or its disk full;
--   2. time between two batches, by more than a second, or numbers of one generation that are not there;
--   3. the first numbers of a stream: so many times five minutes before the first one that is there;
--   4. no batch for more than half an hour until now.
-- The stream of health checks has none. A retired stream has no gaps from its retirement to the next batch, if there is one.
CREATE OR REPLACE VIEW v_stream_gaps AS
  SELECT CONVERT(s.name USING utf8mb4) AS stream, g.from_time AS from_time,
         CASE WHEN g.reason = 'missing' AND UNIX_TIMESTAMP(s.retired_at) BETWEEN g.from_time - 1 AND g.to_time - 1
              THEN GREATEST(g.from_time, ROUND(UNIX_TIMESTAMP(s.retired_at), 3)) ELSE g.to_time END AS to_time,
         g.reason AS reason
    FROM (SELECT stream_id, COALESCE(covers_from, covers_to) AS from_time, covers_to AS to_time,
                 CASE WHEN continuity <> 'ok' THEN continuity ELSE log END AS reason
            FROM v_batch WHERE continuity <> 'ok' OR log <> 'ok'
           UNION ALL
          SELECT stream_id,
                 CASE WHEN before_to IS NULL THEN begin - 300 * (seq - 1) ELSE LEAST(before_to, begin) END, begin, 'missing'
            FROM (SELECT stream_id, seq, generation, COALESCE(covers_from, covers_to) AS begin,
                         LAG(covers_to) OVER w AS before_to, LAG(generation) OVER w AS before_generation,
                         LAG(seq) OVER w AS before_seq
                    FROM v_batch
                  WINDOW w AS (PARTITION BY stream_id ORDER BY covers_to, COALESCE(covers_from, covers_to), seq)) b
           WHERE begin > before_to + 1 OR (before_generation = generation AND seq > before_seq + 1)
              OR (before_to IS NULL AND seq > 1)
           UNION ALL
          SELECT stream_id, MAX(covers_to), ROUND(UNIX_TIMESTAMP(NOW(6)), 3), 'missing'
            FROM v_batch GROUP BY stream_id HAVING MAX(covers_to) < UNIX_TIMESTAMP() - 1800) g
    JOIN stream s ON s.id = g.stream_id
   WHERE s.name <> 'edgetally/canary'
     AND (s.retired_at IS NULL OR g.reason <> 'missing' OR UNIX_TIMESTAMP(s.retired_at) > g.to_time - 1
          OR NOT UNIX_TIMESTAMP(s.retired_at) BETWEEN g.from_time - 1 AND g.from_time + 1);
