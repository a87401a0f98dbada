package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

// WriteDovecot writes down for Dovecot all that is in the index only: the UIDs of
// every mailbox, and keywords, as small letters in file names whose meaning stands
// in dovecot-keywords. Dovecot has room for 26 of them in a mailbox; left says how
// many names found none. Subscriptions are always in Dovecot's file. It is for who
// goes back; nothing here changes by it but file names.
func (a *Account) WriteDovecot(ctx context.Context) (left int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return 0, err
	}
	for _, name := range slices.Sorted(maps.Keys(a.boxes)) {
		b := a.boxes[name]
		n, err := b.writeDovecot(ctx)
		if err != nil {
			return left, fmt.Errorf("%s: %w", name, err)
		}
		left += n
	}
	return left, nil
}

func (b *box) writeDovecot(ctx context.Context) (left int, err error) {
	if err := errors.Join(b.sync(ctx), b.loadKeywords(ctx)); err != nil {
		return 0, err
	}
	if len(b.keywords) > 0 {
		if left, err = b.spell(ctx); err != nil {
			return left, err
		}
	}
	return left, b.writeList(ctx)
}

// spell puts keywords into file names, after their meaning was written.
func (b *box) spell(ctx context.Context) (left int, err error) {
	names, err := b.dovecotKeywords()
	if err != nil {
		return 0, err
	}
	fresh, left := b.assign(names)
	if fresh {
		if err := vfs.WriteFile(b.dir.FS, b.dir.Path+"/"+keywordFile, []byte(formatKeywords(names)), 0o600); err != nil {
			return left, err
		}
	}
	var c change
	d := c.of(b)
	rerr := b.each(ctx, queryPages, func(r *record, base string) error {
		to := found{info: spelled(r.info, b.sets[r.words].names, names)}
		if to.info == r.info || to.info == ":2," && r.info == "" {
			return nil
		}
		err := b.dir.FS.Rename(b.path(base, r.found), b.path(base, to))
		if errors.Is(err, fs.ErrNotExist) {
			b.distrust()
			return nil
		}
		if err == nil {
			d.moved = append(d.moved, arrival{r.letter, base, to})
		}
		return err
	})
	if len(d.moved) > 0 {
		b.own()
		err = b.acct.commit(ctx, &c)
	}
	return left, errors.Join(rerr, err)
}

// assign gives a letter to every keyword of the mailbox, as long as there are some.
func (b *box) assign(names *[keywordLetters]string) (fresh bool, left int) {
	for _, word := range b.keywords {
		if indexFold(names[:], word) >= 0 {
			continue
		}
		i := slices.Index(names[:], "")
		if i < 0 || !isAtom(word) {
			left++
			continue
		}
		names[i], fresh = word, true
	}
	return fresh, left
}

// formatKeywords is the inverse of parseKeywords.
func formatKeywords(names *[keywordLetters]string) string {
	var out strings.Builder
	for i, name := range names {
		if name != "" {
			fmt.Fprintf(&out, "%d %s\n", i, name)
		}
	}
	return out.String()
}

// spelled gives the end of a file name the letters of exactly these keywords. Small
// letters that mean nothing stay.
func spelled(info string, words []string, names *[keywordLetters]string) string {
	flags := strings.Map(func(c rune) rune {
		if isKeywordLetter(c) && names[c-'a'] != "" {
			return -1
		}
		return c
	}, strings.TrimPrefix(info, ":2,"))
	want := flags
	for _, word := range words {
		if i := indexFold(names[:], word); i >= 0 {
			want += string(rune('a' + i))
		}
	}
	return ":2," + maildir.SetFlags(flags, want)
}

// withoutWords takes the keywords out of the end of a file name: in another mailbox
// the letters mean something else.
func withoutWords(info string) string {
	if strings.IndexFunc(info, isKeywordLetter) < 0 || !strings.HasPrefix(info, ":2,") {
		return info
	}
	return strings.Map(func(c rune) rune {
		if isKeywordLetter(c) {
			return -1
		}
		return c
	}, info)
}
