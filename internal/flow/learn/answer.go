package learn

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

const (
	// answerTo is to how many an answer goes at most that teaches anything.
	answerTo = 50
	// answersMost is how many letters one letter answers at most.
	answersMost = 3
)

// answer is a letter of a user's that says which letter it answers.
type answer struct {
	account string
	// ids are of the letters that it answers, as message.MessageID gives them.
	ids []string
	// to are the keys of those whom it is for, own those of who wrote it.
	to, own []string
}

// Sent hears of a letter that an account sent. If it answers one in the account's own
// mailboxes, and goes to who wrote that, that one is no spam.
//
// That is evidence, and not a person's word. So it teaches only what nobody has said
// anything of: what somebody called spam stays spam. Nor does it reach into the junk
// mailbox: who wants a letter that lies there moves it out, and who answers it and leaves it
// there has asked to be left alone, or plays with a swindler. Answers of programs say nothing,
// nor do those to lists and newsletters, which may ask to be taken off; nor does a letter that
// is passed on to somebody else, as one is that is to be looked at.
func (t *Teacher) Sent(account string, header message.Header, to []address.Address) {
	if !t.Settings().Answers {
		return
	}
	a := answerOf(account, header, to)
	if a == nil {
		return
	}
	// What people say comes first: half of the room is for that.
	if t.queue.len() >= queueMost/2 {
		t.dropped.Add(1)
		return
	}
	t.enqueue(account, 0, func(ctx context.Context) {
		if err := t.answered(ctx, a); err != nil {
			t.warn(account, err)
		}
	})
}

// answerOf reads what a letter answers; nil if it is no answer of a person to a person.
func answerOf(account string, h message.Header, to []address.Address) *answer {
	ids := message.References(h.Get("In-Reply-To"))
	if len(ids) == 0 {
		ids = message.References(h.Get("References"))
		ids = ids[max(len(ids)-1, 0):] // the last is the one that it answers
	}
	if len(ids) == 0 || len(ids) > answersMost || len(to) > answerTo || automatic(h) || inBulk(h) {
		return nil
	}
	a := &answer{account: account, ids: ids, own: append(keysIn(h, "From", "Sender"), account)}
	for _, r := range to {
		a.to = append(a.to, r.Key())
	}
	return a
}

// automatic tells what a program sent by itself (RFC 3834 §5).
func automatic(h message.Header) bool {
	said, _, _ := strings.Cut(h.Get("Auto-Submitted"), ";")
	said = strings.TrimSpace(said)
	return said != "" && !strings.EqualFold(said, "no") || h.Get("X-Auto-Response-Suppress") != ""
}

// inBulk tells what goes to many by a list or a mass mailing.
func inBulk(h message.Header) bool {
	for _, name := range []string{"List-Id", "List-Unsubscribe", "List-Post"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return slices.Contains([]string{"bulk", "list", "junk", "auto_reply"}, strings.ToLower(strings.TrimSpace(h.Get("Precedence"))))
}

// keysIn are the addresses in fields, in the form that can be compared.
func keysIn(h message.Header, names ...string) (keys []string) {
	for _, name := range names {
		for _, m := range message.ParseAddresses(h.Get(name)) {
			if a, err := address.Parse(m.Address()); err == nil {
				keys = append(keys, a.Key())
			}
		}
	}
	return keys
}

// answered teaches the letter that was answered, if it is found.
func (t *Teacher) answered(ctx context.Context, a *answer) error {
	if t.Suspected != nil && t.Suspected(ctx, a.account) {
		return nil // a thief answers other people's letters
	}
	src, err := t.Find(ctx, a.account, a.ids)
	if isGone(err) {
		return nil // with POP3 it is not here any more
	}
	if err != nil {
		return err
	}
	defer src.Close()
	if !a.fits(src) {
		return nil
	}
	letter, err := Read(src, src.Size(), t.Settings().Hostname)
	if err != nil {
		return err
	}
	if _, known := t.Lexicon.Remembers(a.account, letter.ID); known {
		return nil
	}
	_, err = t.Teach(ctx, Lesson{Account: a.account, Letter: letter, Way: Answered})
	return err
}

// fits says whether the letter that was found is one that somebody else wrote, to whom the
// answer goes.
func (a *answer) fits(src Source) bool {
	h, _, err := message.ReadHeader(io.NewSectionReader(src, 0, src.Size()), headMost)
	if err != nil && !errors.Is(err, message.ErrHeaderTooLong) || automatic(h) || inBulk(h) {
		return false
	}
	authors := keysIn(h, "From")
	isOwn := func(key string) bool { return slices.Contains(a.own, key) }
	isTo := func(key string) bool { return slices.Contains(a.to, key) }
	return len(authors) > 0 && !slices.ContainsFunc(authors, isOwn) && slices.ContainsFunc(append(authors, keysIn(h, "Reply-To")...), isTo)
}
