package deliver

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/store/dkimkey"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// TestSignedAgain: row 223: a letter of ours that is made fit for the next host leaves
// with a signature that holds there; what need not be changed keeps the one it has, and a
// stranger's letter gets none (AUT-021).
func TestSignedAgain(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	record, err := dkim.Key{Private: private}.Record()
	check(t, err)
	zone := sim.Zone(t, fmt.Sprintf("a._domainkey.example.org. TXT %q\n", record))
	const letter = "From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: hello\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
	for name, tc := range map[string]struct {
		own, eightBit bool
		want          dkim.Status // "": there is no signature
		change        func(*queue.Item)
	}{
		"to a host without 8BITMIME":               {true, true, dkim.Pass, nil},
		"to a host that takes it as it is":         {true, false, dkim.Pass, nil},
		"AUT-021 a stranger's is not signed by us": {false, true, dkim.Fail, nil},
		"AUT-021 nor touched where it may stay so": {false, false, dkim.Pass, nil},
		"AUT-021 who is barred stays so":           {true, true, "", func(it *queue.Item) { it.Origin.Account = "eve@example.com" }},
		"AUT-021 what a content filter gave back":  {true, true, dkim.Fail, func(it *queue.Item) { it.Origin.Returned = true }},
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
			_, err := keys.Import("example.org", "a", private, dkimkey.Active, time.Now())
			check(t, err)
			rules := &sign.Rules{Enabled: true}
			signer := sign.New(func() *sign.Rules { return rules }, keys, event.Discard)
			barred := func(_ context.Context, account string) sign.Barred {
				return func(address.Address) (string, error) {
					if account == "" {
						return "", nil
					}
					return account + " may not", nil
				}
			}
			c.extend = func(h *House) { h.Signer, h.Barred = signer, barred }
			at, body := message.HeaderEnd([]byte(letter)), dkim.NewBody()
			opened := signer.Open(message.Header(letter[:at]), body)
			body.Write([]byte(letter[at:]))
			first, err := opened.Sign(message.Header(letter[:at]), nil, nil, time.Now())
			check(t, err)
			signed := string(first.Fields) + letter
			c.forwarded(signed, to, tc.own, tc.change)
			c.run()
			got := sink.Await(1, 20*time.Second)
			if len(got) != 1 {
				t.Fatalf("nothing came:\n%s", steps)
			}
			c.await("the queue is empty", c.empty)
			text := got[0].Data
			end, heard := message.HeaderEnd(text), dkim.NewBody()
			read := dkim.Read(message.Header(text[:end]), heard, dkim.Options{})
			heard.Write(text[end:])
			results := read.Verify(t.Context(), zone.LookupTXT, time.Now())
			if len(results) == 0 {
				results = []dkim.Result{{}}
			}
			if len(results) != 1 || results[0].Status != tc.want {
				t.Errorf("%+v\n%s", results, text)
			}
			if again := strings.Contains(steps.String(), "was changed as it left, and signed again with DKIM by a._domainkey.example.org"); again != (tc.own && tc.eightBit && tc.change == nil) {
				t.Errorf("signed again: %v\n%s", again, steps)
			}
		})
	}
}
