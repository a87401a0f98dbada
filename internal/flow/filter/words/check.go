package words

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
	"facteur/internal/mail/words"
	"facteur/internal/store/lexicon"
)

const (
	// A view adds scoreMost to the score at most; its form alone untaughtMost, as long as nothing
	// was learnt: what an honest letter looks like in a language that nobody here has written
	// yet, the prior does not know.
	scoreMost, untaughtMost = 4.5, 2
	// audible is the score from which an opinion is told.
	audible = 0.1
	// accountsMost is how many accounts are asked what they have learnt, of one letter.
	accountsMost = 20
	// wordMost is how many characters of a word are told.
	wordMost = 40
)

// Learnt is what the server and its accounts have learnt. Layer gives what an owner has,
// lexicon.Server for the server; it may be nil: nothing was learnt.
type Learnt struct {
	Prior *words.Prior
	Layer func(owner string) words.Layer
}

// Checks are those of all views. What speaks for a letter counts less than what speaks
// against it, as who means ill chooses it: words are chosen with some trouble, and a plain
// shape with none.
func Checks(l Learnt) []filter.Check {
	return []filter.Check{
		&check{"words", "What it says", -2, scoreMost, func(c *content.Letter, _ message.Header) *words.View { return words.ReadWords(c) }, l},
		&check{"heading", "What its header says", -2.5, scoreMost, func(_ *content.Letter, h message.Header) *words.View { return words.ReadHeading(h) }, l},
		&check{"shape", "How it is made", -0.5, untaughtMost, words.ReadShape, l},
	}
}

// Known are the remarks of all of them.
func Known() (out []filter.Known) {
	for _, c := range Checks(Learnt{}) {
		out = append(out, filter.Known{Check: c.Name(), Name: c.Name()}, filter.Known{Check: c.Name(), Name: c.Name() + ofAccount})
	}
	return out
}

// ofAccount is behind the names of remarks by what an account has learnt itself.
const ofAccount = "_own"

// check judges one view.
type check struct {
	name, what string
	least      float64 // the lowest score
	untaught   float64 // the highest, when nothing was learnt
	read       func(*content.Letter, message.Header) *words.View
	learnt     Learnt
}

// Name implements filter.Check.
func (c *check) Name() string { return c.name }

// At implements filter.Check.
func (*check) At() filter.Stage { return filter.End }

// Quick implements filter.Quick.
func (*check) Quick() {}

// Examine implements filter.Check.
func (c *check) Examine(_ context.Context, l *filter.Letter) []filter.Remark {
	body := l.Content()
	if body == nil {
		return nil
	}
	return c.remarks(c.read(body, l.Header), l)
}

// remarks judges a view for all, and then for each account that has learnt something.
func (c *check) remarks(v *words.View, l *filter.Letter) []filter.Remark {
	server := c.learnt.layer(lexicon.Server)
	common := words.Judge(v, c.learnt.Prior, server)
	var out []filter.Remark
	if s := c.score(common); s >= audible || s <= -audible {
		out = append(out, filter.Remark{Check: c.name, Name: c.name, Score: s, Sentence: c.what + tell(common, "")})
	}
	for _, account := range accounts(l) {
		own := c.learnt.layer(account)
		if own.Spam+own.Ham == 0 {
			continue
		}
		o := words.Judge(v, c.learnt.Prior, server, own)
		if s := c.score(o) - c.score(common); s >= audible || s <= -audible {
			out = append(out, filter.Remark{Check: c.name, Name: c.name + ofAccount, Of: account, Score: s, Sentence: "By what this account has learnt, " + strings.ToLower(c.what[:1]) + c.what[1:] + tell(o, change(o.Odds, s))})
		}
	}
	return out
}

func (n *Learnt) layer(owner string) words.Layer {
	if n.Layer == nil {
		return words.Layer{}
	}
	return n.Layer(owner)
}

// accounts are those that get the letter, each once.
func accounts(l *filter.Letter) []string {
	var out []string
	seen := map[string]bool{"": true}
	for i := range l.Recipients {
		if a := l.Recipients[i].Account; !seen[a] && len(out) < accountsMost {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
}

// score makes points of odds, to a tenth.
func (c *check) score(o words.Opinion) float64 {
	most := c.untaught + (scoreMost-c.untaught)*o.Learnt
	s := max(c.least, min(most, o.Odds))
	return float64(int(s*10)) / 10
}

// change says how an opinion is another than everybody's, which differs by some points.
func change(odds, points float64) string {
	if (odds < 0) == (points < 0) {
		return "more "
	}
	return "less "
}

// tell says what an opinion is, with the words that spoke most for it.
func tell(o words.Opinion, degree string) string {
	side := "like spam"
	if o.Odds < 0 {
		side = "like wanted mail"
	}
	var b strings.Builder
	fmt.Fprintf(&b, " speaks %s%s", degree, side)
	for i, w := range o.Words {
		if i == 0 {
			b.WriteString(":")
		} else {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, " %s %+.1f", encode(w.Text), w.Weight)
	}
	b.WriteString(".")
	return b.String()
}

// encode writes a stranger's word for a line of a log.
func encode(word string) string {
	if r := []rune(word); len(r) > wordMost {
		word = string(r[:wordMost]) + "…"
	}
	return strconv.Quote(word)
}
