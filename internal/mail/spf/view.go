package spf

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
)

// The limits of a record that receivers are known to have, beside those of RFC 7208.
const (
	// MaxString is the longest string of a TXT record, in octets (RFC 1035 §3.3.14).
	MaxString = 255
	// MaxAnswer is the longest record, with its name, that fits into an answer by UDP
	// everywhere, in octets (RFC 7208 §3.4).
	MaxAnswer = 450
	// MaxNetworks is how many addresses and networks some large receivers read.
	MaxNetworks = 101
	// MaxLookups and MaxVoids are the limits of RFC 7208 §4.6.4.
	MaxLookups = maxLookups
	MaxVoids   = maxVoids
)

// maxView bounds the records that a view follows: a chain longer than that is broken,
// whatever else is in it.
const maxView = 4 * maxLookups

// View is what the records of a domain come to, for whoever looks after them.
type View struct {
	Domain string `json:"domain"`
	// Records are those that are read, the domain's own first.
	Records []RecordView `json:"records"`
	// Lookups is how many terms with look-ups a check costs that no term matches, of 10;
	// Voids is how many look-ups have no answer, of 2.
	Lookups int `json:"lookups"`
	Voids   int `json:"voids"`
	// Pass are the addresses that may send, each once, in order, as far as they do not
	// depend on the message.
	Pass []netip.Prefix `json:"pass"`
	// Others is the result for everybody else.
	Others Status `json:"others"`
	// Problems are what makes the records invalid; Advice is what should be better.
	Problems []string `json:"problems,omitempty"`
	Advice   []string `json:"advice,omitempty"`
}

// RecordView is one record.
type RecordView struct {
	Domain  string   `json:"domain"`
	Text    string   `json:"record"`
	Problem string   `json:"problem,omitempty"`
	Sources []Source `json:"sources,omitempty"`
	// Redirect is the domain that decides about all others, if there is one.
	Redirect string `json:"redirect,omitempty"`
}

// Source is a term and what it stands for.
type Source struct {
	Term      string    `json:"term"`
	Mechanism Mechanism `json:"mechanism"`
	Result    Status    `json:"result"`
	// Name is what it asks for; "" if it asks nothing, or has macros.
	Name string `json:"name,omitempty"`
	// Networks are its addresses.
	Networks []netip.Prefix `json:"networks,omitempty"`
}

// Valid tells whether receivers can use the records.
func (v View) Valid() bool { return len(v.Problems) == 0 }

// Show reads all records of a domain. State tells whether there is one: NotFound without
// a record, TryAgain when the DNS could not tell of the domain's own.
func Show(ctx context.Context, dns Resolver, domain string) lookup.Answer[View] {
	w := walk{dns: dns, view: View{Domain: domain, Others: Neutral}, seen: map[string]bool{}}
	a := dns.TXT(ctx, domain)
	switch {
	case a.State() == lookup.TryAgain:
		return lookup.Later[View](a.Err())
	case !slices.ContainsFunc(a.Value(), IsRecord):
		return lookup.No[View](fmt.Errorf("%s has no SPF record", domain))
	}
	w.record(ctx, domain, Pass, true)
	w.judge()
	return lookup.Yes(w.view)
}

// walk is a view being made.
type walk struct {
	dns      Resolver
	view     View
	seen     map[string]bool
	networks int
	decisive bool // some term decides about everybody
}

func (w *walk) problem(format string, args ...any) {
	if text := plain(fmt.Sprintf(format, args...)); !slices.Contains(w.view.Problems, text) {
		w.view.Problems = append(w.view.Problems, text)
	}
}

func (w *walk) advise(format string, args ...any) {
	if text := plain(fmt.Sprintf(format, args...)); !slices.Contains(w.view.Advice, text) {
		w.view.Advice = append(w.view.Advice, text)
	}
}

// record reads the record of a domain. match is what a pass in it means for the domain
// that is viewed; final tells whether its "all" is for everybody.
func (w *walk) record(ctx context.Context, domain string, match Status, final bool) {
	if w.seen[domain] {
		w.problem("the records of %s include each other in a circle", domain)
		return
	}
	if len(w.view.Records) >= maxView {
		w.problem("more than %d records", maxView)
		return
	}
	w.seen[domain] = true
	defer delete(w.seen, domain)
	at := len(w.view.Records)
	w.view.Records = append(w.view.Records, RecordView{Domain: domain})
	rec := w.read(ctx, &w.view.Records[at])
	if rec == nil {
		return
	}
	for _, t := range rec.Terms {
		s := w.source(ctx, t, domain)
		w.view.Records[at].Sources = append(w.view.Records[at].Sources, s)
		w.count(s, match)
		switch {
		case t.Mechanism == Include && s.Name != "":
			w.record(ctx, s.Name, both(match, t.Result), false)
		case t.Mechanism == All && final && !w.decisive:
			w.view.Others, w.decisive = t.Result, true
		}
		if t.Mechanism == All { // what stands behind it is never reached
			break
		}
	}
	if rec.Redirect != nil && !hasAll(rec) {
		w.view.Lookups++
		w.view.Records[at].Redirect = rec.Redirect.text
		if rec.Redirect.Constant() {
			w.record(ctx, strings.TrimSuffix(strings.ToLower(rec.Redirect.text), "."), match, final)
		}
	}
}

// both is what a pass inside of an include means outside.
func both(outer, inner Status) Status {
	if outer == Pass {
		return inner
	}
	return outer
}

func hasAll(rec *Record) bool {
	return slices.ContainsFunc(rec.Terms, func(t Term) bool { return t.Mechanism == All })
}

// read finds and parses the record of a domain; nil if that fails.
func (w *walk) read(ctx context.Context, v *RecordView) *Record {
	a := w.dns.TXT(ctx, v.Domain)
	txt, err := "", a.Err()
	if a.State() != lookup.TryAgain {
		txt, err = Select(a.Value())
	}
	v.Text = txt
	if err == nil && txt == "" {
		err = fmt.Errorf("there is no SPF record")
	}
	var rec *Record
	if err == nil {
		rec, err = Parse(txt)
	}
	if err != nil {
		v.Problem = plain(err.Error())
		w.problem("%s: %v", v.Domain, err)
		return nil
	}
	return rec
}

// source finds out what a term stands for.
func (w *walk) source(ctx context.Context, t Term, domain string) Source {
	s := Source{Term: t.Text, Mechanism: t.Mechanism, Result: t.Result}
	if t.Mechanism.asks() {
		w.view.Lookups++
		s.Name = domain
		if t.Domain != nil {
			s.Name = strings.TrimSuffix(strings.ToLower(t.Domain.text), ".")
			if !t.Domain.Constant() {
				s.Name = ""
			}
		}
	}
	switch {
	case t.Prefix.IsValid():
		s.Networks = []netip.Prefix{t.Prefix.Masked()}
	case t.Mechanism == A && s.Name != "":
		s.Networks = w.addresses(ctx, t, s.Name)
	case t.Mechanism == MX && s.Name != "":
		s.Networks = w.hosts(ctx, t, s.Name)
	}
	return s
}

// addresses are those of a host in both families. Most clients have one: a look-up is
// void where neither is there.
func (w *walk) addresses(ctx context.Context, t Term, name string) (list []netip.Prefix) {
	four, six := w.dns.A(ctx, name), w.dns.AAAA(ctx, name)
	for _, a := range append(slices.Clone(four.Value()), six.Value()...) {
		bits := t.Bits6
		if a.Is4() {
			bits = t.Bits4
		}
		list = append(list, netip.PrefixFrom(a, bits).Masked())
	}
	switch {
	case four.State() == lookup.TryAgain || six.State() == lookup.TryAgain:
		w.problem("%s: the addresses of %s can not be found now", t.Text, name)
	case len(list) == 0:
		w.void(t, name)
	}
	return list
}

func (w *walk) void(t Term, name string) {
	w.view.Voids++
	w.advise("%s: %s has nothing of the kind; take the term out, or mend the name", t.Text, name)
}

func (w *walk) hosts(ctx context.Context, t Term, name string) (list []netip.Prefix) {
	a := w.dns.MX(ctx, name)
	switch {
	case a.State() == lookup.TryAgain:
		w.problem("%s: the mail hosts of %s can not be found now", t.Text, name)
	case a.State() == lookup.NotFound:
		w.void(t, name)
	case len(a.Value()) > maxHosts:
		w.problem("%s: %s has more than %d mail hosts", t.Text, name, maxHosts)
	default:
		for _, host := range a.Value() {
			list = append(list, w.addresses(ctx, t, host)...)
		}
	}
	return list
}

// count takes a source into the sums.
func (w *walk) count(s Source, match Status) {
	w.networks += len(s.Networks)
	if both(match, s.Result) == Pass {
		for _, n := range s.Networks {
			if !slices.Contains(w.view.Pass, n) {
				w.view.Pass = append(w.view.Pass, n)
			}
		}
	}
	switch {
	case s.Mechanism == PTR:
		w.advise("%s: do not use ptr, it is slow and many receivers ignore it (RFC 7208, 5.5); name the addresses", s.Term)
	case s.Mechanism == All && s.Result == Pass:
		w.advise("%s lets everybody send: the record is worth nothing", s.Term)
	case s.Mechanism == IP4 && s.Networks[0].Bits() < 8 || s.Mechanism == IP6 && s.Networks[0].Bits() < 16:
		w.advise("%s: the network is as large as a part of the world", s.Term)
	}
}

// judge compares the sums with the limits.
func (w *walk) judge() {
	v := &w.view
	slices.SortFunc(v.Pass, comparePrefix)
	own := v.Records[0]
	if v.Lookups > maxLookups {
		w.problem("%d terms need DNS look-ups, at most %d may: receivers stop with an error", v.Lookups, maxLookups)
	}
	if v.Voids > maxVoids {
		w.problem("%d look-ups have no answer, at most %d may be so", v.Voids, maxVoids)
	}
	if size := len(own.Text) + len(v.Domain) + 1; size > MaxAnswer {
		w.advise("the record with its name has %d octets, more than %d: the answer may not fit; move a part into an include", size, MaxAnswer)
	}
	if n := (len(own.Text) + MaxString - 1) / MaxString; n > 1 {
		w.advise("the record has %d octets: it has to be published as %d strings of at most %d, which are joined without a space between them", len(own.Text), n, MaxString)
	}
	if w.networks > MaxNetworks {
		w.advise("%d addresses and networks, more than %d: some large receivers read no further", w.networks, MaxNetworks)
	}
	switch {
	case !v.Valid():
	case !w.decisive:
		w.advise("nothing is said of all other hosts; end the record in -all")
	case v.Others == SoftFail || v.Others == Neutral:
		w.advise("it ends in a %s for all other hosts; -all refuses them", v.Others)
	case v.Others == Fail && len(v.Records) == 1 && len(own.Sources) == 1:
		w.advise("the domain says that it never sends mail")
	}
}

func comparePrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}
