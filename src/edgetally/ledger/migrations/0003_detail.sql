-- From which slot on `traffic` has the detail; what is older is in channel_traffic alone. It only ever rises.
CREATE TABLE IF NOT EXISTS detail (
  id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  from_slot INT UNSIGNED NOT NULL
) ENGINE = InnoDB;

INSERT INTO detail (id, from_slot) SELECT 1, 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM detail);

-- Drops the days before detail.from_slot. The service may run this and no other ALTER.
DROP PROCEDURE IF EXISTS drop_old_partitions;

CREATE PROCEDURE drop_old_partitions() MODIFIES SQL DATA SQL SECURITY DEFINER
BEGIN
  DECLARE names LONGTEXT;
  SET SESSION group_concat_max_len = 1048576;
  SELECT GROUP_CONCAT(partition_name) INTO names FROM information_schema.partitions
    WHERE table_schema = DATABASE() AND table_name = 'traffic' AND partition_description <> 'MAXVALUE'
      AND CAST(partition_description AS UNSIGNED) <= (SELECT from_slot FROM detail);
  IF names IS NOT NULL THEN
    SET @edgetally_sql = CONCAT('ALTER TABLE traffic DROP PARTITION ', names);
    PREPARE edgetally_statement FROM @edgetally_sql;
    EXECUTE edgetally_statement;
    DEALLOCATE PREPARE edgetally_statement;
  END IF;
END;
