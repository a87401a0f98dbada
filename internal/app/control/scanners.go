package control

import (
	"context"

	"facteur/internal/flow/filter/scanner"
)

// Scanners is how the scanners of the running server fare.
type Scanners struct {
	// Closed: no server runs that shows them letters.
	Closed   bool             `json:"closed,omitempty"`
	Scanners []scanner.Status `json:"scanners"`
}

// Scanning says who shows letters to scanners; it is for the server.
func (s *Stores) Scanning(all *scanner.Scanners) { s.scanners = all }

// Scanners implements Office.
func (s *Stores) Scanners(ctx context.Context) (Scanners, error) {
	if s.scanners == nil {
		return Scanners{Closed: true}, nil
	}
	return Scanners{Scanners: s.scanners.Asked(ctx)}, nil
}

// Scanners implements Office.
func (c *client) Scanners(ctx context.Context) (answer Scanners, err error) {
	err = c.call(ctx, "/filter/scanners", struct{}{}, &answer)
	return answer, err
}
