package deliver

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/forward"
	"facteur/internal/flow/rewrite"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
	"facteur/internal/mail/srs"
	"facteur/internal/store/list"
	"facteur/internal/store/queue"
)

// leaving is an outbound that rewrites what leaves.
func leaving(t *testing.T) *Outbound {
	t.Helper()
	set, err := list.Open([]list.Source{{Name: "generic", Entries: []string{"alice@lan.example alice@example.org", "carl@remote.example karl@remote.example"}}}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	keys := [][]byte{[]byte("key")}
	ours := func(_ context.Context, d string) lookup.Answer[bool] { return lookup.Yes(d == "example.org") }
	return &Outbound{Rewrite: &rewrite.Rules{Generic: set.Maps([]string{"generic"})},
		Forward: &forward.Rules{Ours: ours, Marks: forward.MarkKeys(keys), SRS: &srs.Scheme{Domain: "srs.example.org", Secrets: keys, Hash: 4, Days: 21}}}
}

func TestDeparture(t *testing.T) {
	const letter = "Received: x\r\nFrom: A <alice@lan.example>\r\nTo: carl@remote.example\r\n\r\nalice@lan.example\r\n"
	const renamed = "Received: x\r\nFrom: A <alice@example.org>\r\nTo: karl@remote.example\r\n\r\nalice@lan.example\r\n"
	const strange = "From: x@sender.example\r\n\r\nx\r\n"
	for _, c := range []struct {
		name, from, forwarder string
		origin                queue.Origin
		kind                  transport.Kind
		letter                string
		sender, to, text      string
	}{
		{"our own: generic, then a mark", "alice@lan.example", "", queue.Origin{Account: "alice@example.org"}, transport.SMTP, letter, "prvs=", "karl@remote.example", renamed},
		{"row 207 a stranger's", "x@sender.example", "both@example.org", queue.Origin{}, transport.SMTP, strange, "SRS0=", "karl@remote.example", "Delivered-To: both@example.org\r\n" + strange},
		{"row 207 with generic", "x@sender.example", "both@example.org", queue.Origin{}, transport.SMTP, letter, "SRS0=", "karl@remote.example", "Delivered-To: both@example.org\r\n" + renamed},
		{"row 210 to our own machines", "x@sender.example", "both@example.org", queue.Origin{}, transport.LMTP, letter, "x@sender.example", "carl@remote.example", letter},
		{"a stranger who says that he is ours gets no mark", "alice@example.org", "both@example.org", queue.Origin{}, transport.SMTP, strange, "alice@example.org", "karl@remote.example", "Delivered-To: both@example.org\r\n" + strange},
		{"relayed for a network", "x@sender.example", "", queue.Origin{Local: true}, transport.SMTP, strange, "x@sender.example", "karl@remote.example", strange},
		{"a notice", "", "both@example.org", queue.Origin{}, transport.SMTP, strange, "", "karl@remote.example", "Delivered-To: both@example.org\r\n" + strange},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := queue.Recipient{Address: parseAddress(t, "carl@remote.example")}
			it := &queue.Item{Origin: c.origin, Size: int64(len(c.letter))}
			if c.from != "" {
				it.Sender = parseAddress(t, c.from)
			}
			if c.forwarder != "" {
				r.Forwarder = parseAddress(t, c.forwarder)
			}
			it.Recipients = []queue.Recipient{r}
			a := &attempt{item: it, choice: transport.Choice{Transport: &transport.Transport{Kind: c.kind}}}
			body := strings.NewReader(c.letter)
			d, err := leaving(t).departs(t.Context(), a, body, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			env := envelope(it, time.Now())
			text := d.apply(&env, body)
			for range 2 { // it is read again when the connection turns out to be gone
				got, err := io.ReadAll(iotest.OneByteReader(text))
				if err != nil || string(got) != c.text {
					t.Errorf("left %q, %v\nwant %q", got, err, c.text)
				}
				if _, err := text.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
			}
			if !strings.HasPrefix(env.Sender.String(), c.sender) || (c.sender == "") != env.Sender.IsNull() || env.Recipients[0].To.String() != c.to || env.Size != int64(len(c.text)) {
				t.Errorf("from %s to %s, %d bytes of %d", env.Sender, env.Recipients[0].To, env.Size, len(c.text))
			}
			if it.Recipients[0].Address != r.Address || it.Size != int64(len(c.letter)) {
				t.Error("the queue's item was changed")
			}
		})
	}
}

// MAP-004: a generic table that does not answer keeps the mail here.
func TestDepartureWaits(t *testing.T) {
	set, err := list.Open(nil, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	o := &Outbound{Rewrite: &rewrite.Rules{Generic: set.Maps([]string{"gone"})}}
	a := &attempt{item: &queue.Item{Sender: parseAddress(t, "a@example.org"), Recipients: []queue.Recipient{{Address: parseAddress(t, "b@x")}}},
		choice: transport.Choice{Transport: &transport.Transport{Kind: transport.SMTP}}}
	_, err = o.departs(t.Context(), a, bytes.NewReader(nil), time.Now())
	if err == nil {
		t.Fatal("it left")
	}
	if r := a.notNow(err); len(r) != 1 || r[0].kind != queue.Deferred {
		t.Errorf("%+v", r)
	}
}

// LOOP-002: what was forwarded from an address before is not forwarded from it again.
func TestForwardingLoop(t *testing.T) {
	a := &attempt{item: &queue.Item{Recipients: []queue.Recipient{{Forwarder: parseAddress(t, "both@example.org")}, {Forwarder: parseAddress(t, "both@example.org")}}}}
	for text, loops := range map[string]bool{
		"Received: x\r\nDelivered-To: Both@example.ORG\r\n\r\n": true,
		"Received: x\r\nDelivered-To: all@example.org\r\n\r\n":  false,
		"Subject: x\r\n\r\nDelivered-To: both@example.org\r\n":  false,
	} {
		r, err := a.loops(strings.NewReader(text))
		if err != nil || (len(r) == 2 && r[0].kind == queue.Failed && r[1].reply.Enhanced == "5.4.6") != loops {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	}
}

func parseAddress(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
