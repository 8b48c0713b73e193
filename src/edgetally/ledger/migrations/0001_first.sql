-- The tables of the design. An empty line ends a statement, and every statement can be run again.
-- Names are compared byte by byte, so they are VARBINARY (UTF-8). Times of events are the database's, UTC.
-- Slots are epoch seconds, UTC, divisible by 300.

CREATE TABLE IF NOT EXISTS ledger (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  created_at DATETIME(6) NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS writer (
  id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  epoch BIGINT UNSIGNED NOT NULL,
  holder VARBINARY(255) NOT NULL,
  txn BIGINT UNSIGNED NOT NULL,
  renewed_at DATETIME(6) NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS stream (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARBINARY(255) NOT NULL UNIQUE,
  retired_at DATETIME(6) NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS channel (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARBINARY(255) NOT NULL UNIQUE
) ENGINE = InnoDB;

-- The ledger: one row for every part of every batch that was ever counted. Never pruned.
CREATE TABLE IF NOT EXISTS batch (
  stream_id INT UNSIGNED NOT NULL,
  generation BINARY(8) NOT NULL,
  seq BIGINT UNSIGNED NOT NULL,
  revision INT UNSIGNED NOT NULL,
  part SMALLINT UNSIGNED NOT NULL,
  parts SMALLINT UNSIGNED NOT NULL,
  sha256 BINARY(32) NOT NULL,
  covers_from DECIMAL(14, 3) NULL,
  covers_to DECIMAL(14, 3) NOT NULL,
  continuity VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  log VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `lines` BIGINT UNSIGNED NOT NULL,
  rejected BIGINT UNSIGNED NOT NULL,
  skewed BIGINT UNSIGNED NOT NULL,
  bytes BIGINT UNSIGNED NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  commit_no BIGINT UNSIGNED NOT NULL,
  committed_at DATETIME(6) NOT NULL,
  PRIMARY KEY (stream_id, generation, seq, revision, part),
  KEY by_time (stream_id, covers_to),
  KEY by_commit (commit_no)
) ENGINE = InnoDB;

-- The compressed (zlib) body of every batch, for audits and corrections.
CREATE TABLE IF NOT EXISTS batch_body (
  stream_id INT UNSIGNED NOT NULL,
  generation BINARY(8) NOT NULL,
  seq BIGINT UNSIGNED NOT NULL,
  revision INT UNSIGNED NOT NULL,
  part SMALLINT UNSIGNED NOT NULL,
  body LONGBLOB NOT NULL,
  PRIMARY KEY (stream_id, generation, seq, revision, part)
) ENGINE = InnoDB;

-- The counters. cache_requests and cache_bytes count what comes from logs that tell hits from misses: the hit ratio is
-- hits / cache_requests, and unknown where that is 0. So every column is a plain sum, and a correction can subtract.
CREATE TABLE IF NOT EXISTS traffic (
  channel_id INT UNSIGNED NOT NULL,
  slot INT UNSIGNED NOT NULL,
  stream_id INT UNSIGNED NOT NULL,
  requests BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  hits BIGINT NOT NULL,
  hit_bytes BIGINT NOT NULL,
  cache_requests BIGINT NOT NULL,
  cache_bytes BIGINT NOT NULL,
  PRIMARY KEY (channel_id, slot, stream_id)
) ENGINE = InnoDB
PARTITION BY RANGE (slot) (PARTITION pmax VALUES LESS THAN MAXVALUE);

CREATE TABLE IF NOT EXISTS channel_traffic (
  channel_id INT UNSIGNED NOT NULL,
  slot INT UNSIGNED NOT NULL,
  requests BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  hits BIGINT NOT NULL,
  hit_bytes BIGINT NOT NULL,
  cache_requests BIGINT NOT NULL,
  cache_bytes BIGINT NOT NULL,
  PRIMARY KEY (channel_id, slot),
  KEY by_slot (slot)
) ENGINE = InnoDB;

-- What was refused. body_sha256 is set only where the signature was good, so that nobody can have another's batch held.
CREATE TABLE IF NOT EXISTS quarantine (
  sha256 BINARY(32) NOT NULL PRIMARY KEY,
  reason VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  detail VARBINARY(1000) NOT NULL,
  body_sha256 BINARY(32) NULL,
  stream VARBINARY(255) NULL,
  size BIGINT UNSIGNED NOT NULL,
  payload LONGBLOB NOT NULL,
  count BIGINT UNSIGNED NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,
  KEY by_body (body_sha256),
  KEY by_last_seen (last_seen)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS unassigned_host (
  day INT UNSIGNED NOT NULL,
  host VARBINARY(255) NOT NULL,
  requests BIGINT UNSIGNED NOT NULL,
  bytes BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (day, host)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS period (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARBINARY(64) NOT NULL UNIQUE,
  from_slot INT UNSIGNED NOT NULL,
  to_slot INT UNSIGNED NOT NULL,
  commit_no BIGINT UNSIGNED NOT NULL,
  sha256 BINARY(32) NOT NULL,
  snapshot LONGBLOB NOT NULL,
  closed_at DATETIME(6) NOT NULL
) ENGINE = InnoDB;

INSERT INTO ledger (id, created_at)
  SELECT UUID(), UTC_TIMESTAMP(6) FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM ledger);

INSERT INTO writer (id, epoch, holder, txn, renewed_at)
  SELECT 1, 0, '', 0, '2000-01-01' FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM writer);

CREATE OR REPLACE VIEW v_channel_5min AS
  SELECT t.slot AS slot,
         CONVERT(c.name USING utf8mb4) AS channel,
         t.bytes * 8 / 300 / 1000000 AS mbps,
         t.bytes AS bytes,
         t.requests AS requests,
         t.hits / NULLIF(t.cache_requests, 0) AS hit_ratio
    FROM channel_traffic t JOIN channel c ON c.id = t.channel_id;

-- Where a stream's log is not whole: a batch that says so itself, or time between two batches that no batch covers.
-- from_time and to_time are epoch seconds. A batch of several parts counts once all of them are there.
CREATE OR REPLACE VIEW v_batch AS
  SELECT stream_id, generation, seq, revision, MAX(covers_from) AS covers_from, MAX(covers_to) AS covers_to,
         MAX(continuity) AS continuity, MAX(log) AS log, MAX(committed_at) AS committed_at
    FROM batch WHERE state = 'committed'
   GROUP BY stream_id, generation, seq, revision HAVING COUNT(*) = MAX(parts);

CREATE OR REPLACE VIEW v_stream_gaps AS
  SELECT CONVERT(s.name USING utf8mb4) AS stream, g.from_time AS from_time, g.to_time AS to_time, g.reason AS reason
    FROM (SELECT stream_id, covers_from AS from_time, covers_to AS to_time,
                 CASE WHEN continuity <> 'ok' THEN continuity ELSE log END AS reason
            FROM v_batch WHERE continuity <> 'ok' OR log <> 'ok'
           UNION ALL
          SELECT stream_id, previous_to, covers_from, 'missing'
            FROM (SELECT stream_id, COALESCE(covers_from, covers_to) AS covers_from,
                         LAG(covers_to) OVER (PARTITION BY stream_id ORDER BY covers_to) AS previous_to FROM v_batch) b
           WHERE covers_from > previous_to + 1) g
    JOIN stream s ON s.id = g.stream_id;

-- Daily partitions of traffic, up to 30 days ahead. The service may run this and no other ALTER.
DROP PROCEDURE IF EXISTS make_partitions;

CREATE PROCEDURE make_partitions() MODIFIES SQL DATA SQL SECURITY DEFINER
BEGIN
  DECLARE today, upto, last INT UNSIGNED;
  SET today = UNIX_TIMESTAMP() DIV 86400 * 86400;
  SELECT COALESCE(MAX(CAST(partition_description AS UNSIGNED)), today) INTO last FROM information_schema.partitions
    WHERE table_schema = DATABASE() AND table_name = 'traffic' AND partition_description <> 'MAXVALUE';
  SET upto = today + 31 * 86400;
  IF last < today THEN SET last = today; END IF;
  IF last < upto THEN
    SET @edgetally_sql = '';
    WHILE last < upto DO
      SET last = last + 86400;
      SET @edgetally_sql = CONCAT(@edgetally_sql, 'PARTITION p', DATE_FORMAT('1970-01-01' + INTERVAL (last - 86400) SECOND, '%Y%m%d'),
        ' VALUES LESS THAN (', last, '), ');
    END WHILE;
    SET @edgetally_sql = CONCAT('ALTER TABLE traffic REORGANIZE PARTITION pmax INTO (', @edgetally_sql,
      'PARTITION pmax VALUES LESS THAN MAXVALUE)');
    PREPARE edgetally_statement FROM @edgetally_sql;
    EXECUTE edgetally_statement;
    DEALLOCATE PREPARE edgetally_statement;
  END IF;
END;
