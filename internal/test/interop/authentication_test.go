package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLettersOfDebian: rows 163, 169, 170 and 171, from a real Postfix whose letters opendkim
// signs, over a real name server, to a real facteur, which says what it found. swaks says the
// same words without a signature, and is believed by SPF; from nowhere, it is refused.
func TestLettersOfDebian(t *testing.T) {
	t.Parallel()
	swaks := Need(t, "swaks")
	signer := NewOpenDKIM(t)
	WriteFile(t, filepath.Join(signer.dir, "internal"), "127.0.0.1\n") // whose letters it signs
	signer.Start()
	_, key, _ := strings.Cut(signer.Record(), `"`)
	var parts strings.Builder
	for part := range slices.Chunk([]byte(strings.TrimSuffix(key, `"`)), 255) {
		fmt.Fprintf(&parts, " %q", part)
	}
	dns := StartUnbound(t,
		Zone{Name: "example.org", Records: "example.org. TXT \"v=spf1 ip4:127.0.0.1 -all\"\n_dmarc.example.org. TXT \"v=DMARC1; p=reject\"\ntest._domainkey.example.org. TXT" + parts.String() + "\n"},
		Zone{Name: "bank.test", Records: "bank.test. TXT \"v=spf1 -all\"\n_dmarc.bank.test. TXT \"v=DMARC1; p=reject\"\n"}).Addr()
	f := NewFacteur(t, Setup{Domains: []string{"example.net"}, Accounts: []string{"bob@example.net"}, Trusted: "192.0.2.1/32",
		Config: fmt.Sprintf("[dns]\nservers = [%q]\n", dns)})
	f.Start()
	p := NewPostfix(t, PostfixSetup{Main: map[string]string{"relayhost": hop(f.Addr("smtp")), "smtpd_milters": signer.Socket()}})
	p.Start()
	const letter = "From: alice@example.org\nTo: bob@example.net\nSubject: %s\n\nTwo  words,\n.and a dot.\n\n\n"
	send := func(server, from, subject, author string) (string, error) {
		text := strings.Replace(fmt.Sprintf(letter, subject), "alice@example.org", author, 1)
		return TryRun(t, text, swaks, "--server", server, "--from", from, "--to", "bob@example.net", "--data", "-", "--hide-all")
	}
	for _, x := range []struct{ name, server, from, author, want string }{
		{"signed", p.Addr(), "alice@example.org", "alice@example.org", "dkim=pass (2048-bit key) header.d=example.org"},
		{"unsigned", f.Addr("smtp"), "alice@example.org", "alice@example.org", "dkim=none (no signatures found)"},
	} {
		if out, err := send(x.server, x.from, x.name, x.author); err != nil {
			t.Fatalf("%s: %v\n%s", x.name, err, out)
		}
		var got string
		WaitUntil(t, "the letter "+x.name, func() bool {
			for _, body := range DialIMAP(t, f.Addr("imap"), "bob@example.net").Bodies("INBOX") {
				if strings.Contains(string(body), "\nSubject: "+x.name) {
					got = strings.NewReplacer("\r\n\t", " ", "\r\n", "\n").Replace(string(body))
				}
			}
			return got != ""
		})
		for _, want := range []string{"Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=127.0.0.1;", "spf=pass smtp.mailfrom=alice@example.org", x.want,
			"dmarc=pass (p=reject dis=none) header.from=example.org"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", x.name, want, got)
			}
		}
	}
	if out, err := send(f.Addr("smtp"), "x@bank.test", "pay", "ceo@bank.test"); err == nil {
		t.Errorf("a forgery was taken: %s", out)
	}
	if log := f.Log(); !strings.Contains(log, "bank.test fail (p=reject dis=reject) spf=fail/bank.test") {
		t.Errorf("the log does not tell of it:\n%s", log)
	}
}

// hop is an address as Postfix names a next hop.
func hop(address string) string {
	host, port, _ := strings.Cut(address, ":")
	return "[" + host + "]:" + port
}
