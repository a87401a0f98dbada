package directory

import (
	"context"
	"sync/atomic"
	"time"

	"facteur/internal/base/lookup"
)

// checkTime is how long a Checker may take.
const checkTime = 10 * time.Second

// likeness is the form of a password of a place: what strangers are compared with, so
// that their log-ins cost as much as others there.
type likeness struct{ form atomic.Pointer[string] }

func (l *likeness) learn(stored string) {
	if old := l.form.Load(); old == nil || *old != stored {
		l.form.Store(&stored)
	}
}

// lineOf is where a log-in waits for its turn.
func (d *Directory) lineOf(r row) *hasher {
	if r.place != nil && r.place.Check != nil {
		return r.place.line
	}
	return d.hasher
}

// check compares a password, or asks who can. Whatever it finds, also that there is no
// such account, costs the same at the same place.
func (d *Directory) check(ctx context.Context, r row, password string) (bool, error) {
	switch {
	case r.place == nil && r.key == "":
		_, err := makeHash(password)
		return false, err
	case r.place == nil:
		return Verify(r.password, password)
	case r.place.Check != nil:
		return r.checkElsewhere(ctx, password)
	case r.key == "":
		return false, r.place.pretend(password)
	}
	r.place.likeness.learn(r.password)
	if password == "" || r.password == "" {
		return false, r.place.pretend(password)
	}
	return Verify(r.password, password)
}

// pretend compares with a password of the place that is not the stranger's.
func (p *place) pretend(password string) error {
	form := p.likeness.form.Load()
	if form == nil || *form == "" {
		_, err := makeHash(password)
		return err
	}
	Verify(*form, password) //nolint:errcheck // for its cost only
	return nil
}

// nobodyHere is the name under which other services are asked about strangers. Under his
// own, whoever guesses here would guess there, at people who have no mail: the time of the
// answer would tell him, and PAM might lock them out.
const nobodyHere = "facteur-nobody"

// checkElsewhere asks the Checker of the place.
func (r row) checkElsewhere(ctx context.Context, password string) (bool, error) {
	if password == "" {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if r.key == "" {
		r.record.Address.Local = nobodyHere
	}
	answer := r.place.Check(ctx, r.record, password)
	if answer.State() == lookup.TryAgain {
		return false, answer.Err()
	}
	return answer.State() == lookup.Found && r.key != "", nil
}

// remembers tells whether a wrong password is known to be wrong the next time too: not
// where somebody else may have changed it meanwhile.
func (r row) remembers() bool { return r.place == nil || r.place.Check == nil && r.password != "" }
