package mailbox

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// ErrUse is a special use that no mailbox of the account can have, or not this one.
var ErrUse = errors.New("special use not possible")

// uses are the special uses that users may give (RFC 6154 §2, RFC 8457). \All and
// \Flagged are for virtual mailboxes, of which there are none.
var uses = []string{`\Archive`, `\Drafts`, `\Important`, `\Junk`, `\Sent`, `\Trash`}

// SpecialUse is a special use, in any case, as it is written, "" if there is none.
func SpecialUse(text string) string {
	for _, u := range uses {
		if strings.EqualFold(u, text) {
			return u
		}
	}
	return ""
}

// setUse notes a special use; without a value the mailbox has none, whatever its name.
func setUse(values map[noteKey]string, value []byte, b *box) error {
	var out []string
	for _, word := range strings.Fields(string(value)) {
		u := SpecialUse(word)
		if u == "" || b == nil || b.folder == "" {
			return ErrUse
		}
		out = append(out, u)
	}
	slices.Sort(out)
	values[noteKey{"", specialUseNote}] = strings.Join(slices.Compact(out), " ")
	return nil
}

// givenUse is a mailbox's special use: the one that was given, else that of its name.
// Callers hold notes.mu.
func (b *box) givenUse() string {
	if given, ok := b.notes.values[noteKey{"", specialUseNote}]; ok {
		return given
	}
	return b.acct.store.useOf(b.name)
}

// use is the special uses of a mailbox, with blanks between them.
func (b *box) use() string {
	b.notes.mu.Lock()
	defer b.notes.mu.Unlock()
	if err := b.notes.load(b.dir.FS, b.notesPath()); err != nil {
		return b.acct.store.useOf(b.name)
	}
	return b.givenUse()
}

// Use is the special uses of a mailbox, with blanks between them.
func (a *Account) Use(ctx context.Context, name string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return "", err
	}
	b, err := a.find(name)
	if err != nil {
		return "", err
	}
	return b.use(), nil
}

// checkUses is an error unless a new mailbox may have these uses.
func checkUses(text string) error {
	return setUse(map[noteKey]string{}, []byte(text), &box{folder: "."})
}

// dedicate gives a mailbox that is being made its special uses.
func (b *box) dedicate(uses string) error {
	if uses == "" {
		return nil
	}
	return b.notes.change(b.dir.FS, b.notesPath(), 0, func(values map[noteKey]string) error {
		return setUse(values, []byte(uses), b)
	})
}

// pinUses notes the special uses that mailboxes have by their names, as they are to
// be called otherwise: a use moves with its mailbox (RFC 6154 §2).
func pinUses(list []renaming) error {
	for _, r := range list {
		if use := r.b.acct.store.useOf(r.b.name); use != "" && r.b.use() == use {
			if err := r.b.dedicate(use); err != nil {
				return err
			}
		}
	}
	return nil
}
