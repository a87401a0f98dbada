// Package content looks at what is in a letter.
package content

import (
	"io"

	"facteur/internal/mail/message"
)

// Limits bound it.
type Limits struct{}

// Letter is what is in it.
type Letter struct{ Subject, Text string }

// Read reads.
func Read(r io.ReaderAt, root *message.Part, h message.Header, lim Limits) *Letter {
	l := &Letter{Subject: h.Get("Subject")}
	b, _ := io.ReadAll(root.Text(r))
	l.Text = string(b)
	return l
}
