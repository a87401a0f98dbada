package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
	"facteur/internal/store/namespace"
)

// ImportTarget is a mailbox that letters of a source are to come into.
type ImportTarget struct {
	Address string `json:"address"`
	// Mailbox is made if it is missing; SpecialUse is for then, Subscribe for ever.
	Mailbox    string `json:"mailbox"`
	SpecialUse string `json:"special_use,omitempty"`
	Subscribe  bool   `json:"subscribe,omitempty"`
	// Source names the mailbox that they come from, as a file name: what has the same
	// one comes once.
	Source string `json:"source"`
	// Validity and UIDNext are those of the other server, to be kept if that can be
	// done; 0: it has none.
	Validity uint32 `json:"validity,omitempty"`
	UIDNext  uint32 `json:"uid_next,omitempty"`
	// ACL is a file dovecot-acl, for a mailbox that nobody else has rights to yet.
	ACL string `json:"acl,omitempty"`
}

// ImportLetter is what goes with the bytes of a letter that comes or leaves.
type ImportLetter struct {
	Key      mailbox.Key         `json:"key"`
	UID      uint32              `json:"uid,omitempty"`
	System   mailbox.SystemFlags `json:"system,omitempty"`
	Keywords []string            `json:"keywords,omitempty"`
	Received time.Time           `json:"received"`
	UIDL     string              `json:"uidl,omitempty"`
	// File is linked instead of reading bytes, if it is not "".
	File string `json:"file,omitempty"`
}

// Importing is a mailbox that is being filled, by one goroutine. It has two
// implementations, as Office has.
type Importing interface {
	// Kept tells whether the mailbox has the UIDVALIDITY of the source.
	Kept() bool
	// Known are the keys of what came before. It is not to be changed.
	Known() map[mailbox.Key]bool
	// Add puts a letter into the batch. An error of r is given back as it is, and leaves
	// the rest of the batch as it was; with any other no more can be done than Close.
	Add(ctx context.Context, l ImportLetter, r io.Reader) error
	// Commit makes letters of the batch: all or none.
	Commit(ctx context.Context) (int, error)
	// End is after the last Commit, when nothing is missing.
	End(ctx context.Context) error
	// Close ends it; what was not committed is forgotten.
	Close() error
}

// ErrImporting: what another command is importing.
var errImporting = errors.New("another command is importing the same")

// imports are those under way.
type imports struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// importPatience is how long an import waits for another of the same: that of a client
// that was killed ends as soon as the server notices.
const importPatience = 10 * time.Second

// wait begins an import, as soon as no other of the same is under way.
func (i *imports) wait(ctx context.Context, key string) (end func(), err error) {
	timer := time.NewTimer(importPatience)
	defer timer.Stop()
	for {
		end, other := i.begin(key)
		if other == nil {
			return end, nil
		}
		select {
		case <-other:
		case <-timer.C:
			return nil, errImporting
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// begin gives the end of what it has begun, or the other that is under way, which is
// closed at its end.
func (i *imports) begin(key string) (end func(), other <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if other := i.busy[key]; other != nil {
		return nil, other
	}
	if i.busy == nil {
		i.busy = map[string]chan struct{}{}
	}
	ended := make(chan struct{})
	i.busy[key] = ended
	return sync.OnceFunc(func() { // whoever has ended an import closes it again on his way out
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.busy, key)
		close(ended)
	}), nil
}

// Import implements Office.
func (s *Stores) Import(ctx context.Context, t ImportTarget) (Importing, error) {
	found, err := s.account(ctx, t.Address)
	if err != nil {
		return nil, err
	}
	end, err := s.imports.wait(ctx, found.Address+" "+t.Mailbox+" "+t.Source)
	if err != nil {
		return nil, about(t.Address, err)
	}
	a, err := s.mailboxes.Open(ctx, s.owner(found))
	if err != nil {
		end()
		return nil, about(t.Address, err)
	}
	i := &filling{account: a, end: end}
	if err := s.prepare(ctx, i, found, t); err != nil {
		return nil, errors.Join(about(t.Address+" "+t.Mailbox, err), i.Close())
	}
	return i, nil
}

// prepare makes the mailbox what the source says that it is.
func (s *Stores) prepare(ctx context.Context, i *filling, found directory.Account, t ImportTarget) (err error) {
	err = i.account.CreateFor(ctx, t.Mailbox, t.SpecialUse)
	if err != nil && !errors.Is(err, mailbox.ErrExists) && !isInbox(t.Mailbox) {
		return err
	}
	if t.Subscribe {
		if err := i.account.Subscribe(ctx, t.Mailbox, true); err != nil {
			return err
		}
	}
	if t.Validity != 0 {
		if i.kept, err = i.account.TakeOver(ctx, t.Mailbox, t.Validity, t.UIDNext); err != nil {
			return err
		}
	}
	if i.Bringing, err = i.account.Bring(ctx, t.Mailbox, t.Source); err != nil {
		return err
	}
	return s.share(ctx, i.account, found.Address, t)
}

func isInbox(name string) bool {
	canonical, err := maildir.Canonical(name)
	return err == nil && canonical == "INBOX"
}

// share takes over an ACL, unless the mailbox has one.
func (s *Stores) share(ctx context.Context, a *mailbox.Account, address string, t ImportTarget) error {
	if t.ACL == "" || s.spaces == nil {
		return nil
	}
	if old, err := a.ACL(ctx, t.Mailbox); err != nil || len(old) > 0 {
		return err
	}
	return s.withSpace(ctx, address, func(space *namespace.Space) error {
		for _, e := range mailbox.ParseACL(t.ACL) {
			who := strings.TrimPrefix(e.Who, "user=")
			if e.Negative {
				who = "-" + who
			}
			err := space.SetACL(ctx, t.Mailbox, who, func(mailbox.Rights) mailbox.Rights { return e.Rights })
			if err != nil && !errors.Is(err, mailbox.ErrBadIdentifier) {
				return err
			}
		}
		return nil
	})
}

// filling is an Importing into the stores.
type filling struct {
	*mailbox.Bringing
	account *mailbox.Account
	kept    bool
	end     func()
}

// Kept implements Importing.
func (f *filling) Kept() bool { return f.kept }

// Add implements Importing.
func (f *filling) Add(ctx context.Context, l ImportLetter, r io.Reader) error {
	x := mailbox.Arriving{Key: l.Key, UID: l.UID, UIDL: l.UIDL,
		AppendOptions: mailbox.AppendOptions{Received: l.Received, Flags: mailbox.Flags{System: l.System, Keywords: l.Keywords}}}
	if l.File != "" {
		return f.Bringing.AddLink(ctx, x, l.File)
	}
	in := &told{r: r}
	err := f.Bringing.Add(ctx, x, in)
	if in.err != nil {
		return in.err
	}
	return err
}

// told keeps the error of a reader.
type told struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (t *told) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && err != io.EOF {
		t.err = &SourceError{err}
	}
	return n, err
}

// SourceError is an error of what a letter is read from.
type SourceError struct{ Err error }

// Error implements error.
func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap is the error itself.
func (e *SourceError) Unwrap() error { return e.Err }

// Close implements Importing.
func (f *filling) Close() error {
	defer f.end()
	var err error
	if f.Bringing != nil {
		err = f.Bringing.Close()
	}
	return errors.Join(err, f.account.Close())
}

var errFrame = fmt.Errorf("request: a letter can't be read")
