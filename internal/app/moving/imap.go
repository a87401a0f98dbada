package moving

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"facteur/internal/app/control"
	"facteur/internal/mail/imap"
	"facteur/internal/net/imapc"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
)

const (
	// fetchLetters are asked for together.
	fetchLetters = 100
	// reconnects is how often the server may fail without a letter in between.
	reconnects  = 10
	longestWait = 5 * time.Minute
)

// IMAP is a Source: an account at a server.
type IMAP struct {
	Address  string // host:port
	User     string
	Password string
	Security imapc.Security
	TLS      *tls.Config
	// Note is told when the connection is made anew.
	Note func(string)

	c     *imapc.Client
	met   bool // we were logged in once: a connection that fails now is no misprint
	sleep func(context.Context, time.Duration) error
}

// Close implements Source.
func (s *IMAP) Close() error {
	if s.c == nil {
		return nil
	}
	return s.c.Close()
}

// connect logs in, unless that was done.
func (s *IMAP) connect(ctx context.Context) error {
	if s.c != nil {
		return nil
	}
	c, err := imapc.Dial(ctx, s.Address, s.Security, s.TLS)
	if err != nil {
		return err
	}
	// What ends the context ends what is being waited for.
	context.AfterFunc(ctx, func() { c.Close() })
	if err := c.Login(s.User, s.Password); err != nil {
		c.Close()
		return err
	}
	s.c, s.met = c, true
	return nil
}

// drop ends a connection that is of no use any more.
func (s *IMAP) drop() {
	if s.c != nil {
		s.c.Close()
		s.c = nil
	}
}

// again runs fn until it succeeds: with a new connection where the old one broke, and
// later where the server is busy. fn tells whether it got further than the last time.
func (s *IMAP) again(ctx context.Context, fn func() (further bool, err error)) error {
	for failures := 0; ; {
		err := s.connect(ctx)
		further := false
		if err == nil {
			further, err = fn()
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if further {
			failures = 0
		}
		if failures++; failures > reconnects || !s.met && !throttled(err) || !passing(err) {
			return s.explained(err)
		}
		s.drop()
		wait := min(time.Second<<failures, longestWait)
		s.Note(fmt.Sprintf("%s: %v; trying again in %s", s.Address, err, wait))
		if err := s.pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (s *IMAP) pause(ctx context.Context, d time.Duration) error {
	if s.sleep != nil {
		return s.sleep(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// explained tells what most often is wrong.
func (s *IMAP) explained(err error) error {
	if errors.As(err, new(tls.RecordHeaderError)) {
		return fmt.Errorf("%s: there is no TLS from the start (--starttls begins it later): %w", s.Address, err)
	}
	return err
}

func throttled(err error) bool {
	var refusal *imapc.Refusal
	return errors.As(err, &refusal) && refusal.Throttled()
}

// passing tells the errors that another try may cure: of the network, and of a server
// that has too much to do.
func passing(err error) bool {
	var refusal *imapc.Refusal
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refusal):
		return refusal.Throttled()
	case errors.As(err, &certificate), errors.Is(err, imapc.ErrServer), errors.As(err, new(*ours)):
		return false
	}
	var dns *net.DNSError
	return !errors.As(err, &dns) || !dns.IsNotFound
}

// ours marks an error that is not the server's.
type ours struct{ error }

// Unwrap is the error itself.
func (o *ours) Unwrap() error { return o.error }

// Boxes implements Source.
func (s *IMAP) Boxes(ctx context.Context) (list []Box, err error) {
	err = s.again(ctx, func() (bool, error) {
		list, err = s.boxes()
		return false, err
	})
	return list, err
}

func (s *IMAP) boxes() ([]Box, error) {
	prefix, err := s.c.Prefix()
	if err != nil && !errors.As(err, new(*imapc.Refusal)) {
		return nil, err
	}
	raw, err := s.c.List()
	if err != nil {
		return nil, err
	}
	var list []Box
	taken := map[string]bool{}
	for _, r := range raw {
		if r.Is(`\Noselect`) || r.Is(`\NonExistent`) || r.Is(`\Flagged`) || r.Is(`\Important`) {
			continue // the last two are views of other mailboxes
		}
		b := Box{Name: nameHere(r.Raw, r.Separator, prefix), Subscribed: r.Subscribed, SpecialUse: useHere(r.Attributes), place: r.Raw, Bytes: -1}
		for taken[b.Name] {
			b.Name += "_"
		}
		taken[b.Name] = true
		st, err := s.c.Examine(r.Raw)
		if errors.As(err, new(*imapc.Refusal)) {
			b.Refused = err
			list = append(list, b)
			continue
		}
		if err != nil {
			return nil, err
		}
		b.Count, b.Validity, b.UIDNext = int64(st.Exists), st.Validity, st.UIDNext
		b.ID = fmt.Sprintf("%s@%s/%s/%d", s.User, s.Address, r.Raw, st.Validity)
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b Box) int { return strings.Compare(order(a.Name), order(b.Name)) })
	return list, nil
}

// useHere are the special uses that mailboxes here may have.
func useHere(attributes []string) string {
	var uses []string
	for _, use := range []string{`\Drafts`, `\Sent`, `\Junk`, `\Trash`, `\Archive`} {
		if slices.ContainsFunc(attributes, func(a string) bool { return strings.EqualFold(a, use) }) {
			uses = append(uses, use)
		}
	}
	return strings.Join(uses, " ")
}

// nameHere is a mailbox's name here: without the prefix of one's own, with "/" between the
// levels, and "_" where no name may have what it has there.
func nameHere(raw, separator, prefix string) string {
	if strings.EqualFold(raw, "INBOX") {
		return "INBOX"
	}
	name := raw
	if rest := strings.TrimPrefix(raw, prefix); rest != "" && !strings.EqualFold(rest, "INBOX") {
		name = rest
	}
	levels := []string{name}
	if separator != "" {
		levels = strings.Split(name, separator)
	}
	for i, level := range levels {
		if plain, err := imap.DecodeUTF7(level); err == nil {
			level = plain
		}
		levels[i] = tidy(level)
	}
	full := strings.Join(levels, maildir.Separator)
	if _, err := mailbox.NewName(full); err != nil {
		full = "Imported/" + tidy(fmt.Sprintf("%x", keyOf(raw)))
	}
	return full
}

// tidy is a level of a name without what no name here may have.
func tidy(level string) string {
	level = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune("/*%", r) {
			return '_'
		}
		return r
	}, level)
	if level == "" || level == "." || level == ".." {
		return "_" + level
	}
	return level
}

// Letters implements Source.
func (s *IMAP) Letters(ctx context.Context, b *Box, have func(mailbox.Key) bool, give func(Letter, io.Reader) error, bad func(string, error)) error {
	// Those beyond last that came: each is asked for, and given, once. A server may give
	// the letters of a chunk in any order.
	known := map[uint32]bool{}
	var last uint32 // all up to it were given, or told
	return s.again(ctx, func() (further bool, err error) {
		uids, err := s.open(b)
		if err != nil {
			return false, err
		}
		var chunk []uint32
		for i, uid := range uids {
			if uid > last && !known[uid] {
				if have(keyOf(fmt.Sprint(uid))) {
					known[uid] = true
				} else {
					chunk = append(chunk, uid)
				}
			}
			if len(chunk) == fetchLetters || i == len(uids)-1 && len(chunk) > 0 {
				n, err := s.chunk(b, chunk, known, give, bad)
				if further = further || n > 0; err != nil {
					return further, err
				}
				last, chunk = uid, chunk[:0]
			}
		}
		return true, nil
	})
}

// open opens a mailbox, and lists its letters.
func (s *IMAP) open(b *Box) ([]uint32, error) {
	st, err := s.c.Examine(b.place)
	if err != nil {
		return nil, err
	}
	if st.Validity != b.Validity {
		return nil, &ours{errors.New("the server gave the mailbox another UIDVALIDITY meanwhile; run the command again")}
	}
	return s.c.UIDs()
}

// chunk brings some letters, and tells how many. Those that it gave before an error are
// known then.
func (s *IMAP) chunk(b *Box, uids []uint32, known map[uint32]bool, give func(Letter, io.Reader) error, bad func(string, error)) (n int, err error) {
	told, err := s.c.Describe(uids)
	if err != nil {
		return 0, err
	}
	one := func(uid uint32, size int64, r io.Reader) error {
		err := give(letterOf(told[uid], uid, size), r)
		if err != nil && !errors.As(err, new(*control.SourceError)) {
			return &ours{err}
		}
		if err != nil {
			return err
		}
		known[uid] = true
		n++
		return nil
	}
	if err := s.c.Fetch(uids, one); err != nil {
		return n, err
	}
	for _, uid := range uids { // of a server that tells UIDs late
		if _, there := told[uid]; there && !known[uid] {
			if err := s.c.Fetch([]uint32{uid}, one); err != nil {
				return n, err
			}
			if !known[uid] {
				bad(fmt.Sprintf("%s, UID %d", b.Name, uid), errors.New("the server does not give it"))
			}
		}
	}
	for _, uid := range uids { // the caller remembers them by the last one
		delete(known, uid)
	}
	return n, nil
}

// letterOf is what the server says of a letter.
func letterOf(l imapc.Letter, uid uint32, size int64) Letter {
	out := Letter{Size: size, ImportLetter: control.ImportLetter{Key: keyOf(fmt.Sprint(uid)), UID: uid, Received: l.Received}}
	for _, flag := range l.Flags {
		switch strings.ToLower(flag) {
		case `\seen`:
			out.System |= mailbox.Seen
		case `\answered`:
			out.System |= mailbox.Answered
		case `\flagged`:
			out.System |= mailbox.Flagged
		case `\deleted`:
			out.System |= mailbox.Deleted
		case `\draft`:
			out.System |= mailbox.Draft
		default:
			if !strings.HasPrefix(flag, `\`) && len(flag) <= 100 {
				out.Keywords = append(out.Keywords, flag)
			}
		}
	}
	return out
}
