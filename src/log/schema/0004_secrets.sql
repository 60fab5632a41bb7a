-- What all nodes of one installation share and nobody else knows. The first node that needs a secret makes it.

CREATE TABLE secrets (
    name       TEXT   NOT NULL PRIMARY KEY,
    value      TEXT   NOT NULL, -- base64
    created_ms BIGINT NOT NULL
) /*clustered*/;
