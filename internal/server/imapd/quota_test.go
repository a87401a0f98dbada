package imapd

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"facteur/internal/store/mailbox"
	"facteur/internal/store/quota"
)

// TestOverQuota (IMAP-020): nothing is taken for which there is no room, and what is
// there can always be removed.
func TestOverQuota(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	trash, err := quota.ParseRule("Trash:storage=+1M")
	if err != nil {
		t.Fatal(err)
	}
	h.owner.Quota = quota.Limits{Bytes: 4000, Rules: []quota.Rule{trash}}
	h.owner.Keep = mailbox.Retention{Mailbox: "Expunged", For: 1 << 50}
	h.owner.Quota.Outside = "Expunged"
	c := h.user(t)
	body := strings.Repeat("x", 2998) + "\r\n"
	c.want(fmt.Sprintf("a APPEND INBOX {%d+}\r\n%s", len(body), body), "a OK")
	// The announcement is refused before the literal is asked for.
	c.want(fmt.Sprintf("b APPEND INBOX {%d}", len(body)), "b NO [OVERQUOTA]")
	c.want("c SELECT INBOX", "c OK")
	c.want("d COPY 1 Sent", "d NO [OVERQUOTA]")
	c.want("e COPY 1 Trash", "e OK")
	c.want("f GETQUOTA \"User quota\"", "f OK")
	c.want("g MOVE 1 Archive", "g OK")
	c.want("h SELECT Archive", "h OK")
	c.want("i STORE 1 +FLAGS (\\Deleted)", "i OK")
	c.want("j EXPUNGE", "j OK")
	c.want(fmt.Sprintf("k APPEND Trash {%d+}\r\n%s", len(body), body), "k OK")
	// What was expunged comes back where there is room for it.
	c.want("l SELECT Expunged", "l OK")
	c.want("m MOVE 1 INBOX", "m NO [OVERQUOTA]")
	c.want("n MOVE 1 Trash", "n OK")
}

// TestSetQuota: only those set quotas who may, and only they see others'.
func TestSetQuota(t *testing.T) {
	t.Parallel()
	limits := map[string]quota.Limits{"bob@example.org": {Bytes: 1 << 20}}
	h := open(t, func(c *Config) {
		c.Quotas = Quotas{
			May: func(account string) bool { return account == "alice@example.org" },
			Get: func(_ context.Context, account string) (quota.Usage, quota.Limits, error) {
				l, ok := limits[account]
				if !ok {
					return quota.Usage{}, l, ErrNoAccount
				}
				return quota.Usage{Bytes: 1025, Messages: 1}, l, nil
			},
			Set: func(_ context.Context, account string, bytes, messages int64) error {
				if _, ok := limits[account]; !ok {
					return ErrNoAccount
				}
				limits[account] = quota.Limits{Bytes: bytes, Messages: messages}
				return nil
			},
		}
	})
	c := h.user(t)
	for _, x := range []struct{ command, want string }{
		{"CAPABILITY", "QUOTA=RES-MESSAGE QUOTASET"},
		{`GETQUOTA "User quota of bob@example.org"`, `* QUOTA "User quota of bob@example.org" (STORAGE 2 1024)`},
		{`SETQUOTA "User quota of bob@example.org" (STORAGE 512 MESSAGE 7)`, `(STORAGE 2 512 MESSAGE 1 7)`},
		{`SETQUOTA "User quota of bob@example.org" (STORAGE 0)`, `(STORAGE 2 1)`},
		{`SETQUOTA "User quota of bob@example.org" (MAILBOX 5)`, `NO [CANNOT]`},
		{`SETQUOTA "User quota of bob@example.org" (STORAGE 4611686018427387904)`, `NO [LIMIT]`},
		{`SETQUOTA "User quota of nobody@example.org" (STORAGE 512)`, `NO [NONEXISTENT]`},
		{`SETQUOTA "nothing" (STORAGE 512)`, `NO [NONEXISTENT]`},
	} {
		c.want("x "+x.command, x.want)
	}
}
