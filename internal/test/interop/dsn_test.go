package interop

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const dave = "dave@remote.test"

// betweenPostfix is facteur with a real Postfix as its next hop, which sends back
// what is for example.org.
func betweenPostfix(t *testing.T) (post *Facteur, peer *Postfix, maildir string) {
	t.Helper()
	NeedRoot(t)
	root := Room(t)
	uid, gid := Chown(t, root, "mail")
	peer = NewPostfix(t, PostfixSetup{Main: debianMain(Setup{Domains: []string{"remote.test"}, Accounts: []string{dave}}, root, uid, gid)})
	post = NewFacteur(t, Setup{Accounts: []string{alice}, Smarthost: peer.Addr()})
	host, port, err := net.SplitHostPort(post.Addr("smtp"))
	if err != nil {
		t.Fatal(err)
	}
	main, err := os.OpenFile(filepath.Join(peer.Config(), "main.cf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer main.Close()
	if _, err := main.WriteString("relayhost = [" + host + "]:" + port + "\n"); err != nil {
		t.Fatal(err)
	}
	peer.Start()
	post.Start()
	return post, peer, mailboxPath(root, dave)
}

// Debian's Postfix as the next hop is told what the sender wants to hear, and tells
// it: facteur writes no notice of success of its own (RFC 3461 §5.2.2).
func TestPostfixTellsOfSuccess(t *testing.T) {
	t.Parallel()
	post, _, maildir := betweenPostfix(t)
	Run(t, "", Need(t, "python3"), "-c", `
import smtplib, sys
s = smtplib.SMTP(sys.argv[1], timeout=30)
text = "From: alice@example.org\r\nSubject: proof\r\nMessage-ID: <proof@example.org>\r\n\r\nid proof\r\n"
s.sendmail("alice@example.org", ["dave@remote.test"], text, ["RET=HDRS", "ENVID=QQ+2B314159"], ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Dave+2Bx@Remote.TEST"])
s.sendmail("alice@example.org", ["nobody@remote.test"], text, ["ENVID=failed"], ["NOTIFY=FAILURE", "ORCPT=rfc822;Nobody@Remote.TEST"])
s.sendmail("alice@example.org", ["silent@remote.test"], text, ["ENVID=silent"], ["NOTIFY=NEVER"])
s.quit()
`, post.Addr("smtp"))
	waitFile(t, maildir, "id proof")
	notice := string(WaitLetter(t, post.Addr("imap"), alice, "Action: delivered"))
	for _, want := range []string{"Reporting-MTA: dns; postfix.test", "Original-Envelope-Id: QQ+314159", "Original-Recipient: rfc822;Dave+x@Remote.TEST", "Final-Recipient: rfc822; dave@remote.test"} {
		if !strings.Contains(notice, want) {
			t.Errorf("no %q in:\n%s", want, notice)
		}
	}
	failure := string(WaitLetter(t, post.Addr("imap"), alice, "Original-Envelope-Id: failed"))
	for _, want := range []string{"Action: failed", "Original-Recipient: rfc822; Nobody@Remote.TEST", "Remote-MTA: dns; "} {
		if !strings.Contains(failure, want) {
			t.Errorf("no %q in:\n%s", want, failure)
		}
	}
	WaitUntil(t, "an empty queue", func() bool { n, err := post.Queued(); return err == nil && n == 0 })
	if log := post.Log(); strings.Contains(log, "sender delivery status notification") || strings.Count(log, "sender non-delivery notification") != 1 {
		t.Errorf("facteur tells too much:\n%s", log)
	}
}

// The other way: Postfix's sendmail -N asks, Postfix passes it on, and facteur's
// notice of success comes back to who asked.
func TestPostfixAsksForSuccess(t *testing.T) {
	t.Parallel()
	_, peer, maildir := betweenPostfix(t)
	Run(t, "Subject: asked\n\nid asked\n", Need(t, "sendmail"), "-C", peer.Config(), "-i", "-N", "success", "-V", "asked-by-dave", "-f", dave, alice)
	notice := waitFile(t, maildir, "Original-Envelope-Id: asked-by-dave")
	for _, want := range []string{"Return-Path: <>", "Action: delivered", "Original-Recipient: rfc822; " + alice, "Final-Recipient: rfc822; " + alice} {
		if !strings.Contains(notice, want) {
			t.Errorf("no %q in:\n%s", want, notice)
		}
	}
}
