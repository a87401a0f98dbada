package interop_test

import (
	"testing"

	"facteur/internal/test/interop"
)

// Two letters in Postfix's own words: what the readers of logs make of them.
const postfixLog = `Nov 22 06:00:01 mail postfix/smtpd[100]: 4F1A2B3C4D: client=unknown[192.0.2.1]
Nov 22 06:00:01 mail postfix/cleanup[101]: 4F1A2B3C4D: message-id=<1@example.net>
Nov 22 06:00:01 mail postfix/qmgr[102]: 4F1A2B3C4D: from=<a@example.net>, size=1000, nrcpt=2 (queue active)
Nov 22 06:00:02 mail postfix/smtp[103]: 4F1A2B3C4D: to=<b@example.com>, relay=mx.example.com[192.0.2.2]:25, delay=1, delays=0.1/0/0.4/0.5, dsn=2.0.0, status=sent (250 2.0.0 Ok)
Nov 22 06:00:02 mail postfix/smtp[103]: 4F1A2B3C4D: to=<c@example.com>, relay=mx.example.com[192.0.2.2]:25, delay=1, delays=0.1/0/0.4/0.5, dsn=5.1.1, status=bounced (host mx.example.com[192.0.2.2] said: 550 5.1.1 No such user)
Nov 22 06:00:02 mail postfix/qmgr[102]: 4F1A2B3C4D: removed
`

// The readers of logs, on a log that is known: a test of the tests.
func TestLogReaders(t *testing.T) {
	t.Run("pflogsumm", func(t *testing.T) {
		totals, report := interop.Pflogsumm(t, postfixLog)
		for name, want := range map[string]int{"received": 1, "delivered": 1, "bounced": 1, "senders": 1, "recipients": 1} {
			if totals[name] != want {
				t.Errorf("%s: %d, want %d\n%s", name, totals[name], want, report)
			}
		}
	})
	t.Run("mailgraph", func(t *testing.T) {
		counts, output := interop.Mailgraph(t, postfixLog, 2026)
		for name, want := range map[string]int{"received": 1, "sent": 1, "bounced": 1} {
			if counts[name] != want {
				t.Errorf("%s: %d, want %d\n%s", name, counts[name], want, output)
			}
		}
	})
}
