-- What schema 3 looks at: since when there is detail.
UPDATE detail SET from_slot = 1788220800;
