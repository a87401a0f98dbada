package advice

import (
	"slices"

	"facteur/internal/flow/intake"
)

// Scope is whose mail a program is asked about: the names of doors, "smtp",
// "submission" (which is "submissions" too), "lmtp", and "local" for programs of
// this machine.
type Scope struct{ Services []string }

// covers tells whether a peer is in the scope.
func (s Scope) covers(p *intake.Peer) bool {
	service := p.Service
	if service == "submissions" {
		service = "submission"
	}
	return slices.Contains(s.Services, service)
}
