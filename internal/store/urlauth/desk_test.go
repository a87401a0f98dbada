package urlauth

import (
	"testing"
	"time"

	"facteur/internal/mail/imap"
)

// Who may fetch (RFC 4467 §3): nobody by the name of another, nor a user in the place
// of the submission service, nor after the time.
func TestAllows(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const before, after = ";EXPIRE=2026-11-22T11:59:59Z", ";EXPIRE=2026-11-22T12:00:01Z"
	alice, bob := Who{User: "alice@example.org"}, Who{User: "bob@example.org"}
	forBob := Who{User: "bob@example.org", Submission: true}
	for _, c := range []struct {
		right string
		who   Who
		want  bool
	}{
		{"", bob, false},
		{";URLAUTH=anonymous", bob, false},
		{";URLAUTH=authuser", bob, true},
		{after + ";URLAUTH=authuser", bob, true},
		{before + ";URLAUTH=authuser", bob, false},
		{";URLAUTH=authuser", forBob, false},
		{";URLAUTH=user+bob@example.org", bob, true},
		{";URLAUTH=user+BOB%40example.org", bob, true},
		{";URLAUTH=user+bob@example.org", alice, false},
		{";URLAUTH=user+bob@example.org", forBob, false},
		{";URLAUTH=submit+bob@example.org", forBob, true},
		{";URLAUTH=submit+bob@example.org", bob, false},
		{";URLAUTH=submit+alice@example.org", forBob, false},
		{before + ";URLAUTH=submit+bob@example.org", forBob, false},
	} {
		u, err := imap.ParseURL("imap://alice%40example.org@mail.example.org/INBOX/;UID=1" + c.right)
		if err != nil {
			t.Fatal(c.right, err)
		}
		if got := allows(u, c.who, now); got != c.want {
			t.Errorf("%q for %+v: %v", c.right, c.who, got)
		}
	}
}
