package deliver

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/store/dkimkey"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// TestSealedWhenItGoesOn: what a stranger sent leaves under our seal when it goes on from an
// address here, and the seal holds for what came over the wire.
func TestSealedWhenItGoesOn(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	record, err := dkim.Key{Private: private}.Record()
	check(t, err)
	zone := sim.Zone(t, fmt.Sprintf("a._domainkey.example.org. TXT %q\na._domainkey.home.example. TXT %[1]q\n", record))
	const ours = "Authentication-Results: mail.example.org;\r\n\tspf=fail smtp.mailfrom=author.example;\r\n\tdmarc=fail header.from=author.example\r\n"
	const received = "Received: from x by mail.example.org; Sun, 22 Nov 2026 00:00:00 +0000\r\n"
	const letter = "From: Jane <jane@author.example>\r\nTo: bob@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n.Gr\xc3\xbc\xc3\x9fe\r\n"
	for name, tc := range map[string]struct {
		text     string
		keys     []string
		own      bool // the letter is of a user of ours
		eightBit bool
		said     string
		domain   string // of the seal; "" without one
	}{
		"AUT-021 a seal says what it was":         {ours + received + letter, []string{"example.org", "home.example"}, false, false, "was sealed (ARC) by a._domainkey.example.org as it goes on from <bob@example.org>", "example.org"},
		"the domain of the server seals":          {ours + received + letter, []string{"home.example"}, false, false, "was sealed (ARC) by a._domainkey.home.example", "home.example"},
		"what is made fit for the next is sealed": {ours + received + letter, []string{"example.org"}, false, true, "was sealed", "example.org"},
		"no key":                                   {ours + received + letter, nil, false, false, "without an ARC seal, as neither example.org nor this server's domain has a key that signs", ""},
		"AUT-021 the word of a stranger is none":   {received + ours + letter, []string{"example.org"}, false, false, "as nobody looked at it when it came", ""},
		"a chain that nobody has looked at":        {ours + received + "ARC-Seal: i=1; cv=none\r\n" + letter, []string{"example.org"}, false, false, "as nothing is known about the chain", ""},
		"a user of ours needs no seal":             {ours + received + letter, []string{"example.org"}, true, false, "", ""},
		"a chain that has failed is sealed once":   {strings.Replace(ours, "spf=fail", "arc=fail", 1) + received + "ARC-Seal: i=1; cv=none\r\n" + letter, []string{"example.org"}, false, false, "was sealed", "example.org"},
		"a chain that has ended gets no more":      {strings.Replace(ours, "spf=fail", "arc=fail", 1) + received + "ARC-Seal: i=1; cv=fail\r\n" + letter, []string{"example.org"}, false, false, "the chain has ended", ""},
		"AUT-020 a chain of 50 gets no more":       {strings.Replace(ours, "spf=fail", "arc=pass", 1) + received + "ARC-Seal: i=50; cv=pass\r\n" + letter, []string{"example.org"}, false, false, "the chain has ended", ""},
		"INV-05 the DNS did not tell of the chain": {strings.Replace(ours, "spf=fail", "arc=temperror", 1) + received + "ARC-Seal: i=1; cv=none\r\n" + letter, []string{"example.org"}, false, false, "nothing is known about the chain", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, steps := newCorridor(t), &sentences{}
			c.events = steps
			sink, to := c.world.Sink, "accept.example"
			if tc.eightBit {
				to = "old.example"
				sink = c.peer(to, sim.Peer{Hide: []string{"8BITMIME"}})
			}
			keys := dkimkey.New(vfs.OS{}, c.dir+"/dkim")
			for _, domain := range tc.keys {
				_, err := keys.Import(domain, "a", private, dkimkey.Active, time.Now())
				check(t, err)
			}
			rules := &sign.Rules{Enabled: true, Sealing: &sign.Sealing{ID: "mail.example.org", Home: "home.example"}}
			c.extend = func(h *House) { h.Signer = sign.New(func() *sign.Rules { return rules }, keys, event.Discard) }
			c.forwarded(tc.text, to, tc.own, nil)
			c.run()
			got := sink.Await(1, 20*time.Second)
			if len(got) != 1 {
				t.Fatalf("nothing came:\n%s", steps)
			}
			c.await("the queue is empty", c.empty)
			text := string(got[0].Data)
			if strings.Contains(text, "DKIM-Signature") && !tc.own {
				t.Errorf("AUT-021: signed for a foreign author:\n%s", text)
			}
			if !strings.Contains(steps.String(), tc.said) || tc.said == "" && strings.Contains(steps.String(), "ARC") {
				t.Errorf("%q expected:\n%s", tc.said, steps)
			}
			if tc.domain == "" {
				if strings.HasPrefix(text, "ARC-") {
					t.Errorf("sealed:\n%s", text)
				}
				return
			}
			if !strings.HasPrefix(text, "ARC-Seal: i=") || !strings.Contains(text, "\r\nDelivered-To: bob@example.org\r\n") {
				t.Errorf("%s", text)
			}
			if strings.Contains(name, "failed") {
				if !strings.Contains(text, "i=2;") || !strings.Contains(text, "cv=fail") {
					t.Errorf("%s", text)
				}
				return
			}
			end, b := message.HeaderEnd([]byte(text)), dkim.NewBody()
			chain := arc.Read(message.Header(text[:end]), b, arc.Options{})
			b.Write([]byte(text[end:]))
			r := chain.Verify(t.Context(), zone.LookupTXT, time.Now())
			if tc.eightBit && !strings.Contains(text, "quoted-printable") {
				t.Errorf("it was not made fit:\n%s", text)
			}
			if r.Status != arc.Pass || r.Sealer() != tc.domain || r.Sets[0].Results.ID != "mail.example.org" || r.Sets[0].Results.Find("dmarc")[0].Result != "fail" {
				t.Errorf("%s\n%s", r, text)
			}
		})
	}
}

// forwarded puts a letter into the queue that goes on from bob's address.
func (c *corridor) forwarded(text, domain string, own bool, change func(*queue.Item)) {
	c.t.Helper()
	s := c.queue.Spool()
	_, err := s.Write([]byte(text))
	check(c.t, err)
	to := mustParse(c.t, "anna@"+domain)
	it := &queue.Item{ID: c.queue.NextID(), Sender: mustParse(c.t, "s@author.example"), Body8Bit: true, Origin: queue.Origin{Local: own},
		Recipients: []queue.Recipient{{Address: to, Original: to, Route: "smtp:" + domain, Forwarder: mustParse(c.t, "bob@example.org")}}}
	if change != nil {
		change(it)
	}
	check(c.t, c.queue.Commit(c.t.Context(), queue.Draft{Item: it, Spool: s}))
}
