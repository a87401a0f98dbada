package main

import (
	"context"
	"fmt"
	"strings"

	"facteur/internal/app/control"
)

const postqueueUsage = "postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site"

// postqueue lists the queue or asks for attempts.
func (c *command) postqueue(ctx context.Context, args []string) error {
	options, operands, err := getopt(args, "c:fi:jps:v")
	if err != nil {
		return &usageError{err.Error(), postqueueUsage}
	}
	var todo []option
	for _, o := range options {
		switch o.letter {
		case 'c':
			if err := c.useSettings(o.value); err != nil {
				return err
			}
		case 'v':
		default:
			todo = append(todo, o)
		}
	}
	if len(todo) != 1 || len(operands) > 0 {
		return &usageError{usage: postqueueUsage}
	}
	return asTool(c.withOffice(ctx, func(ctx context.Context, o control.Office) error { return c.doPostqueue(ctx, o, todo[0]) }))
}

func (c *command) doPostqueue(ctx context.Context, o control.Office, what option) error {
	switch what.letter {
	case 'p':
		return mailq(ctx, o, control.Selection{}, c.out)
	case 'j':
		return queueJSON(ctx, o, c.out)
	case 'f':
		return quietly(o, ctx, control.Order{Action: control.Retry})
	case 's':
		return c.flushSite(ctx, o, what.value)
	}
	ids, wrong := sortIDs([]string{what.value})
	if len(wrong) > 0 {
		return fmt.Errorf("Cannot flush queue ID - invalid name: %q", what.value)
	}
	ids, err := completeIDs(ctx, o, ids, c.note("postqueue"))
	if err != nil {
		return err
	}
	return quietly(o, ctx, control.Order{Action: control.Retry, Selection: control.Selection{IDs: ids}})
}

// flushSite tries again what waits for a domain; one in brackets is a host as such.
func (c *command) flushSite(ctx context.Context, o control.Office, site string) error {
	domain := strings.TrimSuffix(strings.TrimPrefix(site, "@"), ".")
	err := quietly(o, ctx, control.Order{Action: control.Retry, Selection: control.Selection{Domain: domain}})
	if domain == "" || err != nil && strings.Contains(err.Error(), "is not a domain") {
		return fmt.Errorf("Cannot flush mail queue - invalid destination: %q", site)
	}
	return err
}

// quietly carries out an order that nobody watches.
func quietly(o control.Office, ctx context.Context, order control.Order) error {
	return o.Change(ctx, order, func(control.Progress) error { return nil })
}

// note tells of something that a tool did not take as it stood.
func (c *command) note(tool string) func(string) {
	return func(text string) { fmt.Fprintln(c.err, tool+": warning: "+printable(text)) }
}
