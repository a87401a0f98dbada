package smtpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/smtp"
	"facteur/internal/net/smtpc"
	"facteur/internal/test/sim"
)

func binaryEnvelope(t *testing.T, size int, to ...string) smtpc.Envelope {
	env := envelope(t, to...)
	env.Binary, env.Size = true, int64(size)
	return env
}

var chunking = []string{"CHUNKING", "BINARYMIME"}

// RFC 3030 §2: bytes as they are, in chunks, one transaction after the other.
func TestChunks(t *testing.T) {
	for _, mode := range modes {
		for _, size := range []int{0, 1, 4 << 20, 4<<20 + 1, 9 << 20} {
			s := startPeer(t, sim.Peer{Hide: mode.hide, Offer: chunking})
			c := dial(t, s, config())
			body := bytes.Repeat([]byte("\x00.\n\r.\r\n\xff"), size/8+1)[:size]
			for range 2 {
				expect(t, c.Send(context.Background(), binaryEnvelope(t, size, "a@x.example", "b@x.example"), bytes.NewReader(body)), "250 end of DATA", "250 end of DATA")
			}
			expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
			got := s.Await(3, wait)
			if len(got) != 3 || !bytes.Equal(got[0].Data, body) || !bytes.Equal(got[1].Data, body) || string(got[2].Data) != letter ||
				!strings.HasSuffix(got[0].Mail, " BODY=BINARYMIME") {
				t.Errorf("%s, %d bytes: %d messages arrived", mode.name, size, len(got))
			}
		}
	}
}

// What goes wrong on the way leaves no message behind, and nobody without an answer.
func TestChunksFail(t *testing.T) {
	const large = 9 << 20
	for name, x := range map[string]struct {
		fault  sim.Fault
		refuse bool
		want   string
		usable bool
	}{
		"the first chunk is refused":  {sim.Fault{At: "BDAT", Raw: "552 5.3.4 Too much\r\n"}, false, "552 DATA", true},
		"the second is put off":       {sim.Fault{At: "BDAT", Nth: 2, Raw: "452 4.3.1 Full\r\n"}, false, "452 DATA", true},
		"the last is refused":         {sim.Fault{At: "end", Raw: "554 5.6.0 No\r\n"}, false, "554 end of DATA", true},
		"it hangs up":                 {sim.Fault{At: "BDAT", Nth: 2, Silent: true, Then: sim.Drop}, false, "451 DATA!", false},
		"it hangs up at the end":      {sim.Fault{At: "end", Silent: true, Then: sim.Drop}, false, "451 end of DATA!", false},
		"it asks for more":            {sim.Fault{At: "BDAT", Raw: "354 Go on\r\n"}, false, "451 DATA!", false},
		"it says too much":            {sim.Fault{At: "BDAT", Extra: "250 Ok\r\n"}, false, "451 DATA!", false},
		"it closes":                   {sim.Fault{At: "BDAT", Raw: "421 4.3.2 Bye\r\n", Then: sim.Drop}, false, "421 DATA", false},
		"it has no such recipient":    {sim.Fault{}, true, "550 RCPT TO", true},
		"it has no place for anybody": {sim.Fault{At: "MAIL", Raw: "452 4.3.1 Full\r\n"}, false, "452 MAIL FROM", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := sim.Peer{Offer: chunking, Faults: []sim.Fault{x.fault}}
			if x.refuse {
				p.Recipient = func(string) string { return "550 5.1.1 No" }
			}
			s := startPeer(t, p)
			c := dial(t, s, config())
			res := c.Send(context.Background(), binaryEnvelope(t, large, "a@x.example"), bytes.NewReader(make([]byte, large)))
			expect(t, res, x.want)
			if c.Usable() != x.usable {
				t.Errorf("usable %v", !x.usable)
			}
		})
	}
	t.Run("our own copy is cut off", func(t *testing.T) {
		s := startPeer(t, sim.Peer{Offer: chunking})
		for _, body := range []io.Reader{strings.NewReader("short"), io.MultiReader(strings.NewReader("short"), broken{})} {
			c := dial(t, s, config())
			res := c.Send(context.Background(), binaryEnvelope(t, 100, "a@x.example"), body)
			expect(t, res, "451 DATA!")
			if !errors.Is(res.Recipients[0].Err, smtpc.ErrBody) || c.Usable() {
				t.Errorf("%v", res.Recipients[0].Err)
			}
		}
		if got := s.Await(1, brief); len(got) > 0 {
			t.Errorf("half a message arrived: %q", got[0].Data)
		}
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk") }

// What a peer does not offer is not said to it; what it must offer and does not is
// an obstacle, told before anything is sent.
func TestPromises(t *testing.T) {
	all := envelope(t, "a@x.example")
	all.Ret, all.EnvelopeID, all.Priority = smtp.RetHeaders, "Q=1", 3
	all.By = smtp.DeliverBy{Given: true, Within: time.Hour + time.Second/2}
	all.Recipients[0].Notify, all.Recipients[0].Original = smtp.NotifyNever, smtp.Original{Type: "rfc822", Address: "A@x.example"}
	returned, soon, secret := all, all, all
	returned.By.Return = true
	soon.By = smtp.DeliverBy{Given: true, Within: time.Minute, Return: true}
	secret.RequireTLS = true
	for name, x := range map[string]struct {
		env        smtpc.Envelope
		offer      string
		mail, rcpt string
		err        error
		code       string
	}{
		"all to one that knows all":  {all, "DSN,DELIVERBY,MT-PRIORITY STANAG4406", "<alice@example.org> RET=HDRS ENVID=Q+3D1 BY=3600;N MT-PRIORITY=3", "<a@x.example> NOTIFY=NEVER ORCPT=rfc822;A@x.example", nil, ""},
		"all to one that knows none": {all, "", "<alice@example.org>", "<a@x.example>", nil, ""},
		"R to one without":           {returned, "DSN", "", "", smtpc.ErrDeadline, "5.4.7"},
		"R sooner than promised":     {soon, "DELIVERBY 61", "", "", smtpc.ErrDeadline, "5.4.7"},
		"R as soon as promised":      {soon, "DELIVERBY 60", "<alice@example.org> BY=60;R", "<a@x.example>", nil, ""},
		"REQUIRETLS in clear":        {secret, "REQUIRETLS", "", "", smtpc.ErrNeedsTLS, "5.7.30"},
		"binary to one without":      {binaryEnvelope(t, 9, "a@x.example"), "CHUNKING", "", "", smtpc.ErrNeedsBinary, "5.6.3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{Hide: []string{"SIZE"}, Offer: strings.FieldsFunc(x.offer, func(r rune) bool { return r == ',' })})
			c := dial(t, s, config())
			res := c.Send(context.Background(), x.env, strings.NewReader(letter))
			if x.err != nil {
				if r := res.Recipients[0]; !errors.Is(r.Err, x.err) || r.Reply.Enhanced != x.code || !r.Reply.Permanent() || !c.Usable() {
					t.Errorf("%v, %v", r.Reply, r.Err)
				}
				return
			}
			expect(t, res, "250 end of DATA")
			if got := s.Await(1, wait)[0]; got.Mail != x.mail || got.Rcpts[0] != x.rcpt {
				t.Errorf("%q %q", got.Mail, got.Rcpts)
			}
		})
	}
}

// RFC 8689: TLS alone is not enough, nor is REQUIRETLS from somebody unknown.
func TestRequireTLSNeedsAProof(t *testing.T) {
	server, pool := certificate(t)
	s := startPeer(t, sim.Peer{TLS: server, Offer: []string{"REQUIRETLS"}})
	env := envelope(t, "a@x.example")
	env.RequireTLS = true
	c := dial(t, s, config())
	if res := c.Send(context.Background(), env, strings.NewReader(letter)); !errors.Is(res.Recipients[0].Err, smtpc.ErrNeedsTLS) || c.Verified() {
		t.Errorf("%v", res.Recipients[0].Reply)
	}
	cfg := config()
	cfg.Security, cfg.TLS = smtpc.Verified, &tls.Config{RootCAs: pool}
	c = dial(t, s, cfg)
	expect(t, c.Send(context.Background(), env, strings.NewReader(letter)), "250 end of DATA")
	if got := s.Await(1, wait)[0]; !got.TLS || !strings.HasSuffix(got.Mail, " REQUIRETLS") {
		t.Errorf("%+v", got)
	}
	plain := fails(t, target(startPeer(t, sim.Peer{})), cfg)
	if !errors.Is(plain, smtpc.ErrNotOffered) || !errors.Is(plain, smtpc.ErrNoTLS) {
		t.Errorf("%v", plain)
	}
}

// Fit: what was declared and is not needed is not asked for (RFC 6531 §3.6).
func TestFit(t *testing.T) {
	utf8, utf8Sender, eight, binary := envelope(t, "a@x.example"), envelope(t, "a@x.example"), envelope(t, "a@x.example"), binaryEnvelope(t, 9, "a@x.example")
	eight.Body8Bit = true
	utf8.UTF8, utf8Sender.UTF8 = true, true
	utf8Sender.Sender = mailbox(t, "jörg@example.org")
	for name, x := range map[string]struct {
		env  smtpc.Envelope
		hide string
		body string
		want string // what follows the sender's address; the enhanced code; or "!" and the end of what arrives
	}{
		"ASCII header, 8-bit body": {utf8, "SMTPUTF8", "Subject: x\r\n\r\n\xc3\xa9\r\n", " BODY=8BITMIME"},
		"ASCII, to a 7-bit host":   {utf8, "SMTPUTF8 8BITMIME", "Subject: x\r\n\r\ne\r\n", ""},
		"8-bit, to a 7-bit host":   {utf8, "SMTPUTF8 8BITMIME", "Subject: x\r\n\r\n\xc3\xa9\r\n", "!=C3=A9\r\n"},
		"8-bit, and signed":        {utf8, "SMTPUTF8 8BITMIME", "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n", "5.6.3"},
		"header in Latin-1":        {eight, "8BITMIME", "Subject: \xe9\r\n\r\ne\r\n", "5.6.3"},
		"called 8-bit, and is not": {eight, "8BITMIME", "Subject: x\r\n\r\ne\r\n", ""},
		"binary to a 7-bit host":   {binary, "8BITMIME", "MIME-Version: 1.0\r\n\r\n\x00", "!AA==\r\n"},
		"header in UTF-8":          {utf8, "SMTPUTF8", "Subject: \xc3\xa9\r\n\r\ne\r\n", "5.6.7"},
		"header in UTF-8, folded":  {utf8, "SMTPUTF8", "Subject: x\r\n \xc3\xa9\r\n\r\ne\r\n", "5.6.7"},
		"address in UTF-8":         {utf8Sender, "SMTPUTF8", "Subject: x\r\n\r\ne\r\n", "5.6.7"},
		"to a host that takes it":  {utf8, "", "Subject: x\r\n\r\ne\r\n", " BODY=8BITMIME SMTPUTF8"},
		"binary that is text":      {binary, "", "Subject: x\r\n\r\n\xc3\xa9\r\n", " BODY=8BITMIME"},
		"binary with a bare CR":    {binary, "", "Subject: x\r\n\r\n\r\r\n", "!DQ0K\r\n"},
		"binary with a bare LF":    {binary, "", "Subject: x\r\n\r\n\n", "!Cg==\r\n"},
		"binary that is empty":     {binary, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{Hide: append(strings.Fields(x.hide), "SIZE")})
			c := dial(t, s, config())
			body := strings.NewReader(x.body)
			env, err := c.Fit(x.env, body)
			if err != nil {
				t.Fatal(err)
			}
			res := c.Send(context.Background(), env, body)
			if r := res.Recipients[0]; !r.Delivered() {
				if r.Reply.Enhanced != x.want {
					t.Errorf("%v, want %q", r.Reply, x.want)
				}
				return
			}
			if end, converted := strings.CutPrefix(x.want, "!"); converted {
				if got := s.Await(1, wait)[0]; !strings.HasSuffix(string(got.Data), "\r\n\r\n"+end) {
					t.Errorf("%q, want the end %q", got.Data, end)
				}
				return
			}
			if got := s.Await(1, wait)[0]; strings.TrimPrefix(got.Mail, "<alice@example.org>") != x.want || string(got.Data) != x.body {
				t.Errorf("%q %q, want %q", got.Mail, got.Data, x.want)
			}
		})
	}
}

// A domain in Unicode goes out in A-labels, to hosts with SMTPUTF8 and without.
func TestIDNGoesOutAsALabels(t *testing.T) {
	for _, hide := range []string{"", "SMTPUTF8"} {
		s := startPeer(t, sim.Peer{Hide: []string{hide}})
		expect(t, dial(t, s, config()).Send(context.Background(), envelope(t, "a@bücher.example"), strings.NewReader(letter)), "250 end of DATA")
		if got := s.Await(1, wait)[0]; got.Rcpts[0] != "<a@xn--bcher-kva.example>" || strings.Contains(got.Mail, "SMTPUTF8") {
			t.Errorf("%q %q", got.Mail, got.Rcpts)
		}
	}
}
