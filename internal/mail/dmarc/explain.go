package dmarc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Meaning is a tag of a record in words.
type Meaning struct {
	Tag   string `json:"tag"`
	Value string `json:"value"`
	Text  string `json:"text"`
}

// Explain tells what each tag of the record means, in the record's order.
func (r *Record) Explain() []Meaning {
	var list []Meaning
	for _, t := range r.Tags {
		m := Meaning{Tag: t.Name, Value: t.Value, Text: r.meaning(t.Name)}
		for _, p := range r.Problems {
			if p.Tag == t.Name {
				m.Text = strings.TrimPrefix(m.Text+"; "+p.Text, "; ")
			}
		}
		list = append(list, m)
	}
	return list
}

func (r *Record) meaning(tag string) string {
	switch tag {
	case "v":
		return "this is a DMARC record"
	case "p":
		return wish(r.P, "mail of this domain")
	case "sp":
		return wish(r.SP, "mail of subdomains that exist")
	case "np":
		return wish(r.NP, "mail of subdomains that do not exist")
	case "adkim":
		return exactness("DKIM signature", r.StrictDKIM)
	case "aspf":
		return exactness("envelope sender (SPF)", r.StrictSPF)
	case "psd":
		return map[string]string{
			"y": "this is a public suffix: those below it are organisations of their own",
			"n": "this is an organisation's domain: what is above it does not count",
			"u": "the tree tells which domain is the organisation's (the default)",
		}[r.PSD]
	case "t":
		if r.Testing {
			return "a test: receivers are asked to do one step less, quarantine for reject, nothing for quarantine"
		}
		return "no test: the policy is meant (the default)"
	case "rua":
		return "daily reports about all mail go to " + addresses(r.RUA)
	case "ruf":
		return "reports about single letters go to " + addresses(r.RUF) + "; few receivers send them"
	case "fo":
		return r.failureOptions()
	}
	return ""
}

func wish(p Policy, what string) string {
	switch p {
	case PolicyNone:
		return what + " that fails: no wish, treat it as if there were no DMARC"
	case Quarantine:
		return what + " that fails: put it into Junk"
	case Reject:
		return what + " that fails: refuse it"
	}
	return ""
}

func exactness(what string, strict bool) string {
	if strict {
		return "the domain of the " + what + " has to be exactly that in From"
	}
	return "the domain of the " + what + " may be any of the same organisation (the default)"
}

func addresses(list []URI) string {
	if len(list) == 0 {
		return "nobody"
	}
	var said []string
	for _, u := range list {
		text := u.Address.String()
		if u.Max > 0 {
			text += " (up to " + strconv.FormatInt(u.Max, 10) + " bytes, which only RFC 7489 knows)"
		}
		said = append(said, text)
	}
	return strings.Join(said, ", ")
}

func (r *Record) failureOptions() string {
	var said []string
	for _, o := range r.FO {
		said = append(said, map[string]string{
			"0": "if nothing aligned passes (the default)", "1": "if anything does not pass aligned",
			"d": "if a signature fails", "s": "if SPF fails",
		}[o])
	}
	return "reports about single letters: " + strings.Join(said, ", ")
}

// Advice says what the owner of a domain should change in its record, a sentence
// each. domain is where the record stands.
func (r *Record) Advice(domain string) []string {
	var said []string
	say := func(s string) { said = append(said, s) }
	switch {
	case r.P == "" && r.Usable():
		say("p is missing or unreadable: receivers take p=none. Write p=none, p=quarantine or p=reject.")
	case !r.Usable():
		say("p, sp or np can't be read, and there is no rua: receivers act as if there were no record.")
	case r.P == PolicyNone:
		say("p=none protects nobody. When the reports show that your own mail passes, go to p=quarantine, then to p=reject.")
	case r.P == Quarantine && !r.Testing:
		say("p=quarantine puts forged mail into Junk. When the reports stay clean, p=reject keeps it out.")
	}
	if r.Testing {
		say("The record is a test: receivers do one step less than it says. Remove t=y (or pct=0) when the reports are clean.")
	}
	if len(r.RUA) == 0 {
		say("Without rua nobody tells you who sends in your name. Add rua=mailto:postmaster@" + domain + ".")
	}
	if r.SP != "" && weaker(r.SP, r.P) {
		say("sp=" + string(r.SP) + " is weaker than p=" + string(r.P) + ": whoever forges takes a subdomain.")
	}
	if r.NP == "" && r.nonexistent() != Reject {
		say("np=reject is safe at once: nobody sends honest mail from subdomains that do not exist.")
	}
	for _, u := range r.RUA {
		if u.Address.Domain != domain && !strings.HasSuffix(u.Address.Domain, "."+domain) && !strings.HasSuffix(domain, "."+u.Address.Domain) {
			say(fmt.Sprintf("Reports to %s need its consent, or they are not sent: %s._report._dmarc.%s. TXT \"v=DMARC1\"", u.Address.Domain, domain, u.Address.Domain))
		}
	}
	for _, tag := range []string{"pct", "rf", "ri"} {
		if slices.ContainsFunc(r.Tags, func(t Tag) bool { return t.Name == tag }) {
			say(tag + " is of the old standard (RFC 7489) and means nothing today: remove it.")
		}
	}
	return said
}

// nonexistent is what happens to subdomains that do not exist.
func (r *Record) nonexistent() Policy {
	p, _ := r.Wants(false, false)
	return p
}

// weaker compares policies; one that is absent is weakest.
func weaker(a, b Policy) bool {
	order := []Policy{"", PolicyNone, Quarantine, Reject}
	return slices.Index(order, a) < slices.Index(order, b)
}
