-- How far each side's devices have the thread. What was read before this has arrived, too: readers take the further mark.

ALTER TABLE conversations ADD COLUMN delivered_visitor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN delivered_agent BIGINT NOT NULL DEFAULT 0;
