package deliver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// certificate is a self-signed one for a host, which c trusts from now on.
func (c *corridor) certificate(host string) *tls.Config {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(c.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(c.t, err)
	parsed, err := x509.ParseCertificate(der)
	check(c.t, err)
	if c.roots == nil {
		c.roots = x509.NewCertPool()
	}
	c.roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// ended waits for the end of an item and gives the notices that alice got.
func (c *corridor) ended(id queue.ID) string {
	c.t.Helper()
	c.await("it is over", func() bool {
		_, _, err := c.queue.Show(context.Background(), id)
		return err != nil
	})
	c.await("the queue is empty", c.empty)
	return strings.Join(c.letters("alice"), "\n")
}

// RFC 8689: with REQUIRETLS only under TLS, to a host that has proved its name and
// promises the same; else it comes back, unless the host may be mended.
func TestRequireTLS(t *testing.T) {
	for name, x := range map[string]struct {
		cert  string
		offer []string
		want  string // status of the notice; "" for sent, "wait" for deferred
	}{
		"a host that can":                   {"mx.d.test", []string{"REQUIRETLS"}, ""},
		"one without TLS":                   {"", []string{"REQUIRETLS"}, "5.7.30"},
		"one without REQUIRETLS":            {"mx.d.test", nil, "5.7.30"},
		"one that proves to be another":     {"evil.test", []string{"REQUIRETLS"}, "wait"},
		"one that refuses TLS at this time": {"refuses", []string{"REQUIRETLS"}, "wait"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCorridor(t)
			c.world.DNS.Validate(true)
			p := sim.Peer{Offer: x.offer}
			if x.cert != "" {
				p.TLS = c.certificate(x.cert)
			}
			if x.cert == "refuses" {
				p.Faults = []sim.Fault{{At: "STARTTLS", Raw: "454 4.7.0 Not now\r\n"}}
			}
			peer := c.peer("d.test", p)
			it := fromAlice()
			it.RequireTLS = true
			id := c.put(it, letterText, to(t, "x@d.test", 0), to(t, "bob@example.org", 0))
			c.run()
			if x.want == "wait" {
				c.await("it was tried", func() bool { return c.idle(2) })
				if len(peer.Taken()) != 0 || len(c.letters("alice")) != 0 {
					t.Errorf("%+v", peer.Taken())
				}
				return
			}
			told := c.ended(id)
			if len(c.letters("bob")) != 1 {
				t.Error("the mailbox here is as good as any")
			}
			if x.want == "" {
				if got := peer.Taken(); len(got) != 1 || !got[0].TLS || !strings.Contains(got[0].Mail, " REQUIRETLS") || told != "" {
					t.Errorf("%+v\n%s", got, told)
				}
				return
			}
			if len(peer.Taken()) != 0 || !strings.Contains(told, "Status: "+x.want) || strings.Contains(told, ".body") || !strings.Contains(told, "text/rfc822-headers") {
				t.Errorf("%+v\n%s", peer.Taken(), told)
			}
		})
	}
}

// one makes all mail for a destination take turns on one connection.
func one(o *Outbound) { o.DestinationConcurrency, o.IdleTime = 1, 5*time.Second }

// What goes under REQUIRETLS takes neither a connection that has proved nothing, nor
// its neighbours along when it fails.
func TestRequireTLSBesideOtherMail(t *testing.T) {
	for name, proved := range map[string]bool{"a host that can": true, "a host with a wrong name": false} {
		t.Run(name, func(t *testing.T) {
			c, book := newCorridor(t), &record{}
			c.world.DNS.Validate(true)
			c.tune, c.events = one, book
			host := "mx.d.test"
			if !proved {
				host = "evil.test"
			}
			peer := c.peer("d.test", sim.Peer{TLS: c.certificate(host), Offer: []string{"REQUIRETLS"}})
			var ids []queue.ID
			for i := range 4 {
				it := fromAlice()
				it.RequireTLS = i%2 == 1
				ids = append(ids, c.put(it, letterText, to(t, "x@d.test", 0)))
			}
			c.run()
			want := 4
			if !proved {
				want = 2
			}
			got := peer.Await(want, 20*time.Second)
			c.await("all is tried", func() bool { return c.idle(1) })
			if len(got) != want || len(c.letters("alice")) != 0 {
				t.Errorf("%d arrived: %s", len(got), c.letters("alice"))
			}
			for _, id := range []queue.ID{ids[0], ids[2]} {
				for _, l := range book.of(id) {
					if strings.Contains(l, "status=deferred") {
						t.Errorf("held up by its neighbour: %s", l)
					}
				}
			}
		})
	}
}

// A message with REQUIRETLS goes to the mail host that can, though it is not the best.
func TestRequireTLSFindsTheHostThatCan(t *testing.T) {
	c := newCorridor(t)
	c.world.DNS.Validate(true)
	c.peer("plain.test", sim.Peer{})
	good := c.peer("good.test", sim.Peer{TLS: c.certificate("mx.good.test"), Offer: []string{"REQUIRETLS"}})
	check(t, c.world.DNS.Load("d.test. MX 10 mx.plain.test.\nd.test. MX 20 mx.good.test.\n"))
	it := fromAlice()
	it.RequireTLS = true
	id := c.put(it, letterText, to(t, "x@d.test", 0))
	c.run()
	told := c.ended(id)
	if len(good.Taken()) != 1 || told != "" {
		t.Errorf("%+v %s", good.Taken(), told)
	}
}

// RFC 8689 §5: the notice travels under TLS itself; and one for which there is no
// such road is dropped, not sent in clear. Other mail on the same road is not touched.
func TestNoticeOfRequireTLS(t *testing.T) {
	for _, can := range []bool{true, false} {
		c := newCorridor(t)
		c.world.DNS.Validate(true)
		p := sim.Peer{}
		if can {
			p = sim.Peer{TLS: c.certificate("mx.d.test"), Offer: []string{"REQUIRETLS"}}
		}
		peer := c.peer("d.test", p)
		for _, required := range []bool{true, false} {
			it := &queue.Item{Sender: mustParse(t, "machine@d.test"), Origin: queue.Origin{Local: true}, RequireTLS: required}
			c.put(it, letterText, to(t, "x@reject.example", 0))
		}
		c.run()
		c.await("the queue is empty", c.empty)
		var got []string
		for _, x := range peer.Taken() {
			got = append(got, fmt.Sprint(x.TLS, strings.Contains(x.Mail, "REQUIRETLS")))
		}
		want := map[bool]string{true: "[true true true false]", false: "[false false]"}[can]
		if s := fmt.Sprint(got); s != want && s != "[true false true true]" {
			t.Errorf("host can=%v: notices came as %v", can, got)
		}
	}
}

// RFC 2852: what is to arrive by a time.
func TestDeliverBy(t *testing.T) {
	hour := time.Hour
	for name, x := range map[string]struct {
		to    string
		by    time.Duration
		ret   bool
		trace bool
		offer []string
		mail  string // of what the host took, "" for nothing
		told  string // "" for nothing
	}{
		"R to a host that promises":               {"x@d.test", hour, true, false, []string{"DELIVERBY"}, `BY=3[56]\d\d;R$`, ""},
		"R to one that promises but later":        {"x@d.test", hour, true, false, []string{"DELIVERBY 7200"}, "", "Status: 5.4.7"},
		"R to one that does not":                  {"x@d.test", hour, true, false, nil, "", "Status: 5.4.7"},
		"N to one that does not":                  {"x@d.test", hour, false, false, nil, `SIZE=\d+$`, ""},
		"N to one that promises, T":               {"x@d.test", hour, false, true, []string{"DELIVERBY", "DSN"}, `BY=3[56]\d\d;NT$`, "Action: relayed"},
		"N that is over":                          {"x@d.test", -hour, false, false, []string{"DELIVERBY 9"}, `BY=-3\d\d\d;N$`, ""},
		"R that is over is not tried":             {"x@d.test", -hour, true, false, []string{"DELIVERBY"}, "", "Status: 5.4.7"},
		"R that is over, here":                    {"bob@example.org", -hour, true, false, nil, "", "Status: 5.4.7"},
		"R in time, here":                         {"bob@example.org", hour, true, false, nil, "", ""},
		"R that waits comes back when it is over": {"x@defer.example", 300 * time.Millisecond, true, false, nil, "", "Status: 5.4.7"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCorridor(t)
			peer := c.peer("d.test", sim.Peer{Offer: x.offer})
			it := fromAlice()
			it.By = queue.Deadline{At: time.Now().Add(x.by), Return: x.ret, Trace: x.trace}
			id := c.put(it, letterText, to(t, x.to, 0))
			c.run()
			told := c.ended(id)
			if x.told == "" && told != "" || !strings.Contains(told, x.told) {
				t.Errorf("alice is told %q, want %q", told, x.told)
			}
			got := peer.Taken()
			if x.mail == "" && len(got) > 0 || x.mail != "" && (len(got) != 1 || !regexp.MustCompile(x.mail).MatchString(got[0].Mail)) {
				t.Errorf("%+v, want %q", got, x.mail)
			}
		})
	}
}

// N tells of the delay once, when the time is over, and goes on.
func TestDeliverByTellsOnce(t *testing.T) {
	c := newCorridor(t)
	for _, n := range []smtp.Notify{0, smtp.NotifyFailure, smtp.NotifyNever} {
		it := fromAlice()
		it.EnvelopeID, it.By = fmt.Sprint("n", int(n)), queue.Deadline{At: time.Now().Add(100 * time.Millisecond)}
		c.put(it, letterText, to(t, "x@defer.example", n))
	}
	c.run()
	c.await("all is tried", func() bool { return c.idle(6) })
	if got := fmt.Sprint(c.notices()); got != "map[n0:[delayed] n2:[delayed]]" {
		t.Error(got)
	}
}

// A letter in bytes, for here and for elsewhere (RFC 3030, MIME-023).
func TestBinary(t *testing.T) {
	const head = "Subject: b\r\nMIME-Version: 1.0\r\n\r\n"
	for name, x := range map[string]struct {
		body, offer, mail string
		end               string // of what arrives, where that is not the body
	}{
		"to a host that takes it":            {head + "\x00\n\rbare\r\n.\r\n", "CHUNKING BINARYMIME", "BODY=BINARYMIME", ""},
		"to one that does not":               {head + "\x00\r\n", "", "BODY=8BITMIME", "base64\r\n\r\nAA0K\r\n"},
		"to one with half of it":             {head + "a\nb\r\n", "BINARYMIME", "BODY=8BITMIME", "base64\r\n\r\nYQpiDQo=\r\n"},
		"text that was only called so":       {head + "h\xe9\r\n.\r\n", "", "BODY=8BITMIME", ""},
		"7-bit text that was only called so": {head + "he\r\n.\r\n", "", `SIZE=\d+$`, ""},
		"a line too long for text":           {head + strings.Repeat("x", 999) + "\r\n", "", "BODY=8BITMIME", "eHh4DQo=\r\n"},
		"a last line without an end":         {head + "x", "", "@example.org> SIZE", "\r\n\r\nx\r\n"},
	} {
		t.Run("MIME-023 "+name, func(t *testing.T) {
			c := newCorridor(t)
			peer := c.peer("d.test", sim.Peer{Offer: strings.Fields(x.offer)})
			it := fromAlice()
			it.Binary = true
			id := c.put(it, x.body, to(t, "x@d.test", 0), to(t, "bob@example.org", 0))
			c.run()
			if told := c.ended(id); told != "" {
				t.Errorf("alice is told %q", told)
			}
			got := peer.Taken()
			if len(got) != 1 || !regexp.MustCompile(x.mail).MatchString(got[0].Mail) {
				t.Fatalf("%+v", got)
			}
			if data := string(got[0].Data); x.end == "" && data != x.body || !strings.HasSuffix(data, x.end) {
				t.Errorf("arrived %q", data)
			}
			if bob := c.letters("bob"); len(bob) != 1 || !strings.HasSuffix(bob[0], "\r\n"+x.body) {
				t.Errorf("INV-14: bob has %q", bob)
			}
		})
	}
}

// REL-008: whatever the envelope holds stays an address, an identifier or a word:
// on the wire, in the notice, in the log and in the mailbox.
func TestHostileEnvelope(t *testing.T) {
	senders := []string{`"$(id)"@d.test`, "|sh@d.test", `"a b\"c\\d"@d.test`, "-oQ/tmp@d.test", "`id`@d.test", `"a@b"@d.test`, `"> RCPT TO:<x"@d.test`,
		"%s%n{{.}}@d.test", "'or''='@d.test", "../../etc@d.test", "<script>@d.test", `"<script>"@d.test`, "=?utf-8?q?=0D=0A?=@d.test"}
	identifiers := []string{"a\r\nBcc: x@y\r\n\r\n.\r\n", "\x00\xff+=", strings.Repeat("é", 50), "'; DROP TABLE item;--&priority=9"}
	c, book := newCorridor(t), &record{}
	c.events = book
	peer := c.peer("d.test", sim.Peer{Offer: []string{"DSN"}})
	back := c.peer("back.test", sim.Peer{Offer: []string{"DSN"}, Recipient: func(string) string { return "550 5.1.1 \x1b[2J<b>%s\x00 No" }})
	want := map[string]bool{}
	for i, s := range senders {
		sender, err := address.Parse(s)
		if err != nil {
			continue // it never gets this far
		}
		want[sender.String()] = true
		it := &queue.Item{Sender: sender, Origin: queue.Origin{Local: true}, EnvelopeID: identifiers[i%len(identifiers)]}
		r := queue.Recipient{Address: mustParse(t, "x@back.test"), ORcpt: smtp.Original{Type: "rfc822", Address: identifiers[(i+1)%len(identifiers)]}}
		c.put(it, letterText, r, to(t, "bob@example.org", 0))
	}
	if len(want) < 8 {
		t.Fatalf("only %d senders are addresses", len(want))
	}
	stop := c.run()
	got := peer.Await(len(want), 20*time.Second)
	c.await("the queue is empty", c.empty)
	stop()
	if len(got) != len(want) || len(back.Taken()) != 0 {
		t.Fatalf("%d notices, %d expected", len(got), len(want))
	}
	for _, x := range got {
		rcpt, err := address.Parse(strings.TrimSuffix(strings.TrimPrefix(x.Rcpts[0], "<"), ">"))
		if err != nil || !want[rcpt.String()] || !strings.HasPrefix(x.Mail, "<> ") {
			t.Errorf("on the wire: %q %q %v", x.Mail, x.Rcpts, err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(x.Data))
		if err != nil || len(m.Header["Bcc"]) > 0 || len(m.Header["To"]) != 1 || m.Header.Get("To") != "<"+rcpt.String()+">" {
			t.Errorf("in the notice: %v %v", m.Header, err)
		}
		if bytes.ContainsFunc(x.Data, func(r rune) bool { return r < ' ' && r != '\r' && r != '\n' && r != '\t' }) {
			t.Errorf("control characters in %q", x.Data)
		}
	}
	for _, l := range book.lines {
		if strings.ContainsAny(l, "\r\n\x00\x1b") {
			t.Errorf("in the log: %q", l)
		}
	}
	for _, l := range c.letters("bob") {
		if from := regexp.MustCompile(`^Return-Path: <(.*)>\r\nDelivered-To: `).FindStringSubmatch(l); from == nil || !want[from[1]] {
			t.Errorf("in the mailbox: %.200q", l)
		}
	}
}
