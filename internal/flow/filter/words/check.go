package words

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/words"
	"facteur/internal/store/lexicon"
)

const (
	// A view adds scoreMost to the score at most, and takes scoreLeast: to speak for a
	// letter is easier for who means ill, as he chooses its words.
	scoreMost, scoreLeast = 4.5, -2.5
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

// Words is the check of what a letter says.
type Words struct{ learnt Learnt }

// NewWords makes the check.
func NewWords(l Learnt) *Words { return &Words{l} }

// Name implements filter.Check.
func (*Words) Name() string { return "words" }

// At implements filter.Check.
func (*Words) At() filter.Stage { return filter.End }

// Quick implements filter.Quick.
func (*Words) Quick() {}

// Examine implements filter.Check.
func (w *Words) Examine(_ context.Context, l *filter.Letter) []filter.Remark {
	c := l.Content()
	if c == nil {
		return nil
	}
	return w.learnt.remarks("words", "What it says", words.ReadWords(c), l)
}

// Shape is the check of how a letter is made.
type Shape struct{ learnt Learnt }

// NewShape makes the check.
func NewShape(l Learnt) *Shape { return &Shape{l} }

// Name implements filter.Check.
func (*Shape) Name() string { return "shape" }

// At implements filter.Check.
func (*Shape) At() filter.Stage { return filter.End }

// Quick implements filter.Quick.
func (*Shape) Quick() {}

// Examine implements filter.Check.
func (s *Shape) Examine(_ context.Context, l *filter.Letter) []filter.Remark {
	c := l.Content()
	if c == nil {
		return nil
	}
	return s.learnt.remarks("shape", "How it is made", words.ReadShape(c, l.Header), l)
}

// remarks judges a view for all, and then for each account that has learnt something.
func (n *Learnt) remarks(check, what string, v *words.View, l *filter.Letter) []filter.Remark {
	server := n.layer(lexicon.Server)
	common := words.Judge(v, n.Prior, server)
	var out []filter.Remark
	if s := score(common.Odds); s >= audible || s <= -audible {
		out = append(out, filter.Remark{Check: check, Name: check, Score: s, Sentence: what + tell(common)})
	}
	for _, account := range accounts(l) {
		own := n.layer(account)
		if own.Spam+own.Ham == 0 {
			continue
		}
		o := words.Judge(v, n.Prior, server, own)
		if s := score(o.Odds) - score(common.Odds); s >= audible || s <= -audible {
			out = append(out, filter.Remark{Check: check, Name: check + "_own", Of: account, Score: s, Sentence: "By what this account has learnt, " + strings.ToLower(what[:1]) + what[1:] + tell(o)})
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
func score(odds float64) float64 {
	s := max(scoreLeast, min(scoreMost, odds))
	return float64(int(s*10)) / 10
}

// tell says what an opinion is, with the words that spoke most for it.
func tell(o words.Opinion) string {
	side := "speaks like spam"
	if o.Odds < 0 {
		side = "speaks like wanted mail"
	}
	var b strings.Builder
	fmt.Fprintf(&b, " %s", side)
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
