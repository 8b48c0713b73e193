-- What schema 7 brought: time that a batch calls missing and does not cover.
INSERT INTO `missing` (`stream_id`, `generation`, `seq`, `from_time`, `to_time`) VALUES (1,0x0000000000000001,5,1790856000.000,1790864640.000);
