-- +goose Up
-- quota, in bytes, and messages: 0 for what the domain or the settings say, -1 for no limit.
ALTER TABLE account ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;
-- How long expunged mail is kept, in seconds; -1 for what the domain or the settings say.
ALTER TABLE account ADD COLUMN keep INTEGER NOT NULL DEFAULT -1;

-- +goose Down
ALTER TABLE account DROP COLUMN keep;
ALTER TABLE account DROP COLUMN messages;
