package interop

import (
	"strings"
	"testing"
)

// The helpers themselves: a letter goes through the private Postfix into a
// Maildir and comes out of the private Dovecot, before and after a kill.
func TestDebianPost(t *testing.T) {
	t.Parallel()
	d := NewDebian(t, Setup{Accounts: []string{"alice@example.org"}})
	for _, text := range []string{"first letter", "after the kill"} {
		d.Start()
		d.Sendmail("bob@example.net", []string{"alice@example.org"}, "Subject: hello\n\n"+text+"\n")
		body := WaitLetter(t, d.Addr("imap"), "alice@example.org", text)
		if !strings.HasPrefix(string(body), "Return-Path: <bob@example.net>\r\n") {
			t.Errorf("letter begins with %.60q", body)
		}
		d.Kill()
	}
}
