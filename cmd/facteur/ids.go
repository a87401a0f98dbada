package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"facteur/internal/app/control"
	"facteur/internal/store/queue"
)

// idMax bounds what may be meant as a queue ID, in bytes.
const idMax = 100

// cutID is how many digits a queue ID has that was cut by a script which counts on
// Postfix's (cut -b 1-12); whole ones have one more until the year 2112.
const cutID = 12

// eachBatch reads words, one a line or from list, and calls fn with as many as one
// order takes.
func eachBatch(next func() (string, error), fn func([]string) error) error {
	var batch []string
	for {
		word, err := next()
		if err == nil {
			batch = append(batch, word)
		}
		if len(batch) == control.MaxIDs || err != nil && len(batch) > 0 {
			if err := fn(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fromList gives words one by one, then io.EOF.
func fromList(list []string) func() (string, error) {
	return func() (string, error) {
		if len(list) == 0 {
			return "", io.EOF
		}
		word := list[0]
		list = list[1:]
		return word, nil
	}
}

// fromLines gives the lines of r, of which the beginning is kept of long ones.
func fromLines(r io.Reader) func() (string, error) {
	in := bufio.NewReaderSize(r, 4<<10)
	return func() (string, error) {
		line, more, err := in.ReadLine()
		if err != nil {
			return "", err
		}
		word := string(line[:min(len(line), idMax)])
		for more && err == nil {
			_, more, err = in.ReadLine()
		}
		return word, nil
	}
}

// sortIDs parts what may be queue IDs from what can't be.
func sortIDs(words []string) (ids, wrong []string) {
	for _, w := range words {
		if _, err := queue.ParseID(w); err != nil {
			wrong = append(wrong, w)
			continue
		}
		ids = append(ids, w)
	}
	return ids, wrong
}

// completeIDs replaces IDs whose last digit was cut off, where one item alone can be
// meant, and tells which by note. One that can be of several stays as it is, and is
// no item's.
func completeIDs(ctx context.Context, o control.Office, ids []string, note func(string)) ([]string, error) {
	for i, id := range ids {
		if len(id) != cutID {
			continue
		}
		var sel control.Selection
		for digit := range 16 {
			sel.IDs = append(sel.IDs, fmt.Sprintf("%s%X", id, digit))
		}
		var found []string
		err := o.Queue(ctx, sel, func(e control.Entry) error { found = append(found, e.ID); return nil })
		if err != nil {
			return nil, err
		}
		switch len(found) {
		case 0:
		case 1:
			note(fmt.Sprintf("%s: a digit is missing; %s is meant", id, found[0]))
			ids[i] = found[0]
		default:
			note(fmt.Sprintf("%s: a digit is missing, and it may be any of %s", id, strings.Join(found, ", ")))
		}
	}
	return ids, nil
}
