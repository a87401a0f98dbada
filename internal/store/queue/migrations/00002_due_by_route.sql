-- +goose Up

-- With the route in it, what is due can be found without reading the rows of
-- routes that have enough under way.
DROP INDEX recipient_due;
CREATE INDEX recipient_due ON recipient (due, item, n, route) WHERE state = 0;
