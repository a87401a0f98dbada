package words

import (
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// filesMost is how many files count.
const filesMost = 20

// Read makes the tokens of a letter; h is its header.
func Read(l *content.Letter, h message.Header) *Tokens {
	return &Tokens{Words: *ReadWords(l), Heading: *ReadHeading(h), Shape: *ReadShape(l, h)}
}

// ReadWords makes those of what it says. What an eye does not see gives none.
func ReadWords(l *content.Letter) *View {
	r := newReader(maxWords, min(len(l.Text), wholeText))
	r.text(l.Text)
	for i := range min(len(l.Files), filesMost) {
		r.text(l.Files[i].Name)
	}
	return r.view
}

// ReadHeading makes those of what its header says: who wrote it, to whom, on which way, and
// the words of its subject, which speak here alone.
func ReadHeading(h message.Header) *View {
	s := newShaper(maxHeading)
	s.header(h)
	return s.view
}

// ReadShape makes those of how its body is made.
func ReadShape(l *content.Letter, h message.Header) *View {
	s := newShaper(maxShape)
	s.structure(l, h)
	s.links(l, h)
	s.files(l)
	s.proportions(l)
	return s.view
}
