package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"facteur/internal/base/lookup"
)

// The limits of RFC 7208 §4.6.4.
const (
	maxLookups = 10
	maxVoids   = 2
	maxHosts   = 10 // of an MX
	maxNames   = 10 // of a client
)

// evaluation is one check under way.
type evaluation struct {
	dns      Resolver
	question Question
	ip       netip.Addr

	local, domain, sender, helo string

	terms, voids int
	names        []string // of the client, that lead back to it
	namesKnown   bool
	noMail       bool // of the record read last
}

// verdict is what a record came to, and how.
type verdict struct {
	status  Status
	path    []Step
	problem string
	// record and domain are those that the status comes from, for its explanation.
	record *Record
	domain string
}

// failure is an end without a statement: TempError or PermError.
type failure struct {
	status Status
	text   string
}

func (f *failure) Error() string { return f.text }

func permanent(format string, args ...any) error {
	return &failure{PermError, fmt.Sprintf(format, args...)}
}

func temporary(err error) error { return &failure{TempError, plain(err.Error())} }

// ended is the verdict for an error.
func ended(err error) verdict {
	if f := (*failure)(nil); errors.As(err, &f) {
		return verdict{status: f.status, problem: f.text}
	}
	return verdict{status: PermError, problem: plain(err.Error())}
}

// evaluate is check_host() (§4) for one domain.
func (e *evaluation) evaluate(ctx context.Context, domain string) verdict {
	record, err := e.fetch(ctx, domain)
	if err != nil {
		return ended(err)
	}
	if record == nil {
		return verdict{status: None, problem: "no SPF record at " + plain(domain)}
	}
	e.noMail = record.isNoMail()
	for _, t := range record.Terms {
		inner, matched, err := e.match(ctx, t, domain)
		if err != nil {
			v := ended(err)
			v.path = []Step{{domain, t.Text}}
			return v
		}
		if matched {
			return verdict{status: t.Result, path: append([]Step{{domain, t.Text}}, inner...), record: record, domain: domain}
		}
	}
	if record.Redirect != nil {
		return e.redirect(ctx, record.Redirect, domain)
	}
	return verdict{status: Neutral, path: []Step{{domain, "default"}}}
}

// fetch finds the one record of a domain; nil without any (§4.4, §4.5).
func (e *evaluation) fetch(ctx context.Context, domain string) (*Record, error) {
	a := e.dns.TXT(ctx, domain)
	if a.State() == lookup.TryAgain {
		return nil, temporary(a.Err())
	}
	txt, err := Select(a.Value())
	if err != nil || txt == "" {
		return nil, err
	}
	record, err := Parse(txt)
	if err != nil {
		return nil, permanent("the SPF record of %s: %v", plain(domain), plain(err.Error()))
	}
	return record, nil
}

// Select finds the one SPF record among the text records of a domain; "" if there is
// none. Two of them are an error (§4.5).
func Select(texts []string) (record string, err error) {
	for _, txt := range texts {
		if !IsRecord(txt) {
			continue
		}
		if record != "" {
			return "", permanent("more than one SPF record")
		}
		record = txt
	}
	return record, nil
}

// redirect goes on with another domain's record, as if it were this one's (§6.1).
func (e *evaluation) redirect(ctx context.Context, to *Macro, domain string) verdict {
	step := Step{domain, "redirect=" + to.text}
	name, err := "", e.count()
	if err == nil {
		name, err = e.target(ctx, to, domain)
	}
	if err != nil {
		return ended(err)
	}
	v := e.evaluate(ctx, name)
	if v.status == None {
		return ended(permanent("redirect to %s, which has no SPF record", name))
	}
	v.path = append([]Step{step}, v.path...)
	return v
}

// count counts a term that asks the DNS.
func (e *evaluation) count() error {
	if e.terms++; e.terms > maxLookups {
		e.terms = maxLookups
		return permanent("more than %d terms need DNS look-ups", maxLookups)
	}
	return nil
}

// void counts an answer that there is nothing.
func (e *evaluation) void() error {
	if e.voids++; e.voids > maxVoids {
		return permanent("more than %d look-ups for names that do not exist", maxVoids)
	}
	return nil
}

// plain makes a stranger's text fit for a log or a header.
func plain(s string) string { return plainTo(s, 300) }

func plainTo(s string, most int) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, clipTo(s, most))
}

func clipTo(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}
