package words

import (
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// Read makes the tokens of a letter. root is its structure; nil: nothing is told of it.
func Read(l *content.Letter, h message.Header, root *message.Part) *Tokens {
	r := newReader(maxWords)
	r.subject = true
	r.text(l.Subject)
	r.subject = false
	if l.Text != "" {
		r.text(l.Text)
	}
	for i := range min(len(l.Files), 20) {
		r.text(l.Files[i].Name)
	}
	s := newShaper(maxShape)
	s.header(h)
	if root != nil {
		s.structure(root, 0)
	}
	s.links(l)
	s.files(l)
	s.proportions(l)
	return &Tokens{Words: *r.view, Shape: *s.view}
}
