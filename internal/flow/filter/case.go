package filter

import (
	"context"
	"io"
	"runtime"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	"facteur/internal/mail/spf"
	"facteur/internal/net/dns"
	"facteur/internal/store/policy"
	"facteur/internal/store/reputation"
)

// Bounds of what one letter may cost.
const (
	// How many questions to the DNS one letter may cause: dns.DefaultBudget in all
	// (AUT-007). Each part has its own, so that a forger who spends all of one by records
	// of his does not keep us from asking the domain that he forges.
	senderBudget = 32 // SPF
	keyBudget    = 20 // signatures, seals, the client's name
	policyBudget = dns.DefaultBudget - senderBudget - keyBudget
	// senderTime is how long RCPT may wait for SPF (RFC 7208 §4.6.4: at least 20 s),
	// keyTime how long the end of the letter for keys, and policyTime then for DMARC: slow
	// servers of a forger do not keep us from asking the domain that he forges.
	senderTime = 20 * time.Second
	keyTime    = 30 * time.Second
	policyTime = 20 * time.Second
)

// Filter finds out about letters by one set of rules. It is safe for concurrent use.
type Filter struct {
	rules    *Rules
	resolver *dns.Resolver
	known    *reputation.Store
	events   event.Sink
	policies *policy.Store
	standard policy.Effective
	now      func() time.Time

	mu     sync.Mutex
	faults map[string]int // how often checks panicked, by their names

	reading chan struct{} // has room for as many letters as are looked into at a time
}

// New makes a Filter. Without a store nothing is learnt, and nobody is known.
func New(rules *Rules, resolver *dns.Resolver, known *reputation.Store) *Filter {
	return &Filter{rules: rules, resolver: resolver, known: known, standard: policy.Default(), now: time.Now,
		reading: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// Tells has an accident of a check told. It comes before the first letter.
func (f *Filter) Tells(events event.Sink) *Filter {
	f.events = events
	return f
}

// Obeys has letters treated as each recipient wants; standard is what holds without a
// store. It comes before the first letter.
func (f *Filter) Obeys(policies *policy.Store, standard policy.Effective) *Filter {
	f.policies, f.standard = policies, standard
	return f
}

func (f *Filter) tell(e event.Event) {
	if f.events != nil {
		f.events.Emit(e)
	}
}

// broke counts that a check panicked.
func (f *Filter) broke(check string) (times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.faults == nil {
		f.faults = make(map[string]int)
	}
	f.faults[check]++
	return f.faults[check]
}

// Rules are those that the Filter goes by.
func (f *Filter) Rules() *Rules { return f.rules }

// Case is about one transaction. It belongs to one goroutine. Close it.
type Case struct {
	filter   *Filter
	evidence Evidence
	sender   bool // SPF was asked
	decision spf.Decision

	header     message.Header
	body       *dkim.Body
	signatures *dkim.Signatures
	chain      *arc.Chain

	// The checks; see examine.go.
	letter     Letter
	ctx        context.Context
	cancel     context.CancelFunc
	visitor    *Visitor
	ownVisitor bool
	reached    Stage
	probes     []*probe
	lent       *lent
	remarks    []Remark
}

// Open begins a Case about a letter of which client and sender are known, and starts the
// checks that want to know no more; they end with ctx, or when the Case is closed. v is
// what is known of the client; nil: it is found out now. nil: nothing is found out about
// letters of this client.
func (f *Filter) Open(ctx context.Context, v *Visitor, l Letter) *Case {
	if f == nil || f.rules.off() || f.rules.ignores(l.Client) {
		return nil
	}
	c := &Case{filter: f, evidence: Evidence{Client: l.Client, Sender: l.Sender}, letter: l, visitor: v}
	c.ctx, c.cancel = context.WithCancel(ctx)
	if !v.Of(f) {
		c.visitor, c.ownVisitor = f.Meet(c.ctx, l), true
	}
	c.visitor.Greet(l)
	c.reach(Mail)
	return c
}

// Evidence is what was found until now.
func (c *Case) Evidence() *Evidence { return &c.evidence }

// Read looks at the header as it came; cut: only its beginning is here. The body goes to
// what it gives; nil: nobody wants to see it.
func (c *Case) Read(h message.Header, cut bool) io.Writer {
	c.header, c.evidence.Cut = h, cut
	rules := c.filter.rules
	if rules.DKIM && h.Count("DKIM-Signature") > 0 {
		c.signatures = dkim.Read(h, c.hashes(), rules.Signatures)
	}
	if rules.ARC && h.Count("ARC-Seal") > 0 {
		c.chain = arc.Read(h, c.hashes(), rules.Seals)
	}
	if c.body == nil {
		return nil
	}
	return c.body
}

func (c *Case) hashes() *dkim.Body {
	if c.body == nil {
		c.body = dkim.NewBody()
	}
	return c.body
}

// Judge finds out the rest, after the body was read, and gives the verdict.
func (c *Case) Judge(ctx context.Context) Verdict {
	c.relayed()
	c.gather(ctx)
	e := &c.evidence
	e.Author = author(c.header)
	e.List, e.Resent = listID(c.header), c.header.Count("Resent-From") > 0
	if policy := c.filter.rules.DMARC.Policy; policy != Off && policy != "" {
		c.askDMARC(ctx)
	}
	e.Known = c.standings()
	v := c.filter.rules.Verdict(e, c.filter.now())
	if v.Reply != nil && v.Reply.Permanent() {
		return v // what is refused anyway is not looked at any further
	}
	if c.filter.rules.Scores() && !c.letter.Returned {
		c.remarks = voices(e, v)
	}
	c.examine(ctx)
	return v
}

// gather asks all that does not depend on each other at the same time: a server far away
// is waited for once.
func (c *Case) gather(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keyTime)
	defer cancel()
	e, now := &c.evidence, c.filter.now()
	keys := dns.WithBudget(ctx, keyBudget)
	if c.body != nil {
		c.body.Length(dkim.Simple) // ends it, before two look at it at the same time
	}
	var all sync.WaitGroup
	if c.signatures != nil {
		all.Go(func() { e.DKIM = c.signatures.Verify(keys, c.filter.resolver.LookupTXT, now) })
	}
	if c.chain != nil {
		all.Go(func() { e.ARC = c.chain.Verify(keys, c.filter.resolver.LookupTXT, now) })
	}
	all.Go(func() { e.IPRev = c.iprev(keys) })
	c.Sender(ctx)
	all.Wait()
	if c.signatures != nil {
		c.remark("dkim", now, dkimSentence(e.DKIM))
	}
	if c.chain != nil {
		c.remark("arc", now, arcSentence(e.ARC))
	}
}

func (c *Case) askDMARC(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, policyTime)
	defer cancel()
	e, began := &c.evidence, c.filter.now()
	q := dmarc.Question{Header: c.header, Exists: c.filter.resolver.Exists}
	if s := e.SPF(); s != nil {
		q.SPF = dmarc.SPF{Domain: s.Domain, Status: string(s.Status)}
	}
	for i := range e.DKIM {
		q.DKIM = append(q.DKIM, dmarc.DKIM{Domain: e.DKIM[i].Domain, Selector: e.DKIM[i].Selector, Status: string(e.DKIM[i].Status)})
	}
	e.DMARC = dmarc.Evaluate(dns.WithBudget(ctx, policyBudget), c.filter.resolver.LookupTXT, q)
	c.remark("dmarc", began, dmarcSentence(&e.DMARC))
}

// relayed takes the word of a server of ours in front of us on SPF: it saw the client,
// and we see it.
func (c *Case) relayed() {
	e := &c.evidence
	if !c.filter.rules.isOurs(e.Client) {
		return
	}
	e.Relayed = fold(e.Client.Name)
	for _, r := range authres.Of(c.header, e.Relayed) {
		for _, m := range r.Find("spf") {
			e.believe(m)
		}
	}
	c.remark("spf", c.filter.now(), spfSentence(e))
}

// believe takes what another found by SPF, of each identity the first word: of MAIL FROM
// where it names both, as HELO then only stands beside it.
func (e *Evidence) believe(m authres.Method) {
	mailFrom, helo := domainOf(m.Property("smtp", "mailfrom")), fold(m.Property("smtp", "helo"))
	switch {
	case mailFrom != "" && e.SPFMail == nil:
		e.SPFMail = &spf.Result{Status: spf.Status(m.Result), Identity: spf.MailFrom, Domain: mailFrom}
	case mailFrom == "" && helo != "" && e.SPFHelo == nil:
		e.SPFHelo = &spf.Result{Status: spf.Status(m.Result), Identity: spf.Helo, Domain: helo}
	}
}

func (c *Case) remark(check string, began time.Time, sentence string) {
	c.evidence.Remarks = append(c.evidence.Remarks, Remark{Check: check, Sentence: sentence, Cost: c.filter.now().Sub(began)})
}
