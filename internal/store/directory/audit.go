package directory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/password"
)

// Review is what an audit says of one account.
type Review struct {
	Address string `json:"address"`
	Source  string `json:"source,omitempty"`
	// LastLogin is zero for never.
	LastLogin time.Time `json:"last_login,omitzero"`
	Findings  []Finding `json:"findings"`
}

// Finding is one thing that somebody should look at.
type Finding struct {
	// Kind is "unused", "guessable", "tempting", "weak scheme", "unknown scheme",
	// "kept elsewhere" or "unclear".
	Kind string `json:"kind"`
	Text string `json:"text"` // for people
}

// Auditing says what is looked for.
type Auditing struct {
	// Unused is the time without a log-in after which an account counts as forgotten.
	Unused time.Duration `json:"unused"`
	// Passwords: the stored passwords are tried with what guessers try first, which
	// takes a second for each account.
	Passwords bool `json:"passwords"`
}

// tempting are names that guessers try first.
var tempting = []string{"guest", "test", "demo", "user", "info", "admin", "administrator", "mail", "office", "scan", "scanner", "printer",
	"backup", "ftp", "www", "oracle", "postgres", "mysql", "nagios", "support", "temp"}

// common are passwords that guessers try for every name.
var common = []string{"password", "123456", "12345678", "qwerty", "secret", "changeme", "welcome", "guest", "letmein", "mail", "test"}

// guesses are the passwords that guessers try first for an account.
func guesses(a address.Address, year int) []string {
	name := strings.ToLower(a.Local)
	host, _, _ := strings.Cut(a.Domain, ".")
	title := name
	if name != "" {
		title = strings.ToUpper(name[:1]) + name[1:]
	}
	out := []string{name, title, name + "1", name + "123", name + "1234", host, host + "123"}
	for _, y := range []int{year, year - 1} {
		out = append(out, name+strconv.Itoa(y), title+strconv.Itoa(y))
	}
	return append(out, common...)
}

// Audit reviews all accounts, and calls each for those that there is something to say of.
func (d *Directory) Audit(ctx context.Context, how Auditing, each func(Review) error) error {
	if err := d.sweepAbsent(ctx, time.Now()); err != nil {
		return err
	}
	seen, err := d.LastLogins(ctx)
	if err != nil {
		return err
	}
	made, err := d.created(ctx)
	if err != nil {
		return err
	}
	review := func(a Account) error {
		r := Review{Address: a.Address, Source: a.Source, LastLogin: seen[keyOf(a.Address)]}
		if f, ok := unused(r.LastLogin, made[keyOf(a.Address)], time.Now(), how.Unused); ok {
			r.Findings = append(r.Findings, f)
		}
		more, err := d.reviewLogin(ctx, a, how)
		if err != nil {
			return err
		}
		if r.Findings = append(r.Findings, more...); len(r.Findings) == 0 {
			return nil
		}
		return each(r)
	}
	own, err := d.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range own {
		if err := review(a); err != nil {
			return err
		}
	}
	return d.Elsewhere(ctx, own, review)
}

// created is when our own accounts were made.
func (d *Directory) created(ctx context.Context) (map[string]time.Time, error) {
	rows, err := d.db.Reader().QueryContext(ctx, `SELECT key, created FROM account`)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	out := make(map[string]time.Time)
	for rows.Next() {
		var key string
		var when int64
		if err := rows.Scan(&key, &when); err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		out[key] = time.Unix(when, 0)
	}
	return out, rows.Err()
}

// unused tells accounts that nobody uses. Of one that is new, nothing is said yet.
func unused(last, made, now time.Time, life time.Duration) (Finding, bool) {
	switch {
	case life <= 0:
		return Finding{}, false
	case last.IsZero() && now.Sub(made) > life:
		return Finding{"unused", "nobody has ever logged in"}, true
	case !last.IsZero() && now.Sub(last) > life:
		return Finding{"unused", fmt.Sprintf("nobody has logged in for %d days", int(now.Sub(last)/(24*time.Hour)))}, true
	}
	return Finding{}, false
}

// reviewLogin looks at how somebody gets in.
func (d *Directory) reviewLogin(ctx context.Context, a Account, how Auditing) (list []Finding, err error) {
	at, err := address.Parse(a.Address)
	if err != nil {
		return nil, nil
	}
	if slices.Contains(tempting, strings.ToLower(at.Local)) && !a.Disabled {
		list = append(list, Finding{"tempting", "guessers try this name first; it needs a good password, or to be disabled"})
	}
	r, err := d.candidate(ctx, a.Address)
	if err != nil {
		return append(list, Finding{"unclear", "its directory can not be asked: " + err.Error()}), nil
	}
	if a.Source != "" {
		list = append(list, Finding{"kept elsewhere", "only the directory " + a.Source + " knows it"})
	}
	if r.password == "" || a.Disabled {
		return list, nil
	}
	stored, err := password.Parse(r.password, "")
	if err != nil {
		return append(list, Finding{"unknown scheme", err.Error()}), nil
	}
	if stored.Weak() != "" {
		list = append(list, Finding{"weak scheme", stored.Scheme() + ": " + stored.Weak()})
	}
	if how.Passwords {
		guessed, err := d.guessed(ctx, at, stored)
		if err != nil {
			return nil, err
		}
		if guessed {
			list = append(list, Finding{"guessable", "its password is among the first that guessers try"})
		}
	}
	return list, nil
}

// guessed tries what guessers try, in the line of all who log in.
func (d *Directory) guessed(ctx context.Context, a address.Address, stored password.Stored) (bool, error) {
	for _, guess := range guesses(a, time.Now().Year()) {
		leave, err := d.hasher.enter(ctx)
		if err != nil {
			return false, err
		}
		ok := stored.Matches(guess)
		leave()
		if ok {
			return true, nil
		}
	}
	return false, nil
}

// Trial is what came of a log-in that an admin tried.
type Trial struct {
	// Result is "ok", "wrong" or "later".
	Result string `json:"result"`
	// Why is the reason, for the admin alone: whoever logs in learns less.
	Why string `json:"why,omitempty"`
	// Account is the one that the name means, "" for none, and Source the directory
	// that keeps it, "" for our own tables.
	Account string `json:"account,omitempty"`
	Source  string `json:"source,omitempty"`
	// Scheme is how the password is kept, or who is asked; Weak what is wrong with that.
	Scheme string `json:"scheme,omitempty"`
	Weak   string `json:"weak,omitempty"`
	// App is the name of the app password that it was.
	App string `json:"app,omitempty"`
}

// Try logs in as anybody would, and tells more.
func (d *Directory) Try(ctx context.Context, service, login, secret string) Trial {
	r, err := d.candidate(ctx, login)
	if err != nil {
		return Trial{Result: "later", Why: err.Error()}
	}
	t := Trial{Result: "wrong", Source: r.Source, Account: r.Address}
	t.Scheme, t.Weak = r.keeping()
	if t.App, _, err = d.byApp(ctx, r.key, service, secret); err != nil {
		return Trial{Result: "later", Why: err.Error()}
	}
	switch a := d.AuthenticateAt(ctx, service, login, secret); {
	case a.State() == lookup.Found:
		t.Result = "ok"
	case a.State() == lookup.TryAgain:
		t.Result, t.Why = "later", a.Err().Error()
	case r.key == "":
		t.Why = "there is no such account"
	case r.Disabled:
		t.Why = "the account is disabled, or the password is wrong"
	case t.App != "":
		t.Why = "the app password is not for this service"
	default:
		t.Why = "the password is wrong"
	}
	return t
}

// keeping is how the password of an account is kept.
func (r row) keeping() (scheme, weak string) {
	switch {
	case r.key == "":
		return "", ""
	case r.place != nil && r.place.Check != nil:
		return "another service is asked", ""
	case r.password == "":
		return "none", ""
	}
	s, err := password.Parse(r.password, "")
	if err != nil {
		return "unknown", err.Error()
	}
	return s.Scheme(), s.Weak()
}
