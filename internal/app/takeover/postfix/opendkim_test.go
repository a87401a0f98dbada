package postfix

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"facteur/internal/app/takeover"
)

// row 224: keys of an opendkim beside Postfix: which can be taken over, for whom they sign,
// and why others can't; nothing of it waits any more.
func TestOpenDKIMBeside(t *testing.T) {
	t.Parallel()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed([]byte(strings.Repeat("key!", 8))))
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	took, text := of(t, "mydestination = example.org\n", "", map[string]string{
		"opendkim.conf":              "Mode sv\nCanonicalization relaxed\nKeyTable refile:opendkim/KeyTable\nSigningTable\trefile:opendkim/SigningTable\nSocket inet:8891@localhost\nSenderHeaders Sender,From\n",
		"opendkim/KeyTable":          "one example.org:mail:keys/mail.private\ntwo example.net:mail:/nowhere/x.private\n",
		"opendkim/SigningTable":      "*@example.org one\n*@customer.example one\n*@example.net two\n",
		"opendkim/keys/mail.private": key, "opendkim/keys/old.private": key,
	})
	for what, want := range map[string]struct {
		verdict takeover.Verdict
		why     string
	}{
		"one example.org:mail:": {takeover.Understood, "it prints the [[dkim_key]] for *@customer.example"},
		"two example.net:mail:": {takeover.NotSupported, "/nowhere/x.private"},
		"KeyTable ":             {takeover.Understood, "facteur dkim import"},
		"SenderHeaders ":        {takeover.NotSupported, "From chooses the key"},
		"Canonicalization ":     {takeover.Understood, ""},
	} {
		if l := line(t, took, what); l.Verdict != want.verdict || !strings.Contains(l.Why, want.why) {
			t.Errorf("%s: %+v", what, l)
		}
	}
	if !strings.Contains(text, `canonicalization = "relaxed/simple"`) {
		t.Error(text)
	}
	stray := 0
	for _, l := range took.Report.Lines {
		if l.Verdict == takeover.Waits {
			t.Errorf("it waits: %+v", l)
		}
		if strings.HasSuffix(l.File, "old.private") && l.Verdict == takeover.NotSupported {
			stray++
		} else if strings.HasSuffix(l.File, "mail.private") {
			t.Errorf("told twice: %+v", l)
		}
	}
	if stray != 1 {
		t.Errorf("%d lines about a key that no table names", stray)
	}
}
