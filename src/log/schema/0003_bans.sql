-- Visitors who are not let in: since when. Nobody else has the column filled.

ALTER TABLE visitors ADD COLUMN banned_ms BIGINT;

CREATE INDEX visitors_banned ON visitors (project, id) WHERE banned_ms IS NOT NULL;
