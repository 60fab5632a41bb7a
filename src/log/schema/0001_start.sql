-- The first schema. One text for SQLite and PostgreSQL: identifiers and JSON are TEXT, numbers, flags (0/1) and times
-- (milliseconds since the Unix epoch, UTC) are BIGINT. Where a mark between slashes and stars stands, an engine may have
-- words of its own: SQLite keeps clustered rows in the primary key's own tree, PostgreSQL leaves room where rows change.

CREATE TABLE projects (
    id                  TEXT   NOT NULL PRIMARY KEY,
    name                TEXT   NOT NULL,
    public_key          TEXT   NOT NULL UNIQUE,
    identity_secret     TEXT,
    identity_public_key TEXT,
    identity_required   BIGINT NOT NULL,
    sneak_peek          BIGINT NOT NULL,
    origins             TEXT   NOT NULL, -- JSON: list of texts
    created_ms          BIGINT NOT NULL
) /*clustered*/;

CREATE TABLE agents (
    id            TEXT   NOT NULL PRIMARY KEY,
    project       TEXT   NOT NULL REFERENCES projects (id),
    email         TEXT   NOT NULL UNIQUE, -- lower case
    name          TEXT   NOT NULL,
    role          TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    capacity      BIGINT NOT NULL,
    disabled      BIGINT NOT NULL,
    created_ms    BIGINT NOT NULL
) /*clustered*/;

CREATE INDEX agents_of_project ON agents (project);

CREATE TABLE agent_sessions (
    id_hash    TEXT   NOT NULL PRIMARY KEY,
    project    TEXT   NOT NULL REFERENCES projects (id),
    agent      TEXT   NOT NULL REFERENCES agents (id),
    session    TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    seen_ms    BIGINT NOT NULL
) /*clustered*/;

CREATE INDEX agent_sessions_of_agent ON agent_sessions (agent);

CREATE TABLE signing_keys (
    kid        TEXT   NOT NULL PRIMARY KEY,
    secret     TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    retired_ms BIGINT
) /*clustered*/;

CREATE TABLE revoked_sessions (
    session    TEXT   NOT NULL PRIMARY KEY,
    project    TEXT   NOT NULL,
    expires_ms BIGINT NOT NULL
) /*clustered*/;

CREATE TABLE control (
    n       BIGINT NOT NULL PRIMARY KEY,
    kind    TEXT   NOT NULL,
    project TEXT,
    subject TEXT   NOT NULL,
    at_ms   BIGINT NOT NULL
) /*clustered*/;

-- The tables below are written by appends. They have no foreign keys: the rows that a check would look for are written in
-- the same transaction, a check would cost each message a search, and one that fails would fail a whole group of appends.

CREATE TABLE visitors (
    project    TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    subject    TEXT,
    name       TEXT,
    name_lower TEXT, -- to search by: the engines' LOWER does not agree beyond ASCII
    email      TEXT,
    fields     TEXT   NOT NULL, -- JSON: map of texts
    created_ms BIGINT NOT NULL,
    seen_ms    BIGINT NOT NULL,
    PRIMARY KEY (project, id)
) /*clustered*/;

CREATE TABLE conversations (
    id               TEXT   NOT NULL PRIMARY KEY,
    project          TEXT   NOT NULL,
    visitor          TEXT   NOT NULL,
    visitor_name     TEXT,
    open_key         TEXT   NOT NULL,
    epoch            TEXT   NOT NULL,
    status           TEXT   NOT NULL, -- open | closed
    seq              BIGINT NOT NULL,
    desk_seq         BIGINT NOT NULL,
    assignee         TEXT,
    assignee_name    TEXT,
    waiting_since_ms BIGINT,
    read_visitor     BIGINT NOT NULL,
    read_agent       BIGINT NOT NULL,
    unread           BIGINT NOT NULL,
    preview          TEXT   NOT NULL,
    at_ms            BIGINT NOT NULL,
    created_ms       BIGINT NOT NULL,
    UNIQUE (project, visitor, open_key)
) /*clustered*/ /*changes*/;

-- Open conversations change with every message; an index that holds their time would be rewritten each time. They are
-- few (what a team works on), so the inbox sorts them. Closed ones are many, and stand still.
CREATE INDEX conversations_open ON conversations (project, assignee) WHERE status = 'open';
CREATE INDEX conversations_closed ON conversations (project, at_ms, id) WHERE status = 'closed';
CREATE INDEX conversations_closed_of ON conversations (project, assignee, at_ms, id) WHERE status = 'closed';

-- Rows stand in the order of arrival, and the key's index is the only one. Kept in the key's own tree instead, each row
-- went to another page: half the rate of appends, measured with 1,000 busy conversations.
CREATE TABLE entries (
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
    body         TEXT   NOT NULL, -- JSON
    PRIMARY KEY (conversation, lane, seq)
);

-- What is_writable writes: a new value each time, because SQLite writes nothing where nothing changes.
CREATE TABLE probe (
    id      BIGINT NOT NULL PRIMARY KEY,
    written BIGINT NOT NULL
) /*clustered*/;

INSERT INTO probe (id, written) VALUES (1, 0);
