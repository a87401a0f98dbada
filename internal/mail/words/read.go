package words

import (
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// filesMost is how many files count.
const filesMost = 20

// Read makes the tokens of a letter; h is its header.
func Read(l *content.Letter, h message.Header) *Tokens {
	return &Tokens{Words: *ReadWords(l), Shape: *ReadShape(l, h)}
}

// ReadWords makes those of what it says. What an eye does not see gives none.
func ReadWords(l *content.Letter) *View {
	r := newReader(maxWords, min(len(l.Text), wholeText)+len(l.Subject))
	r.text(l.Subject)
	r.text(l.Text)
	for i := range min(len(l.Files), filesMost) {
		r.text(l.Files[i].Name)
	}
	return r.view
}

// ReadShape makes those of how it is made.
func ReadShape(l *content.Letter, h message.Header) *View {
	s := newShaper(maxShape)
	s.header(h)
	s.structure(l, h)
	s.links(l, h)
	s.files(l)
	s.proportions(l)
	return s.view
}
