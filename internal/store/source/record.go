package source

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
)

// fields are what is known of an account, by the names of the package's comment. What
// is not there is not said; "active" is there, if only without a value, when it was asked for.
type fields map[string][]string

func (f fields) one(name string) string {
	if v := f[name]; len(v) > 0 {
		return strings.TrimSpace(v[0])
	}
	return ""
}

// record reads the fields. What can't be understood is an error, and no account is
// made of the rest.
func (f fields) record() (r directory.Record, err error) {
	if text := f.one("address"); text != "" {
		if r.Address, err = address.Parse(text); err != nil {
			return r, fmt.Errorf("the address %q: %w", text, err)
		}
	}
	r.Password, r.Home, r.Maildir, r.Host = f.one("password"), f.one("home"), f.one("maildir"), strings.TrimSuffix(f.one("host"), ".")
	if r.Own, err = allowance(f.one("quota")); err != nil {
		return r, err
	}
	if r.Unix, err = f.unix(); err != nil {
		return r, err
	}
	for _, text := range f["forward"] {
		for part := range strings.SplitSeq(text, ",") {
			a, err := address.Parse(strings.TrimSpace(part))
			if err != nil {
				return r, fmt.Errorf("it forwards to %q: %w", part, err)
			}
			r.Forward = append(r.Forward, a)
		}
	}
	if f.has("allow_nets") {
		if r.Nets, err = directory.ParseNets(f.one("allow_nets")); err != nil {
			return r, err
		}
	}
	r.Disabled = f.disabled()
	return r, nil
}

func (f fields) has(name string) bool { return f.one(name) != "" }

// disabled tells that it may not log in. Only what surely says that it may counts for
// that: a word that nobody knows, or the time at which somebody locked it, does not.
func (f fields) disabled() bool {
	active, asked := f["active"]
	switch {
	case slices.ContainsFunc(f["disabled"], func(v string) bool { return strings.TrimSpace(v) != "" && !no(v) }):
		return true
	case asked && (!f.has("active") || slices.ContainsFunc(active, func(v string) bool { return !yes(v) })):
		return true
	}
	return f.has("nologin")
}

// yes and no read what databases and directories write for them. The last words are those
// of MariaDB for a BIT.
func yes(s string) bool {
	return slices.Contains([]string{"1", "y", "yes", "t", "true", "on", "\x01"}, strings.ToLower(strings.TrimSpace(s)))
}

func no(s string) bool {
	return slices.Contains([]string{"0", "n", "no", "f", "false", "off", "\x00"}, strings.ToLower(strings.TrimSpace(s)))
}

// unix is the user that the letters belong to; nil if that is not said.
func (f fields) unix() (*directory.Unix, error) {
	if !f.has("uid") {
		return nil, nil
	}
	uid, err1 := strconv.ParseUint(f.one("uid"), 10, 32)
	gid, err2 := strconv.ParseUint(f.one("gid"), 10, 32)
	if err1 != nil || err2 != nil || uid > math.MaxInt32 || gid > math.MaxInt32 {
		return nil, fmt.Errorf("expected the numbers of a user and a group, found %q and %q", f.one("uid"), f.one("gid"))
	}
	return &directory.Unix{Name: f.one("name"), UID: uint32(uid), GID: uint32(gid), Home: f.one("home")}, nil
}

// allowance reads a quota: bytes, "5G", or Dovecot's "*:storage=5G", "*:bytes=5000" and
// "*:messages=1000", several with commas between. 0, as elsewhere, says no limit.
func allowance(text string) (w directory.Allowance, err error) {
	if text == "" {
		return w, nil
	}
	rules, dovecot := strings.CutPrefix(text, "*:")
	if !dovecot {
		w.Bytes, err = limit(text, "bytes")
		return w, err
	}
	for rule := range strings.SplitSeq(strings.TrimPrefix(rules, ":"), ":") {
		name, value, _ := strings.Cut(rule, "=")
		switch name {
		case "storage", "bytes":
			w.Bytes, err = limit(value, name)
		case "messages":
			w.Messages, err = limit(value, name)
		case "ignore":
			w.Bytes, w.Messages = directory.Unlimited, directory.Unlimited
		default:
			err = fmt.Errorf("the quota %q can't be understood", text)
		}
		if err != nil {
			return w, err
		}
	}
	return w, nil
}

// limit is one number. Dovecot's "storage" counts in KiB where no unit is named.
func limit(text, what string) (int64, error) {
	text, unit := strings.CutSuffix(strings.ToUpper(strings.TrimSpace(text)), "B")
	if what == "storage" && !unit && text != "" && text[len(text)-1] <= '9' {
		text += "K"
	}
	var n conf.Size
	if err := n.UnmarshalText([]byte(text)); err != nil || n < 0 {
		return 0, fmt.Errorf("the quota %q can't be understood", text)
	}
	if n == 0 {
		return directory.Unlimited, nil
	}
	return int64(n), nil
}

// parts are those of an address that queries ask for.
func parts(a address.Address) func(letter byte) string {
	folded, err := address.Parse(a.Key())
	if err != nil {
		folded = a
	}
	return func(letter byte) string {
		switch letter {
		case 'n':
			return folded.Local
		case 'd':
			return folded.Domain
		}
		return folded.String()
	}
}

// letters of queries: the address, its local part, its domain.
const letters = "und"

// login finds an account by a log-in name. Where that is a question of its own (two), its
// answer has the password and maybe no more; the account is what mail for it finds.
func login(a address.Address, two bool, find func(byLogin bool, a address.Address) lookup.Answer[directory.Record]) lookup.Answer[directory.Record] {
	who := find(true, a)
	if !two || who.State() != lookup.Found {
		return who
	}
	account := find(false, who.Value().Address)
	if account.State() != lookup.Found {
		return account
	}
	r := account.Value()
	if who.Value().Password != "" {
		r.Password = who.Value().Password
	}
	r.Disabled = r.Disabled || who.Value().Disabled
	if who.Value().Nets != nil {
		r.Nets = who.Value().Nets
	}
	return lookup.Yes(r)
}
