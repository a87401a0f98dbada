package learn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

const (
	// MaxReport is the largest letter with reported ones in it, in bytes.
	MaxReport = 20 << 20
	// MaxReported is how many letters one may have.
	MaxReported = 100
)

// The reasons why a report is refused, for who sent it.
var (
	errNoLetters = errors.New("no letter is attached; forward it as an attachment (message/rfc822), not inline: what your program quotes is no longer the letter that you got")
	errTooMany   = fmt.Errorf("more than %d letters are attached; report some of them at a time", MaxReported)
	errTooLarge  = fmt.Errorf("it is larger than %d MB; report fewer letters at a time", MaxReport>>20)
	errBoth      = errors.New("it says that the letters are spam, and that they are not; send it to one of the two addresses")
)

// Takes tells an address that letters are reported to.
func (t *Teacher) Takes(a address.Address) bool {
	s := t.Settings()
	return s.TakesSpam != nil && s.TakesSpam(a) || s.TakesHam != nil && s.TakesHam(a)
}

// Busy tells that so much waits to be learnt that a report of a size, in bytes, is to come
// later.
func (t *Teacher) Busy(size int64) bool { return size <= MaxReport && !t.queue.room(size) }

// Report looks at a letter that an account sent to report addresses, in which the letters
// are that it reports. The error is for who sent it; then is to be called when the letter
// is accepted.
func (t *Teacher) Report(account string, to []address.Address, letter io.ReaderAt, size int64) (then func(), err error) {
	s, spams, hams := t.Settings(), 0, 0
	for _, a := range to {
		if s.TakesSpam != nil && s.TakesSpam(a) {
			spams++
		} else if s.TakesHam != nil && s.TakesHam(a) {
			hams++
		}
	}
	switch {
	case spams > 0 && hams > 0:
		return nil, errBoth
	case size > MaxReport:
		return nil, errTooLarge
	}
	root, err := message.Parse(io.NewSectionReader(letter, 0, size), message.Limits{})
	if err != nil {
		return nil, err
	}
	letters, err := attached(letter, root, nil)
	if err == nil && len(letters) == 0 {
		err = errNoLetters
	}
	if err != nil {
		return nil, err
	}
	return func() { t.reported(account, letters, spams > 0) }, nil
}

// attached are the letters in a letter; not those in them.
func attached(r io.ReaderAt, p *message.Part, list [][]byte) (_ [][]byte, err error) {
	for _, c := range p.Children {
		switch {
		case len(list) == MaxReported:
			return nil, errTooMany
		case p.Type != "message":
			list, err = attached(r, c, list)
		default:
			data := make([]byte, c.End-c.Header)
			if _, err = r.ReadAt(data, c.Header); err == nil || err == io.EOF {
				list, err = append(list, data), nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// reported teaches letters in the background.
func (t *Teacher) reported(account string, letters [][]byte, isSpam bool) {
	size := int64(0)
	for _, data := range letters {
		size += int64(len(data))
	}
	t.enqueue(account, size, func(ctx context.Context) {
		for _, data := range letters {
			if _, err := t.TeachLetter(ctx, account, bytes.NewReader(data), int64(len(data)), isSpam, Reported); err != nil {
				t.warn(account, err)
			}
		}
	})
}
