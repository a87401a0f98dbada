package intake

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/dkimkey"
	"facteur/internal/test/sim"
)

// signing gives a counter keys for example.org, other.example and bücher.example.
func (c *counter) signing(t *testing.T, rules *sign.Rules) (txt dkim.TXT, log *diary) {
	t.Helper()
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat("key!", 8)))
	record, err := dkim.Key{Private: private}.Record()
	must(t, err)
	keys, zone := dkimkey.New(vfs.NewMem(), "/dkim"), ""
	for _, domain := range []string{"example.org", "other.example", "xn--bcher-kva.example"} {
		_, err := keys.Import(domain, "s", private, dkimkey.Active, time.Now())
		must(t, err)
		zone += fmt.Sprintf("s._domainkey.%s. TXT %q\n", domain, record)
	}
	rules.Enabled, log = true, &diary{}
	c.Desk.events = log
	c.Sign(sign.New(func() *sign.Rules { return rules }, keys, log))
	return sim.Zone(t, zone).LookupTXT, log
}

// signatures are the domains whose signature stands above a letter, each good.
func signatures(t *testing.T, text string, txt dkim.TXT) (domains []string) {
	t.Helper()
	end, body := message.HeaderEnd([]byte(text)), dkim.NewBody()
	read := dkim.Read(message.Header(text[:end]), body, dkim.Options{})
	body.Write([]byte(text[end:]))
	for _, r := range read.Verify(t.Context(), txt, time.Now()) {
		if r.Status == dkim.Pass {
			domains = append(domains, r.Domain)
		} else if r.Domain != "gone.example" {
			t.Errorf("%+v\n%s", r, text)
		}
	}
	return domains
}

// TestWhoIsSignedFor: rows 223 and 224, AUT-021: whose letters bear our signature, from
// which door, and that it holds for the bytes that are kept.
func TestWhoIsSignedFor(t *testing.T) {
	alice, machine, unix, device, lmtp, filter := insider("alice@example.org"), stranger, stranger, stranger, stranger, stranger
	for _, p := range []*Peer{&machine, &lmtp, &filter} {
		p.Addr = netip.MustParseAddr("10.1.2.3")
	}
	lmtp.PerRecipient, filter.Forwarded = true, &Forwarded{Addr: stranger.Addr}
	unix.User = &LocalUser{UID: 1000, Name: "cron"}
	var err error
	device.Device, err = NewDevice([]netip.Prefix{netip.PrefixFrom(stranger.Addr, 32)}, []string{"scanner@example.org"}, []string{"x@far.example"}, 10)
	must(t, err)
	c := newCounter(t, 0)
	c.with(func(r *Rules) { r.SenderLogins = grants("shop@other.example", "alice@example.org") })
	txt, log := c.signing(t, &sign.Rules{})
	const oldOne = "DKIM-Signature: v=1; a=rsa-sha256; d=gone.example; s=x; h=from; bh=; b=\r\n"
	for _, x := range []struct {
		name   string
		peer   Peer
		sender string
		header string
		want   string
	}{
		{"herself", alice, "alice@example.org", "From: Alice <alice@example.org>\r\n", "example.org"},
		{"AUT-021 a colleague: the admin's header_from says whether", alice, "alice@example.org", "From: bob@example.org\r\n", "example.org"},
		{"AUT-021 another domain of this server", alice, "alice@example.org", "From: ceo@other.example\r\n", ""},
		{"AUT-021 another domain of this server, and herself as the sender", alice, "alice@example.org", "From: ceo@other.example\r\nSender: alice@example.org\r\n", ""},
		{"one that she was granted", alice, "alice@example.org", "From: shop@other.example\r\n", "other.example"},
		{"AUT-021 a stranger as the author", alice, "alice@example.org", "From: a@bank.example\r\n", ""},
		{"AUT-021 two From fields", alice, "alice@example.org", "From: alice@example.org\r\nFrom: ceo@other.example\r\n", ""},
		{"AUT-021 her address as the name of another", alice, "alice@example.org", "From: \"alice@example.org\" <ceo@other.example>\r\n", ""},
		{"no From", alice, "alice@example.org", "Subject: x\r\n", ""},
		{"a signature of another there already", alice, "alice@example.org", oldOne + "From: alice@example.org\r\n", "example.org"},
		{"a long header", alice, "alice@example.org", "From: alice@example.org\r\nReferences:" + strings.Repeat("\r\n <0123456789@example.org>", 200) + "\r\n", "example.org"},
		{"a trusted machine", machine, "root@example.org", "From: root@example.org\r\n", "example.org"},
		{"AUT-021 a trusted machine, for a stranger", machine, "root@example.org", "From: a@bank.example\r\n", ""},
		{"SMTPUTF8, a name in letters", machine, "", "From: büro@bücher.example\r\n", "xn--bcher-kva.example"},
		{"sendmail", unix, "", "From: cron@example.org\r\n", "example.org"},
		{"a device", device, "scanner@example.org", "From: scanner@example.org\r\n", "example.org"},
		{"AUT-021 what a server has from anybody (LMTP)", lmtp, "", "From: ceo@example.org\r\n", ""},
		{"AUT-021 what a content filter gives back", filter, "", "From: ceo@example.org\r\n", ""},
		{"AUT-021 a stranger", stranger, "", "From: ceo@example.org\r\n", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			to := "x@far.example"
			if strings.HasPrefix(x.header, "From: ceo@example.org") {
				to = "bob@example.org"
			}
			m := smtp.Mail{UTF8: true}
			if x.sender != "" {
				m.Sender = addr(t, x.sender)
			}
			where, answer, id := c.talk(t, x.peer, m, x.header+"To: x@far.example\r\n\r\nA line,\nand one that ends with LF.\r\n.\r\n", to)
			if where != "" {
				t.Fatal(where, answer)
			}
			item, text := c.bytes(t, id)
			if got := strings.Join(signatures(t, text, txt), " "); got != x.want {
				t.Errorf("signed by %q, want %q\n%s\n%s", got, x.want, log.sentences(), text)
			}
			if item.Origin.Returned != (x.peer.Forwarded != nil) {
				t.Errorf("%+v", item.Origin)
			}
		})
	}
}

// grants is a list of logins with one line.
func grants(sender, login string) func(context.Context, string) lookup.Answer[string] {
	return func(_ context.Context, key string) lookup.Answer[string] {
		if key == sender {
			return lookup.Yes(login)
		}
		return lookup.No[string](nil)
	}
}

// TestSignatureRequired: row 224: where the admin wants no letter of ours to leave without
// a signature, one that should have it and has not comes again, or never, if its sender has
// no right to it; whose domain has no keys is let go.
func TestSignatureRequired(t *testing.T) {
	c := newCounter(t, 0)
	for name, x := range map[string]struct{ from, want string }{
		"a good key":               {"alice@example.org", ""},
		"no key that can be read":  {"news@example.org", "451 4.7.5"},
		"AUT-021 another's domain": {"ceo@other.example", "550 5.7.1 <ceo@other.example>: Author address rejected: not owned by user alice@example.org"},
		"a domain without keys":    {"a@elsewhere.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.signing(t, &sign.Rules{Require: true, Own: []sign.Own{{For: []sign.Pattern{"news@example.org"}, Domain: "example.org", Selector: "n", Err: errors.New("no such file")}}})
			_, answer, id := c.talk(t, insider("alice@example.org"), from(t, "alice@example.org"), "From: "+x.from+"\r\n\r\nx\r\n", "x@far.example")
			if !strings.HasPrefix(answer, x.want) || (id == 0) != (x.want != "") {
				t.Errorf("%q, want %q", answer, x.want)
			}
		})
	}
}

// TestSignatureCoversWhatRulesPutAbove: INV-14, a field that a rule puts above a letter of
// ours is part of what is signed, also where the signature says that there is no such field.
func TestSignatureCoversWhatRulesPutAbove(t *testing.T) {
	c := newCounter(t, 0)
	c.govern(t, [3]string{"end", `true`, "prepend Reply-To: help@example.org"})
	txt, _ := c.signing(t, &sign.Rules{})
	_, _, id := c.talk(t, insider("alice@example.org"), from(t, "alice@example.org"), "From: alice@example.org\r\n\r\nhello\r\n", "bob@example.org")
	_, text := c.bytes(t, id)
	if domains := signatures(t, text, txt); len(domains) != 1 || !strings.Contains(text, "Reply-To: help@example.org\r\n") {
		t.Errorf("%q\n%s", domains, text)
	}
}
