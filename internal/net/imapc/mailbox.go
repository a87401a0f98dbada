package imapc

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Box is a mailbox of the server.
type Box struct {
	Raw        string // as the server writes it
	Separator  string // between levels; "" for none
	Attributes []string
	Subscribed bool
}

// Is tells whether it has an attribute, such as \Noselect, in any case.
func (b *Box) Is(attribute string) bool {
	return slices.ContainsFunc(b.Attributes, func(a string) bool { return strings.EqualFold(a, attribute) })
}

// List gives all mailboxes.
func (c *Client) List() ([]Box, error) {
	list, err := c.list(`LIST "" "*"`, "LIST")
	if err != nil {
		return nil, err
	}
	subscribed, err := c.list(`LSUB "" "*"`, "LSUB")
	if err != nil && !errors.As(err, new(*Refusal)) {
		return nil, err
	}
	for i := range list {
		list[i].Subscribed = slices.ContainsFunc(subscribed, func(b Box) bool { return b.Raw == list[i].Raw })
	}
	return list, nil
}

func (c *Client) list(command, name string) (list []Box, err error) {
	err = c.Do(command, func(r *Response) error {
		if r.Name != name {
			return nil
		}
		if len(list) >= maxBoxes {
			return fmt.Errorf("%w: more than %d mailboxes", ErrServer, maxBoxes)
		}
		var b Box
		var errs [3]error
		b.Attributes, errs[0] = r.words(100)
		if errs[0] != nil {
			return errs[0]
		}
		if b.Separator, errs[1] = r.str(); strings.EqualFold(b.Separator, "NIL") {
			b.Separator = ""
		}
		b.Raw, errs[2] = r.str()
		if strings.ContainsAny(b.Raw, "\r\n\x00") {
			return fmt.Errorf("%w: a name with a line end", ErrServer)
		}
		list = append(list, b)
		return errors.Join(errs[:]...)
	})
	return list, err
}

// Prefix is what stands before the names of one's own mailboxes (RFC 2342).
func (c *Client) Prefix() (prefix string, err error) {
	if ok, err := c.Has("NAMESPACE"); !ok || err != nil {
		return "", err
	}
	err = c.Do("NAMESPACE", func(r *Response) error {
		if r.Name != "NAMESPACE" {
			return nil
		}
		for range 2 {
			if t, err := r.next(); err != nil || t.kind != kindOpen {
				return err
			}
		}
		prefix, err = r.str()
		return err
	})
	return prefix, err
}

// Status is what EXAMINE tells of a mailbox.
type Status struct {
	Exists            uint32
	Validity, UIDNext uint32
}

// Examine opens a mailbox for reading only.
func (c *Client) Examine(raw string) (s Status, err error) {
	err = c.Do("EXAMINE "+quote(raw), func(r *Response) error {
		switch {
		case r.Name == "EXISTS":
			s.Exists = r.N
		case r.Name == "OK":
			s.Validity = max(s.Validity, code(r.Text, "[UIDVALIDITY "))
			s.UIDNext = max(s.UIDNext, code(r.Text, "[UIDNEXT "))
		}
		return nil
	})
	return s, err
}

// code reads the number of a response code.
func code(text, name string) uint32 {
	_, rest, ok := strings.Cut(strings.ToUpper(text), name)
	digits, _, end := strings.Cut(rest, "]")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || !end || err != nil {
		return 0
	}
	return uint32(n)
}

// UIDs lists the letters of the open mailbox, ascending; 4 bytes each.
func (c *Client) UIDs() (list []uint32, err error) {
	err = c.Do("UID SEARCH ALL", func(r *Response) error {
		for r.Name == "SEARCH" {
			t, err := r.next()
			if err != nil || t.kind == kindEnd {
				return err
			}
			n, err := strconv.ParseUint(t.text, 10, 32)
			if t.kind != kindWord || err != nil || n == 0 || len(list) > maxResponses {
				return fmt.Errorf("%w: %.30q in a list of numbers", ErrServer, t.text)
			}
			list = append(list, uint32(n))
		}
		return nil
	})
	slices.Sort(list)
	return slices.Compact(list), err
}

// Letter is what is told of one.
type Letter struct {
	UID      uint32
	Flags    []string
	Received time.Time
	Size     int64
}

const internalDate = "_2-Jan-2006 15:04:05 -0700"

// Describe asks about letters; what it gives may be less, and in any order.
func (c *Client) Describe(uids []uint32) (map[uint32]Letter, error) {
	known := make(map[uint32]Letter, len(uids))
	err := c.Do("UID FETCH "+set(uids)+" (UID FLAGS INTERNALDATE RFC822.SIZE)", func(r *Response) error {
		if r.Name != "FETCH" {
			return nil
		}
		l, err := r.letter(nil)
		if _, asked := slices.BinarySearch(uids, l.UID); asked {
			known[l.UID] = l
		}
		return err
	})
	return known, err
}

// Fetch gives the bytes of letters to fn, one after the other. What fn does not read is
// passed over.
func (c *Client) Fetch(uids []uint32, fn func(uid uint32, size int64, r io.Reader) error) error {
	given := make(map[uint32]bool, len(uids))
	return c.Do("UID FETCH "+set(uids)+" (UID BODY.PEEK[])", func(r *Response) error {
		if r.Name != "FETCH" {
			return nil
		}
		_, err := r.letter(func(uid uint32, body io.Reader, size int64) error {
			if uid == 0 && len(uids) == 1 {
				uid = uids[0]
			}
			if _, asked := slices.BinarySearch(uids, uid); !asked || given[uid] {
				return nil
			}
			given[uid] = true
			return fn(uid, size, body)
		})
		return err
	})
}

func set(uids []uint32) string {
	words := make([]string, len(uids))
	for i, uid := range uids {
		words[i] = strconv.FormatUint(uint64(uid), 10)
	}
	return strings.Join(words, ",")
}

// letter reads the list of a FETCH response. Bytes of a letter go to body.
func (r *Response) letter(body func(uid uint32, r io.Reader, size int64) error) (l Letter, err error) {
	t, err := r.next()
	if err != nil || t.kind != kindOpen {
		return l, errors.Join(err, ErrServer)
	}
	for {
		t, err := r.next()
		if err != nil || t.kind == kindClose {
			return l, err
		}
		if t.kind != kindWord {
			return l, fmt.Errorf("%w: in FETCH", ErrServer)
		}
		if err := r.item(&l, strings.ToUpper(t.text), body); err != nil {
			return l, err
		}
	}
}

// item reads the value of one item.
func (r *Response) item(l *Letter, name string, body func(uid uint32, r io.Reader, size int64) error) error {
	switch name {
	case "FLAGS":
		var err error
		l.Flags, err = r.words(1000)
		return err
	case "BODY[]":
		return r.body(l.UID, body)
	}
	t, err := r.next()
	if err != nil {
		return err
	}
	switch name {
	case "UID":
		n, err := strconv.ParseUint(t.text, 10, 32)
		l.UID = uint32(n)
		return err
	case "RFC822.SIZE":
		l.Size, err = strconv.ParseInt(t.text, 10, 64)
		return err
	case "INTERNALDATE":
		l.Received, _ = time.Parse(internalDate, t.text) // none is better than no letter
		return nil
	}
	return r.pass(t, 0)
}

// body hands out a letter, and reads what is left of it.
func (r *Response) body(uid uint32, fn func(uint32, io.Reader, int64) error) error {
	t, err := r.next()
	if err != nil {
		return err
	}
	switch t.kind {
	case kindLiteral:
		if fn != nil {
			if err := fn(uid, t.body, t.body.size); err != nil {
				return err
			}
		}
		_, err = io.Copy(io.Discard, t.body)
		return err
	case kindString:
		if fn != nil {
			return fn(uid, strings.NewReader(t.text), int64(len(t.text)))
		}
	}
	return nil // NIL: it is gone
}

// pass reads a value that was not asked for.
func (r *Response) pass(t token, depth int) error {
	switch {
	case depth > maxDepth || t.kind == kindEnd:
		return ErrServer
	case t.kind == kindLiteral:
		_, err := io.Copy(io.Discard, t.body)
		return err
	case t.kind != kindOpen:
		return nil
	}
	for {
		if r.passed++; r.passed > maxPassed {
			return fmt.Errorf("%w: a response without an end", ErrServer)
		}
		t, err := r.next()
		if err != nil || t.kind == kindClose {
			return err
		}
		if err := r.pass(t, depth+1); err != nil {
			return err
		}
	}
}
