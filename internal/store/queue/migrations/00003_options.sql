-- +goose Up

-- What few messages have: empty for the others, so that they do not pay for it.
-- Written as application/x-www-form-urlencoded; see options.go for the keys.
ALTER TABLE item ADD COLUMN options TEXT NOT NULL DEFAULT '';
ALTER TABLE recipient ADD COLUMN options TEXT NOT NULL DEFAULT '';
