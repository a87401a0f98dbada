package advice

import (
	"slices"

	"facteur/internal/flow/intake"
)

// Scope is whose mail a program is asked about.
type Scope struct {
	// Services are the names of doors: "smtp", "submission", "submissions", "lmtp".
	Services []string
	// Local: mail of this machine's own programs as well (the sendmail command).
	Local bool
}

// covers tells whether a peer is in the scope.
func (s Scope) covers(p *intake.Peer) bool {
	if p.User != nil {
		return s.Local
	}
	return slices.Contains(s.Services, p.Service)
}
