-- Entries by their key: here the table itself has an index for it. SQLite finds them by two trees.

CREATE VIEW found_entries AS
    SELECT conversation, lane, seq, id, project, at_ms, session, author_kind, author, author_name, client_key, event, body
    FROM entries;
