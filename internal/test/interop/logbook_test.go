package interop

import (
	"errors"
	"fmt"
	"net/smtp"
	"regexp"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/sim"
)

// logbookRules hold, and discard, by the subject.
const logbookRules = `
[[rule]]
name = "odd"
stage = "end"
when = 'header("Subject") == "odd"'
then = "hold to be looked at"

[[rule]]
name = "void"
stage = "end"
when = 'header("Subject") == "void"'
then = "discard"
`

// Debian's pflogsumm and mailgraph, and the greps of the how-tos, read our log of a
// day in which everything happens once as they read Postfix's.
func TestLogOfARealRun(t *testing.T) {
	t.Parallel()
	world, err := sim.StartWorld("127.0.0.1:0", "127.0.0.1:0", sim.DemoBehaviours(), sim.DemoZone(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	f := NewFacteur(t, Setup{Accounts: []string{alice, "postmaster@example.org"}, Services: []string{"smtp", local}, Config: fmt.Sprintf(
		"[outbound]\nport = %d\nallow_private = true\n[dns]\nservers = [%q]\n%s", world.Port(), world.DNS.Addr(), logbookRules)})
	f.Start()
	send := func(subject, from string, to ...string) error {
		text := fmt.Sprintf("From: %s\r\nSubject: %s\r\nMessage-ID: <%s@example.org>\r\n\r\nhello\r\n", from, subject, subject)
		return sendPlain(f.Addr("smtp"), from, to, text)
	}
	for _, letter := range [][]string{
		{"home", "bob@accept.example", alice},
		{"out", alice, "carol@accept.example", "dave@accept.example"},
		{"later", alice, "late@defer.example"},
		{"back", alice, "nobody@reject.example"},
		{"odd", "eve@accept.example", alice},
		{"void", "eve@accept.example", alice},
	} {
		if err := send(letter[0], letter[1], letter[2:]...); err != nil {
			t.Fatal(letter, err)
		}
	}
	if err := send("refused", "eve@accept.example", "nobody@example.org"); err == nil {
		t.Fatal("an unknown user was taken")
	}
	if out, code := f.Sendmail(alice, []string{alice}, "Subject: local\n\nhello\n"); code != 0 {
		t.Fatal(out)
	}
	wait := func(patterns ...string) {
		t.Helper()
		for _, p := range patterns {
			re := regexp.MustCompile(p)
			for deadline := time.Now().Add(StartWait); !re.MatchString(f.Log()); time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("the log never says %s\n%s", p, f.Log())
				}
			}
		}
	}
	wait(`to=<dave@accept\.example>.*status=sent`, `to=<late@defer\.example>.*status=deferred`, `to=<nobody@reject\.example>.*status=bounced`,
		`from=<>, size=.*\(queue active\)\n(?s:.*)to=<alice@example\.org>.*status=sent`)
	f.Command("", "queue", "retry", "--all")
	wait(`(?s)to=<late@defer\.example>.*status=deferred.*\(queue active\).*to=<late@defer\.example>.*status=deferred`)
	f.Command("", "queue", "expire", "--to", "late@defer.example", "--yes")
	wait(`(?s)status=expired, returned to sender.*to=<alice@example\.org>.*status=sent`)
	f.Command("", "queue", "delete", "--shelf", "hold", "--yes")
	f.Stop()
	log := f.Log()
	checkLines(t, log)
	var lines []string
	for line := range strings.Lines(log) {
		if _, err := time.Parse(time.Stamp, line[:min(len(line), len(time.Stamp))]); err == nil {
			lines = append(lines, line)
		}
	}
	log = strings.Join(lines, "")
	t.Run("pflogsumm", func(t *testing.T) {
		totals, report := Pflogsumm(t, log)
		for name, want := range map[string]int{"received": 6, "delivered": 6, "bounced": 1, "deferred": 1, "held": 1, "discarded": 1} {
			if got := totalOf(totals, name); got != want {
				t.Errorf("%s: %d, want %d\n%s", name, got, want, report)
			}
		}
		if totalOf(totals, "rejected") != 1 || !strings.Contains(report, "accept.example") || !strings.Contains(report, "alice@example.org") {
			t.Error(report)
		}
	})
	t.Run("mailgraph", func(t *testing.T) {
		counts, output := Mailgraph(t, log, time.Now().Year())
		for name, want := range map[string]int{"sent": 2, "bounced": 1, "rejected": 1} {
			if counts[name] != want {
				t.Errorf("%s: %d, want %d\n%s", name, counts[name], want, output)
			}
		}
	})
}

// sendPlain sends a letter without TLS.
func sendPlain(address, from string, to []string, text string) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r); err != nil {
			return errors.Join(err, c.Quit())
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = w.Write([]byte(text))
	return errors.Join(err, w.Close(), c.Quit())
}

// totalOf is a grand total, of which the name may be longer: "deferred (3 deferrals)".
func totalOf(totals map[string]int, name string) int {
	for full, n := range totals {
		if first, _, _ := strings.Cut(full, " "); first == name {
			return n
		}
	}
	return 0
}

// checkLines looks for the lines of a message's life that scripts look for.
func checkLines(t *testing.T, log string) {
	t.Helper()
	const id = `[0-9A-F]+`
	for _, p := range []string{
		`postfix/smtpd\[\d+\]: ` + id + `: client=localhost\[127\.0\.0\.1\]`,
		`postfix/pickup\[\d+\]: ` + id + `: uid=\d+ from=<alice@example\.org>`,
		`postfix/cleanup\[\d+\]: ` + id + `: message-id=<out@example\.org>`,
		`postfix/qmgr\[\d+\]: ` + id + `: from=<alice@example\.org>, size=\d+, nrcpt=2 \(queue active\)`,
		`postfix/virtual\[\d+\]: ` + id + `: to=<alice@example\.org>, relay=virtual, delay=[\d.]+, delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, dsn=2\.0\.0, status=sent \(`,
		`postfix/smtp\[\d+\]: ` + id + `: to=<carol@accept\.example>, relay=mx\.accept\.example\[127\.0\.0\.1\]:\d+, (conn_use=\d+, )?delay=[\d.]+, delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, dsn=2\.\d\.\d, status=sent \(250 `,
		`postfix/smtp\[\d+\]: ` + id + `: to=<nobody@reject\.example>, relay=.*, dsn=5\.\d\.\d, status=bounced \(host .* said: 5`,
		`postfix/smtp\[\d+\]: ` + id + `: to=<late@defer\.example>, relay=.*, dsn=4\.\d\.\d, status=deferred \(host .* said: 4`,
		`postfix/bounce\[\d+\]: ` + id + `: sender non-delivery notification: ` + id,
		`postfix/cleanup\[\d+\]: ` + id + `: message-id=<\S+@mail\.example\.org>`,
		`postfix/qmgr\[\d+\]: ` + id + `: from=<>, size=\d+, nrcpt=1 \(queue active\)`,
		`postfix/qmgr\[\d+\]: ` + id + `: from=<alice@example\.org>, status=expired, returned to sender`,
		`postfix/smtpd\[\d+\]: ` + id + `: hold: `,
		`postfix/smtpd\[\d+\]: NOQUEUE: reject: RCPT from localhost\[127\.0\.0\.1\]: 550 5\.1\.1 <nobody@example\.org>: `,
		`postfix/postsuper\[\d+\]: ` + id + `: removed`,
		`postfix/qmgr\[\d+\]: ` + id + `: removed`,
	} {
		if !regexp.MustCompile(p).MatchString(log) {
			t.Errorf("no line is like %s\n%s", p, log)
		}
	}
}
