package content

import (
	"facteur/internal/mail/message"
)

// otherwise looks at other readings of the letter.
func (rd *reader) otherwise(root *message.Part) {}

// decodings looks at other readings of a part's transfer encoding.
func (rd *reader) decodings(n node) {}
