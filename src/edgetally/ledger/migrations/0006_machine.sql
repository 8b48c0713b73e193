
-- The machines that have spoken for each edge, as their requests for receipts say: from boot to boot, and under which
-- name. Two that were heard in turn are two machines under one edge's name.
CREATE TABLE IF NOT EXISTS machine (
  edge VARBINARY(255) NOT NULL,
  boot BINARY(16) NOT NULL,
  host VARBINARY(1020) NOT NULL,
  address VARBINARY(64) NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,
  PRIMARY KEY (edge, boot, host),
  KEY by_time (last_seen)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
