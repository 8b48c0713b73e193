-- What schema 6 brought: the machine that spoke for an edge.
INSERT INTO `machine` (`edge`, `boot`, `host`, `address`, `first_seen`, `last_seen`) VALUES (0x6564676531,0x000102030405060708090A0B0C0D0E0F,0x636163686531,0x3139322E302E322E31,'2026-10-01 00:00:00.000000','2026-10-03 00:00:00.000000');
