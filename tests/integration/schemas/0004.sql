-- What schema 4 looks at: an edge that is gone for good.
UPDATE stream SET retired_at = '2026-10-04 00:00:00' WHERE name = 'edge2/access';
