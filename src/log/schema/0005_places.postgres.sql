-- Entries by their key: here the table itself has an index for it. SQLite finds them by two trees.

CREATE VIEW found_entries AS SELECT * FROM entries;
