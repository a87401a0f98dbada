package report

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
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
	// attribution is how long it may take to find who sent a letter; maxSearches how often
	// an hour it is tried, as journeys are files.
	attribution = 10 * time.Second
	maxSearches = 200
	// maxTraces is how many Received fields of a letter are looked at.
	maxTraces = 30
)

// feedback takes a complaint. What no account is named by costs nothing but its row.
func (t *taking) feedback(ctx context.Context, f *mail.Feedback) error {
	if !f.IsComplaint() {
		return nil
	}
	c := report.Complaint{Author: t.by.Domain, Verified: t.by.Verified, Type: f.Type, Source: f.Source, MessageID: f.MessageID, Incidents: f.Incidents}
	if len(f.Recipients) > 0 {
		c.Recipient = f.Recipients[0]
	}
	p := t.prove(ctx, f)
	c.Account, c.Item, c.How = p.account, p.item, p.how
	c.Key = digest(c.Author, fmt.Sprint(c.Verified), p.letter)
	fresh, err := t.Store.Complain(ctx, c)
	if err == nil && fresh {
		t.warn(ctx, c)
	}
	about := c.Account
	if about == "" {
		about = "an unknown account"
	}
	return t.tell(fmt.Sprintf("a complaint (%s) that came by %s about mail of %s", c.Type, c.Author, about), fresh, err)
}

// digest makes one word of several.
func digest(words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// warn tells the postmaster when an account has got too many complaints, and again each
// time when it has got as many more.
func (t *taking) warn(ctx context.Context, c report.Complaint) {
	most := int64(t.Settings().Complaints)
	if c.Account == "" || most < 1 {
		return
	}
	n, err := t.Store.Complaints(ctx, c.Account, t.now().Add(-week))
	if err == nil && n%most == 0 {
		t.Events.Emit(Complained{Account: c.Account, Count: n, Most: int(most)})
	}
}

// proof is what is known of the letter that a complaint is about.
type proof struct {
	account string // "" where it is not known who sent it
	item    string // our queue ID, where it is known
	how     string // how that is known, or why not
	letter  string // what makes it this letter, whatever the complaint says of it
}

// prove finds which account sent the letter that came back. Only those know what is asked
// for who had the letter in their hands: whoever complains about letters that he never
// got proves nothing. And who did not prove who he is is not asked at all.
func (t *taking) prove(ctx context.Context, f *mail.Feedback) proof {
	p := proof{letter: f.MessageID}
	if p.letter == "" {
		p.letter = string(f.Returned)
	}
	switch {
	case !t.by.Verified:
		p.how = "nobody vouches for it"
		return p
	case f.Returned == nil:
		p.how = "the letter did not come back"
		return p
	case !t.searches.allow(t.now(), maxSearches):
		p.how = "there were too many complaints at a time"
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, attribution)
	defer cancel()
	h := message.Header(f.Returned[:message.HeaderEnd(f.Returned)])
	if p.account, p.item = t.sender(ctx, f, h); p.account != "" {
		p.letter, p.how = p.item, "by its queue ID or Message-Id"
		return p
	}
	if account, signature := t.signer(ctx, f.Returned, h); account != "" {
		return proof{account, "", "by our own signature, which covers its author", signature}
	}
	p.how = "nothing in it proves who sent it"
	return p
}

// sender asks the journeys who sent a letter, by all names that it had here.
func (t *taking) sender(ctx context.Context, f *mail.Feedback, h message.Header) (account, item string) {
	words := t.queueIDs(h)
	if id := strings.Trim(f.MessageID, "<>"); id != "" {
		words = append(words, id)
	}
	if len(words) == 0 || t.Sender == nil {
		return "", ""
	}
	return t.Sender(ctx, words)
}

// queueIDs are the IDs under which we have had a letter, as its Received fields say.
// Whether they are ours is for the journeys to say.
func (t *taking) queueIDs(h message.Header) (out []string) {
	all := h.All("Received")
	for _, v := range all[:min(len(all), maxTraces)] {
		_, by, ok := strings.Cut(" "+strings.Join(strings.Fields(v), " "), " by "+t.Hostname+" ")
		_, id, named := strings.Cut(by, " id ")
		id, _, _ = strings.Cut(id, " ")
		id = strings.TrimRight(id, ";")
		if _, err := queue.ParseID(id); ok && named && err == nil {
			out = append(out, id)
		}
	}
	return out
}

// signer is the account of the author, where a signature of his domain, which is ours,
// holds: nobody else can have made it. It comes with the signature.
func (t *taking) signer(ctx context.Context, letter []byte, h message.Header) (account, signature string) {
	body := dkim.NewBody()
	signatures := dkim.Read(h, body, dkim.Options{})
	body.Write(letter[len(h):]) //nolint:errcheck // it takes all
	from := message.ParseAddresses(h.Get("From"))
	if len(from) != 1 || signatures.Len() == 0 || h.Count("From") != 1 {
		return "", ""
	}
	for _, r := range signatures.Verify(dns.WithBudget(ctx, questions), t.TXT, t.now()) {
		if r.Status == dkim.Pass && r.Limited == 0 && strings.EqualFold(r.Domain, from[0].Host) && t.Router.Hosts(ctx, r.Domain).State() == lookup.Found {
			return t.accountOf(ctx, from[0]), r.Domain + " " + r.B
		}
	}
	return "", ""
}

// accountOf is the account that an address leads to.
func (t *taking) accountOf(ctx context.Context, m message.Mailbox) string {
	who, err := address.Parse(m.Address())
	if err != nil {
		return ""
	}
	a := t.Router.Resolve(ctx, who)
	if a.State() != lookup.Found || a.Value().Kind != route.Mailbox {
		return ""
	}
	return a.Value().Account.Address
}
