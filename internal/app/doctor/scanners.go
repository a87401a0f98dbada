package doctor

import (
	"context"

	"facteur/internal/flow/filter/scanner"
)

// checkScanners asks the programs that letters are shown to besides whether they are there
// (row 180).
func checkScanners(ctx context.Context, w *World, r *report) {
	if len(w.Config.Scanners) == 0 {
		return
	}
	all, err := w.Scanners(ctx)
	if err != nil {
		r.untold("whether the scanners answer", err)
		return
	}
	for _, s := range all {
		r.scanner(s)
	}
}

func (r *report) scanner(s scanner.Status) {
	switch {
	case s.State == scanner.Working:
		r.about(s.Name, OK, "The scanner %s answers at %s.", s.Name, s.Socket)
	case s.WhenDown == scanner.Defer && !s.TestOnly:
		r.about(s.Name, Failure, "The scanner %s at %s does not work: %s.", s.Name, s.Socket, s.Why).
			because("Until it does, other servers have to come again with their letters.").
			do("facteur filter scanners", "# or, so that letters go on without it, in its [[scanner]] of facteur.toml:", `when_down = "pass"`)
	default:
		r.about(s.Name, Warning, "The scanner %s at %s does not work: %s.", s.Name, s.Socket, s.Why).
			because("Letters go on without it, and what it would have found is missing.").do("facteur filter scanners")
	}
}
