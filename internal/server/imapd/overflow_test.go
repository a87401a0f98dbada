package imapd

import (
	"fmt"
	"strings"
	"testing"

	"facteur/internal/store/mailbox"
)

// TestNotificationOverflow: a session that can't be told for too long is told that it
// missed something, and hears nothing more until it asks again (RFC 5465 §5.8).
func TestNotificationOverflow(t *testing.T) {
	h := open(t, nil)
	c := h.user(t)
	c.want("a NOTIFY SET (PERSONAL (MailboxName MailboxMetadataChange))", "a OK")
	c.send("b APPEND INBOX {3}\r\n") // it waits for the literal, and tells nothing meanwhile
	c.line()
	account, err := h.store.Open(t.Context(), h.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer account.Close()
	for i := range 2000 {
		account.Announce(fmt.Sprintf("Box %d", i), mailbox.NoticeCreated)
	}
	c.send("abc\r\n")
	c.until("b")
	got := c.do("c NOOP")
	if !strings.Contains(got, "* OK [NOTIFICATIONOVERFLOW]") || strings.Contains(got, "* LIST") {
		t.Fatalf("IMAP-011 %q", got)
	}
	c.do("d CREATE Quiet")
	if got := c.do("e NOOP"); strings.Contains(got, "* LIST") {
		t.Errorf("told without being asked: %q", got)
	}
	c.want("f NOTIFY SET (PERSONAL (MailboxName))", "f OK")
	account.Announce("Loud", mailbox.NoticeCreated)
	if got := c.line() + c.do("g NOOP"); !strings.Contains(got, `* LIST () "/" Loud`) {
		t.Errorf("after it asked again: %q", got)
	}
}
