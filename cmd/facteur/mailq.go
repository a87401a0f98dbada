package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"facteur/internal/app/control"
)

// The columns of mailq for long queue IDs, which scripts cut by position or by
// white space.
const (
	mailqHead      = "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------"
	mailqEntry     = "%-17s %8d %19s %s\n"
	mailqRecipient = "%47s%s\n"
	mailqReason    = "%78s\n"
	mailqTime      = "Mon Jan _2 15:04:05"
)

// mailq lists what is picked, oldest first.
func mailq(ctx context.Context, o control.Office, s control.Selection, w io.Writer) error {
	out := bufio.NewWriter(w)
	var items, bytes int64
	err := o.Queue(ctx, s, func(e control.Entry) error {
		if items == 0 {
			fmt.Fprintln(out, mailqHead)
		}
		items, bytes = items+1, bytes+e.Size
		return mailqItem(out, e)
	})
	switch {
	case err != nil: // a list that is not whole has no total
	case items == 0:
		fmt.Fprintln(out, "Mail queue is empty")
	default:
		fmt.Fprintf(out, "-- %d Kbytes in %d Request%s.\n", bytes/1024, items, plural(items))
	}
	return errors.Join(err, out.Flush())
}

// mailqItem prints an item: its line, then its recipients under what each group of
// them was told last.
func mailqItem(w io.Writer, e control.Entry) error {
	fmt.Fprintf(w, mailqEntry, e.ID+mark(e), e.Size, e.Arrived.Local().Format(mailqTime), printable(sender(e)))
	told := ""
	for _, r := range e.Recipients {
		if r.Reason != "" && r.Reason != told {
			fmt.Fprintf(w, mailqReason, "("+printable(r.Reason)+")")
		}
		told = r.Reason
		fmt.Fprintf(w, mailqRecipient, "", printable(r.Address))
	}
	_, err := fmt.Fprintln(w)
	return err
}

// sender is the reverse-path as the tools of the queue write it.
func sender(e control.Entry) string {
	if e.Sender == "" {
		return control.NobodyDomain
	}
	return e.Sender
}

// mark is "#" when its time was ended by hand, "*" while an attempt is under way, "!"
// when all of it is held.
func mark(e control.Entry) string {
	switch {
	case e.Expired:
		return "#"
	case e.Active:
		return "*"
	case e.Shelf == "hold":
		return "!"
	}
	return ""
}

func plural(n int64) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// queueJSON lists the queue as "postqueue -j" does, with the blanks that it has: some
// scripts look for them.
func queueJSON(ctx context.Context, o control.Office, w io.Writer) error {
	out := bufio.NewWriter(w)
	err := o.Queue(ctx, control.Selection{}, func(e control.Entry) error {
		fmt.Fprintf(out, `{"queue_name": %s, "queue_id": %s, "arrival_time": %d, "message_size": %d, "forced_expire": %t, "sender": %s, "recipients": [`,
			quoted(e.Shelf), quoted(e.ID), e.Arrived.Unix(), e.Size, e.Expired, quoted(sender(e)))
		for i, r := range e.Recipients {
			if i > 0 {
				out.WriteString(", ")
			}
			fmt.Fprintf(out, `{"address": %s`, quoted(r.Address))
			if r.Reason != "" {
				fmt.Fprintf(out, `, "delay_reason": %s`, quoted(r.Reason))
			}
			out.WriteByte('}')
		}
		_, err := out.WriteString("]}\n")
		return err
	})
	return errors.Join(err, out.Flush())
}

// quoted is a JSON string in which "<" stays "<".
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string always can be
	return string(bytes.TrimRight(b.Bytes(), "\n"))
}
