package report

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	mail "facteur/internal/mail/report"
	"facteur/internal/net/dns"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
)

const (
	// week is what complaints are counted over.
	week = 7 * 24 * time.Hour
	// attribution is how long it may take to find who sent a letter; searches how often an
	// hour it is tried, as journeys are files.
	attribution = 5 * time.Second
	searches    = 100
)

// feedback takes a complaint.
func (t *taking) feedback(ctx context.Context, f *mail.Feedback) {
	if !f.IsComplaint() {
		return
	}
	c := report.Complaint{Author: t.by.Domain, Verified: t.by.Verified, Type: f.Type, Source: f.Source, MessageID: f.MessageID, Incidents: f.Incidents}
	if len(f.Recipients) > 0 {
		c.Recipient = f.Recipients[0]
	}
	what := f.MessageID
	if what == "" {
		what = string(f.Returned)
	}
	c.Key = short(fmt.Sprintf("%s\x00%t\x00%s\x00%s\x00%s", c.Author, c.Verified, what, c.Type, c.Recipient))
	c.Account, c.Item, c.How = t.attribute(ctx, f)
	fresh, err := t.Store.Complain(ctx, c)
	if err != nil {
		t.failed = append(t.failed, err)
		return
	}
	if fresh {
		t.Complaints++
		t.warn(ctx, c)
	}
	about := c.Account
	if about == "" {
		about = "an unknown account"
	}
	t.Events.Emit(Taken{What: fmt.Sprintf("a complaint (%s) that came by %s about mail of %s", c.Type, c.Author, about), Item: t.item, Verified: c.Verified, Fresh: fresh})
}

// warn tells the postmaster when an account has got too many complaints, and again each
// time when it has got as many more.
func (t *taking) warn(ctx context.Context, c report.Complaint) {
	most := int64(t.Settings().Complaints)
	if c.Account == "" || !c.Verified || most < 1 {
		return
	}
	n, err := t.Store.Complaints(ctx, c.Account, t.now().Add(-week))
	if err == nil && n/most > (n-c.Incidents)/most {
		t.Events.Emit(Complained{Account: c.Account, Count: n, Most: int(most)})
	}
}

// attribute finds which account sent the letter that came back, and tells how.
func (t *taking) attribute(ctx context.Context, f *mail.Feedback) (account, item, how string) {
	if f.Returned == nil {
		return "", "", "the letter did not come back"
	}
	if !t.searches.allow(t.now()) {
		return "", "", "there were too many complaints at a time"
	}
	ctx, cancel := context.WithTimeout(ctx, attribution)
	defer cancel()
	h := message.Header(f.Returned[:message.HeaderEnd(f.Returned)])
	if ids := t.queueIDs(h); len(ids) > 0 && t.Sender != nil {
		if account, item = t.Sender(ctx, ids); account != "" {
			return account, item, "by its queue ID"
		}
	}
	if f.MessageID != "" && t.Sender != nil {
		if account, item = t.Sender(ctx, []string{strings.Trim(f.MessageID, "<>")}); account != "" {
			return account, item, "by its Message-Id"
		}
	}
	if account = t.signer(ctx, f.Returned, h); account != "" {
		return account, "", "by our own signature, which covers its author"
	}
	return "", "", "nothing in it says who sent it"
}

// maxTraces is how many Received fields of a letter are looked at.
const maxTraces = 30

// queueIDs are the IDs under which we have had a letter, as its Received fields say.
// Whether they are ours is for the journeys to say.
func (t *taking) queueIDs(h message.Header) (out []string) {
	for i, v := range h.All("Received") {
		_, by, ok := strings.Cut(" "+v, " by "+t.Hostname+" ")
		if i >= maxTraces || !ok {
			continue
		}
		words := strings.Fields(by)
		for j, w := range words[:max(len(words)-1, 0)] {
			id := strings.TrimRight(words[j+1], ";")
			if _, err := queue.ParseID(id); w == "id" && err == nil {
				out = append(out, id)
				break
			}
		}
	}
	return out
}

// signer is the account of the author, where a signature of his domain, which is ours,
// holds. Nobody else can have made it.
func (t *taking) signer(ctx context.Context, letter []byte, h message.Header) string {
	body := dkim.NewBody()
	signatures := dkim.Read(h, body, dkim.Options{})
	body.Write(letter[len(h):]) //nolint:errcheck // it takes all
	from := message.ParseAddresses(h.Get("From"))
	if len(from) != 1 || signatures.Len() == 0 || h.Count("From") != 1 {
		return ""
	}
	for _, r := range signatures.Verify(dns.WithBudget(ctx, questions), t.TXT, t.now()) {
		if r.Status == dkim.Pass && r.Limited == 0 && strings.EqualFold(r.Domain, from[0].Host) && t.Router.Hosts(ctx, r.Domain).State() == lookup.Found {
			return t.accountOf(ctx, from[0])
		}
	}
	return ""
}

// accountOf is the account that an address leads to.
func (t *taking) accountOf(ctx context.Context, m message.Mailbox) string {
	who, err := parseMailbox(m)
	if err != nil {
		return ""
	}
	a := t.Router.Resolve(ctx, who)
	if a.State() != lookup.Found || a.Value().Kind != route.Mailbox {
		return ""
	}
	return a.Value().Account.Address
}

// allowance counts what may be done in an hour.
type allowance struct {
	mu    sync.Mutex
	since time.Time
	n     int
}

func (a *allowance) allow(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.since) >= time.Hour || now.Before(a.since) {
		a.since, a.n = now, 0
	}
	a.n++
	return a.n <= searches
}

func parseMailbox(m message.Mailbox) (address.Address, error) { return address.Parse(m.Address()) }
