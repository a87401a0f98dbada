package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"facteur/internal/test/sim"
)

// The letter of the first text: a bounce of spam that was sent on (rows 229, 233).
func TestAutopsy(t *testing.T) {
	t.Parallel()
	const file = "../../internal/mail/anatomy/testdata/bounce.eml"
	out := good(t, "", "autopsy", "--offline", "--trusted", "mail.example.org", file)
	for _, w := range []string{
		"THE LETTER\n  From        Mail Delivery System <MAILER-DAEMON@mail.example.org>", "IT IS A NOTICE, BY mail.example.org\n  client@gmail.com: failed 5.7.0\n",
		"The other side takes the message, a link or an attachment in it for dangerous.", "A Sieve script of contact@client.example sent it on.",
		"THE LETTER THAT IT IS ABOUT\n", "1  unproven    AMAZONA-F00CA66  2016-04-28 12:51:42Z", "7  ours        mail.example.org  2016-04-28 12:51:57Z  +6s",
		"Certain is only that bba148580.spam.example [217.165.0.7] handed it over to mail.example.org.", `contains "1940c09.js", which would be run`,
	} {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
	var a autopsy
	if err := json.Unmarshal([]byte(good(t, "", "autopsy", "--json", "--offline", "--trusted", "mail.example.org", file)), &a); err != nil ||
		a.Checked != nil || a.Letter.Notice == nil || len(a.Letter.Notice.Inner.Hops) != 7 {
		t.Errorf("JSON: %+v, %v", a, err)
	}
}

// What signatures say today, and nothing that a terminal would obey.
func TestAutopsyChecks(t *testing.T) {
	t.Parallel()
	dns, err := sim.StartDNS("127.0.0.1:0", dmarcZone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	letter := "Received: from \x1b[2Jevil (evil [192.0.2.66]) by mx.example.net; Thu, 28 Apr 2016 12:00:00 +0000\n" +
		"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=none; h=from; bh=" + strings.Repeat("A", 43) + "=; b=AAAA\n" +
		"From: =?utf-8?q?bank=1b[31m?= <a@example.org>\nSubject: \x1b]0;owned\x07\n\nhttp://x.example/\x1b[2J\n"
	out := good(t, letter, "autopsy", "-", "--dns", dns.Addr())
	for _, w := range []string{"dkim   permerror  example.org", "arc    none", "dmarc  fail  example.org: neither SPF nor DKIM passes", "ours        mx.example.net"} {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
	if strings.ContainsAny(out, "\x1b\x07") {
		t.Errorf("%q", out)
	}
	if status, _, errs := call(t, "", "autopsy", "/nowhere/letter"); status != 2 || !strings.Contains(errs, "no such file") {
		t.Errorf("%d, %q", status, errs)
	}
	if status, _, errs := call(t, "", "autopsy", os.DevNull); status != 2 || !strings.Contains(errs, "it is empty") {
		t.Errorf("%d, %q", status, errs)
	}
}
