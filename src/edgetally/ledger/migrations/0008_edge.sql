
-- What the logs do not see. All of it is by the hour (epoch seconds) in which a batch's time ends, and is kept as long as
-- the detail; the batches' bodies have it by the batch. First the bytes of each log, but for those that its installation
-- found in it.
CREATE TABLE IF NOT EXISTS stream_hour (
  hour INT UNSIGNED NOT NULL,
  stream_id INT UNSIGNED NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (hour, stream_id)
) ENGINE = InnoDB;

-- What each edge's interface has sent, and its servers say that they have, and for how many seconds that is known.
CREATE TABLE IF NOT EXISTS edge_hour (
  hour INT UNSIGNED NOT NULL,
  edge VARBINARY(255) NOT NULL,
  wire BIGINT NOT NULL,
  wire_seconds BIGINT NOT NULL,
  server BIGINT NOT NULL,
  server_seconds BIGINT NOT NULL,
  PRIMARY KEY (hour, edge)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Where each edge is, from a slot on.
CREATE TABLE IF NOT EXISTS edge_region (
  edge VARBINARY(255) NOT NULL,
  slot INT UNSIGNED NOT NULL,
  region VARBINARY(255) NOT NULL,
  PRIMARY KEY (edge, slot)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The three figures of each edge and hour side by side. NULL where the edge has told nothing.
CREATE OR REPLACE VIEW v_edge_hour AS
  SELECT CONVERT(h.edge USING utf8mb4) AS edge, h.hour AS hour, SUM(h.logged) AS logged,
         IF(SUM(h.server_seconds) > 0, SUM(h.server), NULL) AS server,
         IF(SUM(h.wire_seconds) > 0, SUM(h.wire), NULL) AS wire
    FROM (SELECT SUBSTRING_INDEX(s.name, '/', 1) AS edge, t.hour AS hour, t.bytes AS logged,
                 0 AS wire, 0 AS wire_seconds, 0 AS server, 0 AS server_seconds
            FROM stream_hour t JOIN stream s ON s.id = t.stream_id
           UNION ALL
          SELECT edge, hour, 0, wire, wire_seconds, server, server_seconds FROM edge_hour) h
   GROUP BY h.edge, h.hour;
