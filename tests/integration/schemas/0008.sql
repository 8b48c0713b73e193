-- What schema 8 brought: what an edge's interface sent in an hour, and where the edge is.
INSERT INTO edge_hour (edge, hour, wire, wire_seconds, server, server_seconds) VALUES ('edge1', 1790899200, 9000, 3600, 8000, 3600);
INSERT INTO edge_region (edge, slot, region) VALUES ('edge1', 1790812800, 'eu');
