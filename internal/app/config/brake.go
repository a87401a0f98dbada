package config

import (
	"errors"
	"fmt"
	"os"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/flow/brake"
	"facteur/internal/mail/address"
	kept "facteur/internal/store/brake"
)

// Brake stops an account whose password was stolen: what it sends from then on is held, and
// owner and postmaster are told. Limits stand in [submission] and in [[quota_rule]]; here is
// what else speaks for it, and what happens then. See docs/BRAKE.md.
type Brake struct {
	// Only tell in log and journey who would be braked for his signs. Limits hold all the
	// same.
	TestOnly bool `toml:"test_only"`
	// At how many points an account is braked. New recipients, their domains and one text
	// to all of them give 7 together, as an honest circular has them; other signs have to
	// come to that.
	Level Points `toml:"level"`
	// How many recipients to whom the account never wrote give all of their 3 points,
	// within an hour, as that of the others.
	FirstTime int `toml:"first_time"`
	// The same for the domains in which these are: 2 points.
	FirstTimeDomains int `toml:"first_time_domains"`
	// The same for recipients who get one and the same text: 2 points.
	SameText int `toml:"same_text"`
	// From how many networks (/24; /48 of IPv6) an account is used when that gives all of
	// its 4 points; up to three are usual and give none. To be in two countries gives 1.5,
	// in three 3 points.
	Networks int `toml:"networks"`
	// A file that says where addresses are used, lines "192.0.2.0/24 FR". Without one, a
	// client is where the end of its confirmed name says, if that is one of a country.
	PlacesFile string `toml:"places_file"`
	// What becomes of what a braked account sends: "hold" takes it and keeps it in the
	// queue, so that nobody notices; "defer" tells the client to come later.
	New BrakeNew `toml:"new_mail"`
	// What the client is told then, and where log-ins are refused; empty: a general
	// sentence.
	Text string `toml:"text"`
	// For how many recipients mail of one braked account is held in a day; what is beyond
	// is told to come later.
	HeldMost int `toml:"held_most"`
	// Whether the sessions of an account are cut when it is braked.
	CutSessions bool `toml:"cut_sessions"`
	// Whether its app passwords do not count while it is.
	SuspendAppPasswords bool `toml:"suspend_app_passwords"`
	// Whether it is not let in to send. A thief notices that.
	RefuseLogins bool `toml:"refuse_logins"`
	// Addresses that hear of it beside owner and postmaster, better elsewhere than here.
	Notify []string `toml:"notify"`
}

// QuotaRule is a limit of what is sent, beside those of [submission]. A policyd (cluebringer)
// calls it a quota, with the same words: Track, Period, Verdict, Data. The first of several
// that is exceeded decides.
type QuotaRule struct {
	// Its name, for the log.
	Name string `toml:"name"`
	// What is counted together: "account", or "domain", which is all accounts of a domain.
	Track QuotaTrack `toml:"track"`
	// The accounts that it is for: addresses, "@example.org" for those of a domain. Empty:
	// all.
	Match []string `toml:"match"`
	// What is counted: "recipients"; "first_time", those to whom the account never wrote;
	// "first_time_domains", the domains of these; "unknown", those who do not exist; or
	// "failed", those whose mail came back.
	Count QuotaCount `toml:"count"`
	// Within what time, in steps of ten minutes, and a day at most.
	Period conf.Duration `toml:"period"`
	// How many may be.
	Limit int `toml:"limit"`
	// What happens beyond: "brake" brakes the account; "hold" holds the letter, and tells
	// the client to come later with more than twice as much; "defer" tells him that at once.
	Verdict QuotaVerdict `toml:"verdict"`
	// What the client is told that is to come later. A policyd calls it Data.
	Data string `toml:"data"`
}

// BrakeNew is what becomes of new mail of a braked account.
type BrakeNew string

// Form says what a BrakeNew may be.
func (BrakeNew) Form() string { return oneOf[BrakeNew]("hold", "defer") }

// UnmarshalText takes a choice.
func (b *BrakeNew) UnmarshalText(text []byte) error { return choose(b, text, "hold", "defer") }

// QuotaTrack is what a QuotaRule counts together; "" is "account".
type QuotaTrack string

// Form says what a QuotaTrack may be.
func (QuotaTrack) Form() string { return oneOf[QuotaTrack]("account", "domain") }

// UnmarshalText takes a choice.
func (q *QuotaTrack) UnmarshalText(text []byte) error { return choose(q, text, "account", "domain") }

// QuotaCount is what a QuotaRule counts; "" is "recipients".
type QuotaCount string

// Form says what a QuotaCount may be.
func (QuotaCount) Form() string {
	return oneOf[QuotaCount]("recipients", "first_time", "first_time_domains", "unknown", "failed")
}

// UnmarshalText takes a choice.
func (q *QuotaCount) UnmarshalText(text []byte) error {
	return choose(q, text, "recipients", "first_time", "first_time_domains", "unknown", "failed")
}

// QuotaVerdict is what happens beyond a QuotaRule; "" is "brake".
type QuotaVerdict string

// Form says what a QuotaVerdict may be.
func (QuotaVerdict) Form() string { return oneOf[QuotaVerdict]("brake", "hold", "defer") }

// UnmarshalText takes a choice.
func (q *QuotaVerdict) UnmarshalText(text []byte) error {
	return choose(q, text, "brake", "hold", "defer")
}

func defaultBrake() Brake {
	return Brake{Level: 8, FirstTime: 100, FirstTimeDomains: 50, SameText: 100, Networks: 8, New: "hold", HeldMost: 100_000,
		CutSessions: true, SuspendAppPasswords: true}
}

// quotasMax bounds the rules: each is looked at for each recipient.
const quotasMax = 64

func (k *checker) brake() {
	b := &k.c.Brake
	if b.Level < 1 || b.Level > 100 {
		k.failf("brake.level", "expected 1 to 100 points")
	}
	k.atLeast("brake.first_time", int64(b.FirstTime), 1)
	k.atLeast("brake.first_time_domains", int64(b.FirstTimeDomains), 1)
	k.atLeast("brake.same_text", int64(b.SameText), 1)
	k.atLeast("brake.networks", int64(b.Networks), 4)
	k.atLeast("brake.held_most", int64(b.HeldMost), 1)
	k.replyText("brake.text", b.Text)
	for _, to := range b.Notify {
		if a, err := address.Parse(to); err != nil || a.Domain == "" {
			k.failf("brake.notify", "expected addresses, found %q", to)
		}
	}
	if b.PlacesFile != "" {
		if _, err := k.c.countries(); err != nil {
			k.failf("brake.places_file", "%v", err)
		}
	}
	if len(k.c.QuotaRules) > quotasMax {
		k.failf("quota_rule", "there are %d; expected %d at most", len(k.c.QuotaRules), quotasMax)
	}
	for i := range k.c.QuotaRules {
		k.quotaRule(fmt.Sprintf("quota_rule[%d]", i), &k.c.QuotaRules[i])
	}
}

func (k *checker) quotaRule(key string, q *QuotaRule) {
	if q.Name == "" || len(q.Name) > 60 || !printableASCII(q.Name) {
		k.failf(key+".name", "expected a name of up to 60 printable ASCII characters")
	}
	k.atLeast(key+".limit", int64(q.Limit), 1)
	if p := q.Period.Std(); p < kept.Slot || p > 24*time.Hour || p%kept.Slot != 0 {
		k.failf(key+".period", "expected 10m to 1d, in steps of ten minutes")
	}
	for i, m := range q.Match {
		canonical, ok := accountsKey(m)
		if !ok {
			k.failf(key+".match", "expected addresses and domains such as \"@example.org\", found %q", m)
			continue
		}
		q.Match[i] = canonical
	}
	k.replyText(key+".data", q.Data)
}

// accountsKey is an address, or a domain after "@", in its one form.
func accountsKey(s string) (string, bool) {
	if s != "" && s[0] == '@' {
		domain, err := address.CanonicalDomain(s[1:])
		return "@" + domain, err == nil
	}
	a, err := address.Parse(s)
	return a.Key(), err == nil && a.Domain != ""
}

// replyText wants what may stand in a reply.
func (k *checker) replyText(key, text string) {
	if len(text) > 300 || !printableASCII(text) {
		k.failf(key, "expected up to 300 printable ASCII characters, as replies have them")
	}
}

// countries reads the file of countries; nil without one.
func (c *Config) countries() (*brake.Countries, error) {
	if c.Brake.PlacesFile == "" {
		return nil, nil
	}
	f, err := os.Open(c.beside(c.Brake.PlacesFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found, err := brake.ReadCountries(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", c.Brake.PlacesFile, err)
	}
	return found, err
}

// BrakeRules is how accounts are braked. The error is about the file of countries.
func (c *Config) BrakeRules() (*brake.Rules, error) {
	b := &c.Brake
	countries, err := c.countries()
	if err != nil {
		return nil, errors.Join(errors.New("brake.places_file"), err)
	}
	r := &brake.Rules{
		Level: float64(b.Level), First: b.FirstTime, FirstDomains: b.FirstTimeDomains, SameText: b.SameText, Networks: b.Networks,
		Refuse: b.New == "defer", Text: b.Text, HeldMost: b.HeldMost, TestOnly: b.TestOnly, Countries: countries,
		Cut: b.CutSessions, SuspendApps: b.SuspendAppPasswords, RefuseLogins: b.RefuseLogins, Notify: b.Notify,
		Hostname: c.Hostname, Home: c.Home(),
	}
	s := c.Submission
	for _, q := range []struct {
		name   string
		period time.Duration
		limit  int
	}{{"recipients_per_hour", time.Hour, s.RecipientsPerHour}, {"recipients_per_day", 24 * time.Hour, s.RecipientsPerDay}} {
		r.Quotas = append(r.Quotas, brake.Quota{Name: q.name, Track: brake.Account, Match: []string{"."}, Count: kept.Recipients,
			Period: q.period, Limit: q.limit, Verdict: brake.Verdict(s.OverLimit), Text: s.OverLimitText})
	}
	for _, q := range c.QuotaRules {
		r.Quotas = append(r.Quotas, q.quota())
	}
	return r, nil
}

func (q QuotaRule) quota() brake.Quota {
	out := brake.Quota{Name: q.Name, Track: brake.Track(q.Track), Match: q.Match, Period: q.Period.Std(), Limit: q.Limit,
		Verdict: brake.Verdict(q.Verdict), Text: q.Data}
	if out.Track == "" {
		out.Track = brake.Account
	}
	if out.Verdict == "" {
		out.Verdict = brake.Brake
	}
	if len(out.Match) == 0 {
		out.Match = []string{"."}
	}
	switch q.Count {
	case "first_time":
		out.Count = kept.First
	case "first_time_domains":
		out.Count = kept.FirstDomains
	case "unknown":
		out.Count = kept.Unknown
	case "failed":
		out.Count = kept.Failed
	}
	return out
}
