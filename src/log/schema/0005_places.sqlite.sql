-- Where an entry is found: its conversation, lane and seq lead to its row. Rows stand in the order of arrival. In one tree for
-- all, each busy conversation has a page of its own to which its next key goes, so with a thousand of them nearly every
-- message wrote a page anew: half of what the log cost. New keys go into a small tree now, whose pages they share, and from
-- there into the large one, many of a conversation at a time (src/log/places.rs).

ALTER TABLE entries RENAME TO entries_before;

CREATE TABLE entries (
    place        INTEGER NOT NULL PRIMARY KEY, -- named, so that VACUUM leaves it as it is
    conversation TEXT   NOT NULL,
    lane         TEXT   NOT NULL, -- thread | desk
    seq          BIGINT NOT NULL,
    id           TEXT   NOT NULL,
    project      TEXT   NOT NULL,
    at_ms        BIGINT NOT NULL,
    session      TEXT,
    author_kind  TEXT   NOT NULL, -- visitor | agent | system
    author       TEXT,
    author_name  TEXT,
    client_key   TEXT,
    event        TEXT   NOT NULL,
    body         TEXT   NOT NULL -- JSON
);

CREATE TABLE places (
    conversation TEXT    NOT NULL,
    lane         TEXT    NOT NULL,
    seq          BIGINT  NOT NULL,
    place        INTEGER NOT NULL,
    PRIMARY KEY (conversation, lane, seq)
) WITHOUT ROWID;

CREATE TABLE recent_places (
    conversation TEXT    NOT NULL,
    lane         TEXT    NOT NULL,
    seq          BIGINT  NOT NULL,
    place        INTEGER NOT NULL,
    PRIMARY KEY (conversation, lane, seq)
) WITHOUT ROWID;

INSERT INTO entries (place, conversation, lane, seq, id, project, at_ms, session, author_kind, author, author_name, client_key,
    event, body)
    SELECT rowid, conversation, lane, seq, id, project, at_ms, session, author_kind, author, author_name, client_key, event, body
    FROM entries_before ORDER BY rowid;

INSERT INTO places SELECT conversation, lane, seq, rowid FROM entries_before ORDER BY conversation, lane, seq;

DROP TABLE entries_before;

CREATE TRIGGER entry_has_a_place AFTER INSERT ON entries BEGIN
    INSERT INTO recent_places VALUES (NEW.conversation, NEW.lane, NEW.seq, NEW.place);
END;

CREATE TRIGGER entry_leaves_its_place AFTER DELETE ON entries BEGIN
    DELETE FROM recent_places WHERE conversation = OLD.conversation AND lane = OLD.lane AND seq = OLD.seq;
    DELETE FROM places WHERE conversation = OLD.conversation AND lane = OLD.lane AND seq = OLD.seq;
END;

-- Entries by their key. CROSS JOIN says to SQLite which of the two is looked at first.
CREATE VIEW found_entries AS
    SELECT p.conversation AS conversation, p.lane AS lane, p.seq AS seq, e.id AS id, e.project AS project, e.at_ms AS at_ms,
        e.session AS session, e.author_kind AS author_kind, e.author AS author, e.author_name AS author_name,
        e.client_key AS client_key, e.event AS event, e.body AS body
    FROM recent_places AS p CROSS JOIN entries AS e ON e.place = p.place
    UNION ALL
    SELECT p.conversation, p.lane, p.seq, e.id, e.project, e.at_ms, e.session, e.author_kind, e.author, e.author_name,
        e.client_key, e.event, e.body
    FROM places AS p CROSS JOIN entries AS e ON e.place = p.place;
