package report

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	mail "facteur/internal/mail/report"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
)

// parlour is an Office that takes reports in, for example.org with its account alice.
type parlour struct {
	*Office
	t        *testing.T
	files    *db.DB
	settings Settings
	asked    [][]string // of Sender, who knows the queue ID 5A and the Message-Id m1@example.org

	mu    sync.Mutex
	noted []event.Event
}

var seal = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func newParlour(t *testing.T) *parlour {
	t.Helper()
	p := &parlour{t: t, settings: Settings{KeepDays: 30, Complaints: 2, Takes: func(a address.Address) bool { return a.Local == "dmarc" }}}
	dir := t.TempDir()
	var err error
	if p.files, err = db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations(), report.Tables()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.files.Close() })
	people := directory.New(p.files, []string{"example.org"}, dir, 0)
	if err := people.AddHashed(t.Context(), address.Address{Local: "alice", Domain: "example.org"}, "{SHA512-CRYPT}$6$saltsalt$bcXJ8qxwY5sQ4v8MTl.0B1jeZ0z0JlA9jjmoUX47/JMs3pr/yl5zVnN3ScHGjqBl0MfrKOM0QOJ3MdXkvFJzc.", 0); err != nil {
		t.Fatal(err)
	}
	p.Office = New(House{Hostname: "mail.example.org", Store: report.New(p.files, event.Discard), Events: p, Settings: func() Settings { return p.settings },
		Router: route.New(people, "mail.example.org", func() string { return "example.org" }),
		TXT: func(_ context.Context, name string) lookup.Answer[[]string] {
			if name == "s1._domainkey.example.org" || name == "s1._domainkey.esp.test" {
				return lookup.Yes([]string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(seal.Public().(ed25519.PublicKey))})
			}
			return lookup.No[[]string](errors.New("no such name"))
		},
		Sender: func(_ context.Context, words []string) (string, string) {
			p.asked = append(p.asked, words)
			if slices.Contains(words, "5A") || slices.Contains(words, "m1@example.org") {
				return "alice@example.org", "5A"
			}
			return "", ""
		}})
	return p
}

func (p *parlour) Emit(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noted = append(p.noted, e)
}

// lines are what was told, and forgotten then.
func (p *parlour) lines() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.noted {
		_, text := e.Line()
		out = append(out, text)
	}
	p.noted = nil
	return out
}

// by is what DMARC found about an author.
func by(domain string, status dmarc.Status) *dmarc.Result {
	return &dmarc.Result{From: []string{domain}, Status: status}
}

// item is a letter for the address that takes reports.
func item() *queue.Item {
	return &queue.Item{ID: 1, Recipients: []queue.Recipient{{Original: address.Address{Local: "dmarc", Domain: "example.org"}}}}
}

// give hands a letter over, as intake does, and waits until it is read.
func (p *parlour) give(seen *dmarc.Result, letter []byte) []string {
	p.t.Helper()
	if then := p.Read(item(), seen, bytes.NewReader(letter), int64(len(letter))); then != nil {
		then(true)
	}
	p.Settle(time.Minute)
	return p.lines()
}

// about is an aggregate report.
func about(domain, id string, from ...string) []byte {
	a := mail.Aggregate{Reporter: mail.Reporter{Org: "o", ID: id}, Published: mail.Published{Domain: domain, P: "none"}}
	for _, f := range from {
		a.Records = append(a.Records, kind(1, "fail", "fail", "none", func(r *mail.Record) { r.HeaderFrom = f }))
	}
	return a.XML()
}

func TestWhatIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		seen   *dmarc.Result
		letter []byte
		want   string
	}{
		"known author":         {by("google.com", dmarc.Pass), about("example.org", "1"), "1: a DMARC report of google.com about example.org"},
		"forged":               {by("google.com", dmarc.Fail), about("example.org", "1"), "1: a DMARC report of google.com about example.org, which nobody vouches for"},
		"DMARC is off":         {&dmarc.Result{}, slices.Concat([]byte("From: x@google.com\r\nContent-Type: text/xml\r\n\r\n"), about("example.org", "1")), "1: a DMARC report of google.com about example.org, which nobody vouches for"},
		"by a user of ours":    {nil, about("example.org", "1"), "1: a DMARC report of  about example.org, which nobody vouches for"},
		"several authors":      {&dmarc.Result{From: []string{"a.test", "b.test"}, Status: dmarc.Pass}, about("example.org", "1"), "1: a DMARC report of  about example.org, which nobody vouches for"},
		"a name below ours":    {by("google.com", dmarc.Pass), about("news.example.org", "1"), "1: a DMARC report of google.com about news.example.org"},
		"the one above ours":   {by("google.com", dmarc.Pass), about("org", "1", "x.org", "example.org"), "1: a DMARC report of google.com about org"},
		"somebody else's":      {by("google.com", dmarc.Pass), about("example.com", "1", "example.com", "example.org"), "warning: 1: what looks like a report is not taken: it is about a domain that is not ours; it is delivered as any letter"},
		"ends like ours":       {by("google.com", dmarc.Pass), about("notexample.org", "1"), "warning: 1: what looks like a report is not taken: it is about a domain that is not ours; it is delivered as any letter"},
		"a letter":             {by("google.com", dmarc.Pass), []byte("From: a@google.com\r\n\r\nHello\r\n"), ""},
		"half a report":        {by("google.com", dmarc.Pass), about("example.org", "1")[:200], "warning: 1: what looks like a report is not taken: it is no proper XML: XML syntax error on line 7: unexpected EOF; it is delivered as any letter"},
		"TLS of somebody else": {by("google.com", dmarc.Pass), []byte(`{"report-id":"1","policies":[{"policy":{"policy-domain":"example.com"}}]}`), "warning: 1: what looks like a report is not taken: it is about a domain that is not ours; it is delivered as any letter"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(newParlour(t).give(c.seen, c.letter), "\n"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// untouched fails whoever reads it.
type untouched struct{ t *testing.T }

func (u untouched) ReadAt([]byte, int64) (int, error) {
	u.t.Error("the letter is read")
	return 0, io.EOF
}

// Whatever a letter is made of, and whatever fails here: it costs no more than its figures.
func TestReadingHurtsNobody(t *testing.T) {
	report := about("example.org", "1")
	t.Run("50 MB are not read", func(t *testing.T) {
		if then := newParlour(t).Read(item(), nil, untouched{t}, 50<<20); then != nil {
			t.Error("something is to be done")
		}
	})
	t.Run("for somebody else", func(t *testing.T) {
		it := item()
		it.Recipients[0].Original.Local = "alice"
		if then := newParlour(t).Read(it, nil, untouched{t}, 100); then != nil {
			t.Error("something is to be done")
		}
	})
	t.Run("a reader that panics", func(t *testing.T) {
		p := newParlour(t)
		p.Store = nil
		if got := p.give(by("google.com", dmarc.Pass), report); len(got) != 1 || !strings.Contains(got[0], "reading it failed") {
			t.Errorf("%q", got)
		}
	})
	t.Run("the database fails", func(t *testing.T) {
		p := newParlour(t)
		p.files.Close()
		if got := p.give(by("google.com", dmarc.Pass), report); len(got) != 1 || !strings.Contains(got[0], "not taken: reports: taking a report") {
			t.Errorf("%q", got)
		}
	})
	t.Run("what is not committed is not counted", func(t *testing.T) {
		p := newParlour(t)
		p.Read(item(), by("google.com", dmarc.Pass), bytes.NewReader(report), int64(len(report)))(false)
		p.Settle(time.Minute)
		if got := p.give(by("google.com", dmarc.Pass), report); len(got) != 1 || strings.Contains(got[0], "was known") {
			t.Errorf("%q", got)
		}
	})
	t.Run("what comes again is known", func(t *testing.T) {
		p := newParlour(t)
		p.give(by("google.com", dmarc.Pass), report)
		if got := p.give(by("google.com", dmarc.Pass), report); len(got) != 1 || !strings.HasSuffix(got[0], ", and was known") {
			t.Errorf("%q", got)
		}
	})
}

// Letters that nobody vouches for, and those of one author, leave time for the others.
func TestCrowd(t *testing.T) {
	p := newParlour(t)
	begin := func(seen *dmarc.Result, size int) bool {
		then := p.Read(item(), seen, bytes.NewReader(make([]byte, size)), int64(size))
		if then != nil {
			then(true)
		}
		return then != nil
	}
	count := func(times, size int, seen func(i int) *dmarc.Result) (n int) {
		for i := range times {
			if begin(seen(i), size) {
				n++
			}
		}
		return n
	}
	p.readers.lanes[0].turn.Lock()
	p.readers.lanes[1].turn.Lock()
	if n := count(500, 10, func(i int) *dmarc.Result { return by(fmt.Sprintf("liar%d.test", i), dmarc.Fail) }); n != maxWaiting {
		t.Errorf("%d letters of liars wait", n)
	}
	if n := count(50, 10, func(int) *dmarc.Result { return by("chatty.test", dmarc.Pass) }); n != maxOfAuthor {
		t.Errorf("%d letters of one author wait", n)
	}
	if n := count(5, 10<<20, func(i int) *dmarc.Result { return by(fmt.Sprintf("large%d.test", i), dmarc.Pass) }); n != 2 {
		t.Errorf("%d large letters wait", n)
	}
	if !begin(by("google.com", dmarc.Pass), 1000) {
		t.Error("there is no room for an honest one")
	}
	p.readers.lanes[0].turn.Unlock()
	p.readers.lanes[1].turn.Unlock()
	p.Settle(time.Minute)
	for i := range p.readers.lanes {
		if l := &p.readers.lanes[i]; l.waiting != 0 || l.bytes != 0 || len(l.authors) != 0 {
			t.Errorf("%d letters, %d bytes, %v are left", l.waiting, l.bytes, l.authors)
		}
	}
	if n := count(500, 10, func(int) *dmarc.Result { return nil }); n != 0 {
		t.Errorf("%d more letters of liars in the same hour", n)
	}
}

// sealed is a letter with a signature of a domain above it.
func sealed(t *testing.T, domain, letter string) string {
	t.Helper()
	form, body, end := dkim.Form{Header: dkim.Relaxed, Body: dkim.Relaxed}, dkim.NewBody(), message.HeaderEnd([]byte(letter))
	sum := form.Wants(body)
	body.Write([]byte(letter[end:])) //nolint:errcheck // it takes all
	field, err := dkim.Sign(message.Header(letter[:end]), body.Sum(sum), dkim.Key{Domain: domain, Selector: "s1", Private: seal}, form, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return string(field) + letter
}

// complaint is an ARF letter about another; hidden recipients are the rule.
func complaint(fields, letter string) []byte {
	return []byte("From: fbl@provider.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=f\r\n\r\n" +
		"--f\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n" + fields + "\r\n--f\r\nContent-Type: message/rfc822\r\n\r\n" + letter + "\r\n--f--\r\n")
}

// Row 230: who sent the letter that somebody complains about.
func TestAttribution(t *testing.T) {
	const ours = "From: alice@example.org\r\nSubject: Our offer\r\nMessage-Id: <other@example.org>\r\n\r\nBuy.\r\n"
	received := func(host, id string) string {
		return "Received: from x (x [192.0.2.1])\r\n\t(Authenticated sender: alice@example.org)\r\n\tby " + host + " (facteur) with ESMTPSA id " + id + "\r\n\tfor <bob@b.test>; Sat, 21 Nov 2026 00:00:00 +0000\r\n"
	}
	const unproven, signature = "nothing in it proves who sent it", "by our own signature, which covers its author"
	for name, c := range map[string]struct {
		letter       string
		account, how string
	}{
		"row 230 by the queue ID":             {received("mail.example.org", "5A") + ours, "alice@example.org", "by its queue ID or Message-Id"},
		"row 230 by the Message-Id":           {strings.Replace(ours, "other@", "m1@", 1), "alice@example.org", "by its queue ID or Message-Id"},
		"row 230 by our signature":            {sealed(t, "example.org", ours), "alice@example.org", signature},
		"a queue ID that never was":           {received("mail.example.org", "5B") + ours, "", unproven},
		"the queue ID of another server":      {received("mail.b.test", "5A") + ours, "", unproven},
		"a name alone":                        {ours, "", unproven},
		"signed, and changed":                 {strings.Replace(sealed(t, "example.org", ours), "Buy", "Spam", 1), "", unproven},
		"signed, with another author":         {strings.Replace(sealed(t, "example.org", strings.Replace(ours, "alice", "bob", 1)), "From: bob", "From: alice", 1), "", unproven},
		"signed, with one author more":        {"From: alice@example.org\r\n" + sealed(t, "example.org", strings.Replace(ours, "alice", "bob", 1)), "", unproven},
		"signed by a domain that is not ours": {sealed(t, "esp.test", ours), "", unproven},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParlour(t)
			p.give(by("provider.test", dmarc.Pass), complaint("", c.letter))
			list, err := p.Store.ListComplaints(t.Context(), report.Query{})
			if err != nil || len(list) != 1 || list[0].Account != c.account || list[0].How != c.how {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
	t.Run("nobody vouches for it", func(t *testing.T) {
		p := newParlour(t)
		p.give(by("provider.test", dmarc.Fail), complaint("", received("mail.example.org", "5A")+ours))
		list, err := p.Store.ListComplaints(t.Context(), report.Query{Doubtful: true})
		if err != nil || len(list) != 1 || list[0].Account != "" || len(p.asked) > 0 {
			t.Errorf("%+v, %v; the journeys were asked for %v", list, err, p.asked)
		}
	})
	t.Run("one letter is one complaint of an author, whatever he says of it", func(t *testing.T) {
		p := newParlour(t)
		for i := range 20 {
			changed := received("mail.example.org", "5A") + strings.Replace(ours, "other@", fmt.Sprintf("x%d@", i), 1)
			got := p.give(by("provider.test", dmarc.Pass), complaint(fmt.Sprintf("Original-Rcpt-To: r%d@b.test\r\nIncidents: 1000000\r\n", i), changed))
			if strings.Contains(got[0], "was known") != (i > 0) || len(got) != 1 {
				t.Errorf("%d: %q", i, got)
			}
		}
		copied := sealed(t, "example.org", ours) // with anything above it
		for i := range 5 {
			p.give(by("fbl.test", dmarc.Pass), complaint("", fmt.Sprintf("X-%d: x\r\n", i)+copied))
		}
		if n, err := p.Store.Complaints(t.Context(), "alice@example.org", time.Time{}); n != 2 || err != nil {
			t.Errorf("%d complaints, %v", n, err)
		}
	})
	t.Run("the postmaster hears of the second, and of the fourth", func(t *testing.T) {
		p := newParlour(t)
		var heard []string
		for i := range 5 {
			for _, line := range p.give(by(fmt.Sprintf("fbl%d.test", i), dmarc.Pass), complaint("", received("mail.example.org", "5A")+ours)) {
				if strings.HasPrefix(line, "warning") {
					heard = append(heard, fmt.Sprint(i, " ", line[:12]))
				}
			}
		}
		if want := []string{"1 warning: 2 c", "3 warning: 4 c"}; !slices.Equal(heard, want) {
			t.Errorf("%q", heard)
		}
	})
	t.Run("searches have a bound", func(t *testing.T) {
		p := newParlour(t)
		for range maxSearches {
			p.searches.allow(p.now(), maxSearches)
		}
		p.give(by("provider.test", dmarc.Pass), complaint("", received("mail.example.org", "5A")+ours))
		if len(p.asked) > 0 {
			t.Errorf("%v", p.asked)
		}
	})
}
