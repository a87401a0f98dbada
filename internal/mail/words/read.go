package words

import (
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// filesMost is how many files count.
const filesMost = 20

// Read makes the tokens of a letter; h is its header. What an eye does not see gives no
// words.
func Read(l *content.Letter, h message.Header) *Tokens {
	r := newReader(maxWords)
	r.subject = true
	r.text(l.Subject)
	r.subject = false
	r.text(l.Text)
	for i := range min(len(l.Files), filesMost) {
		r.text(l.Files[i].Name)
	}
	s := newShaper(maxShape)
	s.header(h)
	s.structure(l, h)
	s.links(l)
	s.files(l)
	s.proportions(l)
	return &Tokens{Words: *r.view, Shape: *s.view}
}
