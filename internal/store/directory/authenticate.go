package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/sasl"
)

// Authenticate checks a login name (the full address of an account) and its
// password. NotFound is the answer to every wrong pair, with one and the same
// reason; TryAgain means that nobody knows: the database failed, or too many
// others are logging in (454 4.7.0, NO [UNAVAILABLE]).
func (d *Directory) Authenticate(ctx context.Context, login, password string) lookup.Answer[Account] {
	return d.AuthenticateAt(ctx, "", login, password)
}

// AuthenticateAt is Authenticate at a service ("imap", "pop3", "smtp"), where app
// passwords may count, too.
func (d *Directory) AuthenticateAt(ctx context.Context, service, login, written string) lookup.Answer[Account] {
	who := d.LoginName(login)
	for {
		row, err := d.candidate(ctx, login)
		if err != nil {
			return lookup.Later[Account](err)
		}
		password := written // others made their hashes of the octets as they came
		if row.place == nil && (row.key == "" || row.ours()) {
			password = sasl.Prep(written)
		}
		if name, ok, err := d.byApp(ctx, row.key, service, written); err != nil {
			return lookup.Later[Account](err)
		} else if ok {
			return d.admit(row, name)
		}
		switch d.proofs.recall(who, row.proof(), password) {
		case right:
			return d.admit(row, "")
		case wrong:
			return lookup.No[Account](errAuth)
		}
		mine, other := d.shared.begin(d.proofs.mac(who, row.proof(), password))
		if mine != nil {
			defer mine()
			return d.queueUp(ctx, who, row, password)
		}
		// A mail program opens several connections at once. What the first of them
		// finds out is known to the others; if it finds out nothing, the next one asks.
		select {
		case <-other:
		case <-ctx.Done():
			return lookup.Later[Account](ctx.Err())
		}
	}
}

// queueUp waits in the line before the hash.
func (d *Directory) queueUp(ctx context.Context, who string, r row, password string) lookup.Answer[Account] {
	leave, err := d.lineOf(r).enter(ctx)
	if err != nil {
		return lookup.Later[Account](err)
	}
	defer leave()
	return d.prove(ctx, who, r, password)
}

// keyOf is a login name in the form that is compared. One that is no address is
// nobody's, and stays as it is.
func keyOf(login string) string {
	a, err := address.Parse(login)
	if err != nil {
		return login
	}
	return a.Key()
}

// candidate is the account that login names, or a row without a key: strangers take
// the same way as everybody.
func (d *Directory) candidate(ctx context.Context, login string) (row, error) {
	if a, err := address.Parse(login); err == nil {
		if r, found, err := d.ownLogin(ctx, a, login); found || err != nil {
			return r, err
		}
	}
	return d.loginElsewhere(ctx, login)
}

// ownLogin is the account of our own tables that an address means.
func (d *Directory) ownLogin(ctx context.Context, a address.Address, login string) (r row, found bool, err error) {
	r, err = d.row(ctx, a.Key())
	switch {
	case err == nil:
		r.login = login
		return r, true, nil
	case errors.Is(err, sql.ErrNoRows):
		return row{}, false, nil
	}
	return row{}, false, fmt.Errorf("directory: %w", err)
}

// prove costs one hash, or one question to who checks passwords, whatever it finds.
func (d *Directory) prove(ctx context.Context, who string, r row, password string) lookup.Answer[Account] {
	if len(password) > maxPassword {
		// Nobody has such a password; the time of a look must not tell who exists.
		r, password = row{place: r.place, record: Record{Address: r.record.Address}}, password[:maxPassword]
	}
	// While this one waited in the line, another log-in may have proved the same.
	if d.proofs.recall(who, r.proof(), password) != right {
		ok, err := d.check(ctx, r, password)
		if err != nil {
			return lookup.Later[Account](err)
		}
		if !ok {
			if r.remembers() {
				d.proofs.refuse(who, r.proof(), password)
			}
			return lookup.No[Account](errAuth)
		}
		r = d.complete(ctx, r, password)
		d.proofs.add(who, r.proof(), password)
	}
	return d.Admit(ctx, r.holder()) // the line may be long, and much may change meanwhile
}

// admit turns away the disabled only after the password was right, so that
// guessing passwords does not tell who is disabled.
// app is the name of the app password that it was, or "".
func (d *Directory) admit(r row, app string) lookup.Answer[Account] {
	if r.key == "" || r.Disabled || app != "" && d.suspends(r.key) {
		return lookup.No[Account](errAuth)
	}
	d.seen.note(r.key, app, time.Now())
	if r.place != nil {
		d.logins.put(r.key, r.login, d.logins.mark())
	}
	return lookup.Yes(r.Account)
}

// proof is what a password was proved against: the stored hash, or whom another vouched
// for, which may be several with one log-in name, each in a place.
func (r row) proof() string {
	if r.place == nil {
		return r.password
	}
	return r.place.Name + "\x00" + r.key + "\x00" + r.password
}
