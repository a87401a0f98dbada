package quota

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
)

// Usage is how much there is of what a quota limits. As a change, it may be negative.
type Usage struct {
	Bytes    int64 // of the letters' files
	Messages int64
}

// Plus is the sum of two.
func (u Usage) Plus(v Usage) Usage { return Usage{u.Bytes + v.Bytes, u.Messages + v.Messages} }

// Minus is u without v.
func (u Usage) Minus(v Usage) Usage { return Usage{u.Bytes - v.Bytes, u.Messages - v.Messages} }

// Limits are what an account may hold. The zero Limits allow everything: 0 is the
// absence of a limit here, and never what an admin writes to mean that.
type Limits struct {
	// Bytes and Messages are the most of each in all mailboxes together; 0: no limit.
	Bytes, Messages int64
	// Rules are for single mailboxes; the first that matches counts.
	Rules []Rule
	// Outside is a mailbox that does not count, whatever the rules say; "" for none.
	Outside string
	// Grace is by how many percent of Bytes the last letter may be too large.
	Grace int
	// Warnings are the percentages at which the owner hears of it, ascending.
	Warnings []int
}

// None tells that nothing is limited: nothing has to be counted then.
func (l *Limits) None() bool { return l.Bytes == 0 && l.Messages == 0 }

// Ignores tells a mailbox whose letters do not count.
func (l *Limits) Ignores(mailbox string) bool {
	if l.Outside != "" && mailbox == l.Outside {
		return true
	}
	r := l.rule(mailbox)
	return r != nil && r.Ignore
}

// For is the most that all mailboxes together may hold when something is put into
// this one.
func (l *Limits) For(mailbox string) (most Usage) {
	most = Usage{l.Bytes, l.Messages}
	if r := l.rule(mailbox); r != nil {
		most = Usage{r.Bytes.on(l.Bytes), r.Messages.on(l.Messages)}
	}
	return most
}

// Free is the largest letter that delivery may put into INBOX, in bytes: as long as
// there is room for some of it, the last one may be too large by Grace.
func (l *Limits) Free(used Usage) int64 {
	most := l.For("INBOX")
	switch {
	case most.Messages > 0 && used.Messages >= most.Messages:
		return 0
	case most.Bytes == 0:
		return math.MaxInt64
	case used.Bytes >= most.Bytes:
		return 0
	}
	return most.Bytes - used.Bytes + most.Bytes/100*int64(l.Grace)
}

// Percent is how full an account is: of bytes or messages, whichever is more.
func (l *Limits) Percent(used Usage) int {
	return int(min(max(percent(used.Bytes, l.Bytes), percent(used.Messages, l.Messages)), 1000))
}

func percent(used, most int64) int64 {
	if most <= 0 || used <= 0 {
		return 0
	}
	return int64(float64(used) / float64(most) * 100)
}

func (l *Limits) rule(mailbox string) *Rule {
	for i := range l.Rules {
		if l.Rules[i].Matches(mailbox) {
			return &l.Rules[i]
		}
	}
	return nil
}

// Rule is what Dovecot's quota_rule says of a mailbox.
type Rule struct {
	Mailbox string // with "*" for any text and "?" for any character
	Ignore  bool   // its letters do not count
	// Bytes and Messages are the limits while something is put there.
	Bytes, Messages Bound
}

// Matches tells whether the rule is about a mailbox.
func (r *Rule) Matches(mailbox string) bool {
	if r.Mailbox == mailbox {
		return true
	}
	ok, err := path.Match(wild.Replace(r.Mailbox), wild.Replace(mailbox))
	return ok && err == nil
}

// wild makes a pattern of path.Match in which a separator is a character as any
// other; never changed.
var wild = strings.NewReplacer("[", "\x02", "]", "\x03", `\`, "\x04", "/", "\x01")

// Bound is a limit of a rule: a number of its own, or one that is relative to the
// account's. The zero Bound is the account's.
type Bound struct {
	Set      bool
	Relative bool  // N is added to the account's limit
	Percent  bool  // N is in percent of the account's limit
	N        int64 // bytes or messages
}

func (b Bound) on(account int64) int64 {
	if !b.Set || account == 0 && (b.Relative || b.Percent) {
		return account
	}
	n := b.N
	if b.Percent {
		n = account/100*n + account%100*n/100
	}
	if b.Relative {
		n += account
	}
	return max(n, 1) // what is taken away entirely leaves a limit, not none
}

// ParseRule reads a rule in the words of Dovecot's quota_rule: "Trash:storage=+100M",
// "Junk:ignore", "Archive/*:storage=+50%:messages=+1000". storage counts in units of
// 1024 bytes unless a letter says which (B, K, M, G, T, %), bytes in bytes.
func ParseRule(text string) (Rule, error) {
	// The name may have colons, the limits have none.
	words := strings.Split(text, ":")
	first := len(words)
	for first > 1 && isLimit(words[first-1]) {
		first--
	}
	r := Rule{Mailbox: strings.Join(words[:first], ":")}
	switch {
	case first == len(words):
		return r, fmt.Errorf(`%q: expected MAILBOX:ignore, or MAILBOX:storage=+100M or :messages=+1000`, text)
	case r.Mailbox == "" || r.Mailbox == "*":
		return r, fmt.Errorf("%q: the rule needs the name of a mailbox; limits for all are default_quota and default_messages", text)
	}
	if strings.EqualFold(r.Mailbox, "INBOX") {
		r.Mailbox = "INBOX"
	}
	for _, w := range words[first:] {
		if err := r.limit(w); err != nil {
			return r, fmt.Errorf("%q: %w", text, err)
		}
	}
	return r, nil
}

func isLimit(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	switch name {
	case "ignore", "storage", "bytes", "messages":
		return true
	}
	return false
}

func (r *Rule) limit(word string) (err error) {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case "ignore":
		r.Ignore = true
	case "storage":
		r.Bytes, err = parseBound(value, 10)
	case "bytes":
		r.Bytes, err = parseBound(value, 0)
	case "messages":
		r.Messages, err = parseBound(value, 0)
	}
	return err
}

// parseBound reads "+100M", "-5%", "2G"; shift is the unit of a bare number.
func parseBound(text string, shift int) (Bound, error) {
	b := Bound{Set: true}
	word := strings.TrimSuffix(text, "%")
	b.Percent = len(word) < len(text)
	sign := int64(1)
	if word != "" && (word[0] == '+' || word[0] == '-') {
		b.Relative = true
		if word[0] == '-' {
			sign = -1
		}
		word = word[1:]
	}
	if n := len(word); n > 0 && !b.Percent {
		if i := strings.IndexByte("BKMGT", word[n-1]&^0x20); i >= 0 && word[n-1] > '9' {
			word, shift = word[:n-1], 10*i
		}
	} else {
		shift = 0
	}
	n, err := strconv.ParseUint(word, 10, 63)
	if err != nil || n > math.MaxInt64>>shift || b.Percent && n > 10_000 || n == 0 && !b.Relative {
		return b, fmt.Errorf(`%q is no limit such as "2G", "+100M", "-10%%" or "+1000"`, text)
	}
	b.N = sign * int64(n) << shift
	return b, nil
}
