package sign

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/store/dkimkey"
	"facteur/internal/test/sim"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// house is a signer with keys of some domains.
func house(t *testing.T, rules *Rules, domains ...string) (*Signer, *dkimkey.Store, ed25519.PrivateKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := dkimkey.New(vfs.NewMem(), "/dkim")
	for _, domain := range domains {
		if _, err := keys.Import(domain, "s", private, dkimkey.Active, now); err != nil {
			t.Fatal(err)
		}
	}
	rules.Enabled = true
	return New(func() *Rules { return rules }, keys, event.Discard), keys, private
}

// row 224: the author chooses the key; AUT-021: a foreign author is never signed for.
func TestWhoseKey(t *testing.T) {
	s, keys, private := house(t, &Rules{}, "example.org", "sub.example.net")
	if _, err := keys.Ensure("waiting.example", dkimkey.Plan{Selectors: [2]string{"f1", "f2"}, Algorithms: []dkimkey.Algorithm{dkimkey.Ed25519}}, now); err != nil {
		t.Fatal(err)
	}
	record, _ := dkim.Key{Private: private}.Record()
	txt := sim.Zone(t, fmt.Sprintf("s._domainkey.example.org. TXT %q\ns._domainkey.sub.example.net. TXT %[1]q\n", record)).LookupTXT
	for head, want := range map[string]string{
		"From: a@example.org":                                         "example.org",
		"From: Ann <A@EXAMPLE.ORG>":                                   "example.org",
		"From: MAILER-DAEMON@mail.example.org":                        "example.org", // the domain above
		"From: a@x.sub.example.net":                                   "sub.example.net",
		"From: a@example.net":                                         "", // not the domain below
		"From: a@org":                                                 "",
		"AUT-021: x\r\nFrom: a@example.com":                           "",
		"AUT-021: x\r\nFrom: \"a@example.org\" <a@example.com>":       "",
		"From: a@example.org, b@example.com\r\nSender: b@example.com": "",
		"From: b@example.com, a@example.org\r\nSender: a@example.org": "example.org",
		"From: a@example.org, b@example.org":                          "example.org",
		"From: a@example.org, b@example.com":                          "why: authors of several domains",
		"From: a@example.org\r\nFrom: b@example.org":                  "why: it has 2 From fields",
		"Subject: x":              "why: it has 0 From fields",
		"From: Undisclosed:;":     "why: its From has no address",
		"From: a@waiting.example": "why: was not seen in the DNS yet",
	} {
		text := []byte(head + "\r\nDate: x\r\n\r\nbody\r\n")
		g := s.whole(text, now)
		why, unsigned := strings.CutPrefix(want, "why: ")
		switch {
		case unsigned:
			if len(g.By) > 0 || !strings.Contains(g.Why, why) {
				t.Errorf("%q: %v %q, %q expected", head, g.By, g.Why, why)
			}
		case want == "":
			if len(g.By) > 0 || len(g.Fields) > 0 {
				t.Errorf("%q: signed by %v", head, g.By)
			}
		default:
			r := verify(t, append(g.Fields, text...), txt)
			if len(r) != 1 || r[0].Status != dkim.Pass || r[0].Domain != want {
				t.Errorf("%q: %+v, %s expected", head, r, want)
			}
		}
	}
}

func verify(t *testing.T, text []byte, txt dkim.TXT) []dkim.Result {
	t.Helper()
	end, body := message.HeaderEnd(text), dkim.NewBody()
	read := dkim.Read(message.Header(text[:end]), body, dkim.Options{})
	body.Write(text[end:])
	return read.Verify(t.Context(), txt, now)
}

// Patterns as opendkim's SigningTable has them, and what their cost is.
func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern Pattern
		author  string
		want    bool
	}{
		{"*", "a@example.org", true},
		{"a@example.org", "A@example.ORG", true},
		{"*@example.org", "a@example.org", true},
		{"*@example.org", "a@sub.example.org", false},
		{"*@*.example.org", "a@sub.example.org", true},
		{"news-*@example.org", "news-7@example.org", true},
		{"news-*@example.org", "old@example.org", false},
		{"example.org", "a@example.org", true},
		{"example.org", "a@sub.example.org", false},
		{".example.org", "a@sub.example.org", true},
		{".example.org", "a@badexample.org", false},
		{Pattern(strings.Repeat("*a", 500)), strings.Repeat("a", 64) + "@example.org", false},
	} {
		a, err := address.Parse(c.author)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.pattern.matches(a); got != c.want {
			t.Errorf("%s for %s: %v", c.pattern, c.author, got)
		}
	}
}

// A key of the admin's signs for whom he says, and one that can't be read keeps no letter
// back, and is told of.
func TestOwnKeys(t *testing.T) {
	rules := &Rules{}
	s, _, private := house(t, rules)
	rules.Own = []Own{
		{For: []Pattern{"*@broken.example"}, Domain: "broken.example", Selector: "b", Err: errors.New("permission denied")},
		{For: []Pattern{"*@customer.example"}, Domain: "provider.example", Selector: "p", Private: private},
		{For: []Pattern{"*@many.example"}, Domain: "%", Selector: "m", Private: private},
	}
	for head, want := range map[string]string{
		"From: a@customer.example": "p._domainkey.provider.example",
		"From: a@many.example":     "m._domainkey.many.example",
		"From: a@other.example":    "",
		"From: a@broken.example":   "permission denied",
	} {
		g := s.whole([]byte(head+"\r\n\r\n"), now)
		if got := strings.Join(g.By, " "); got != want && !(g.Trouble && strings.Contains(g.Why, want)) {
			t.Errorf("%s: %q %q", head, got, g.Why)
		}
	}
}

// What was changed is signed anew: our stale signature goes, that of others stays.
func TestResign(t *testing.T) {
	s, _, private := house(t, &Rules{}, "example.org")
	record, _ := dkim.Key{Private: private}.Record()
	txt := sim.Zone(t, fmt.Sprintf("s._domainkey.example.org. TXT %q\n", record)).LookupTXT
	text := "From: a@example.org\r\n\r\nold\r\n"
	foreign := "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h=from; bh=; b=\r\n"
	stale := string(s.whole([]byte(text), now).Fields) + foreign + strings.Replace(text, "old", "new", 1)
	out, err := s.Resign(strings.NewReader(stale), nil, now)
	if err != nil || out.Head == nil {
		t.Fatal(out, err)
	}
	fresh := string(out.Head) + stale[out.Instead:]
	if strings.Count(fresh, "d=example.org") != 1 || !strings.Contains(fresh, foreign) {
		t.Errorf("%s", fresh)
	}
	if r := verify(t, []byte(fresh), txt); r[0].Status != dkim.Pass || r[0].Domain != "example.org" {
		t.Errorf("%+v", r)
	}
}

// row 223: the server makes keys, waits for their records, and lets them follow one
// another, day by day; a DNS that does not answer changes nothing.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := &Rules{Enabled: true, Plan: dkimkey.Plan{Selectors: [2]string{"f1", "f2"}, Algorithms: []dkimkey.Algorithm{dkimkey.Ed25519}},
			Times: dkimkey.Times{Settle: time.Hour, Retire: 7 * 24 * time.Hour}}
		world, err := sim.NewDNS("")
		if err != nil {
			t.Fatal(err)
		}
		resolver, err := world.Resolver()
		if err != nil {
			t.Fatal(err)
		}
		keys := dkimkey.New(vfs.NewMem(), "/dkim")
		servers := func() (list []dkim.TXT) {
			for _, r := range resolver.Each() {
				list = append(list, r.LookupTXT)
			}
			return list
		}
		domains := func(context.Context) ([]string, error) { return []string{"example.org", "localhost"}, nil }
		k := NewKeeper(keys, func() *Rules { return rules }, func() bool { return true }, domains, servers, event.Discard)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		after := func(d time.Duration, want string) dkimkey.Ring {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			r, err := keys.Ring("example.org")
			got := ""
			for _, k := range r {
				got += k.Selector + "=" + string(k.State) + " "
			}
			if err != nil || strings.TrimSpace(got) != want {
				t.Fatalf("%q, %v; %q expected", got, err, want)
			}
			return r
		}
		publish := func(k dkimkey.Key) {
			if err := world.Load(fmt.Sprintf("%s. TXT %q", k.Name(), k.Record())); err != nil {
				t.Fatal(err)
			}
		}
		after(time.Second, "")
		r := after(time.Minute, "f1-ed=made")
		publish(r[0])
		world.Fail("f1-ed._domainkey.example.org", sim.ServFail)
		after(24*time.Hour, "f1-ed=made")
		world.Fail("f1-ed._domainkey.example.org", sim.None)
		after(10*time.Minute, "f1-ed=active")
		if _, err := keys.Next("example.org", rules.Plan, time.Now()); err != nil {
			t.Fatal(err)
		}
		r = after(10*time.Minute, "f1-ed=active f2-ed=made")
		publish(r[1])
		after(30*time.Minute, "f1-ed=active f2-ed=published")
		after(time.Hour, "f1-ed=retiring f2-ed=active")
		after(6*24*time.Hour, "f1-ed=retiring f2-ed=active")
		after(24*time.Hour, "f1-ed=retired f2-ed=active")
		cancel()
		<-done
	})
}

// What is signed costs little beside the bare signature, which is measured beside it.
func BenchmarkSign(b *testing.B) {
	for _, a := range []dkimkey.Algorithm{dkimkey.Ed25519, dkimkey.RSA} {
		keys := dkimkey.New(vfs.NewMem(), "/dkim")
		made, err := keys.Ensure("example.org", dkimkey.Plan{Selectors: [2]string{"f1", "f2"}, Algorithms: []dkimkey.Algorithm{a}}, now)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := keys.Activate("example.org", made[0].Selector, now); err != nil {
			b.Fatal(err)
		}
		b.Run(string(a), func(b *testing.B) {
			rules := &Rules{Enabled: true}
			s := New(func() *Rules { return rules }, keys, event.Discard)
			text := []byte("From: a@example.org\r\nTo: b@example.com\r\nSubject: hello\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\n" + strings.Repeat("A line of a letter.\r\n", 500))
			defer processor(b)()
			for b.Loop() {
				if g := s.whole(text, now); len(g.By) != 1 {
					b.Fatal(g)
				}
			}
		})
		b.Run("bare-"+string(a), func(b *testing.B) {
			key, hash := dkim.Key{Domain: "example.org", Selector: "s", Private: made[0].Private}, make([]byte, 32)
			defer processor(b)()
			for b.Loop() {
				if _, err := key.Sign(hash); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// processor tells the processor time of an operation, whatever else the machine does.
func processor(b *testing.B) (end func()) {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begun := used()
	return func() { b.ReportMetric(float64(used()-begun)/float64(time.Microsecond)/float64(b.N), "cpu-µs/op") }
}
