package smtpd

import (
	"strings"
	"sync"
	"testing"

	"facteur/internal/base/event"
)

// details keeps the transcripts that a session leaves.
type details struct {
	mu    sync.Mutex
	about []event.Topic
	text  string
}

func (d *details) Emit(e event.Event) {
	if t, ok := e.(event.Detailed); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.about = append(d.about, t.Topic())
		d.text = strings.Join(t.Detail(), "\n")
	}
}

// The postmaster can read what was said in a session that was refused, but no message
// and no password; what nobody wants is not kept.
func TestTranscript(t *testing.T) {
	wanted := func() *Rules { r := testRules(); r.Transcripts = true; return r }
	said := func(rules func() *Rules, script string) *details {
		d := &details{}
		talk(newDouble(), Config{Service: SMTP, Rules: rules, Events: d}, strings.SplitAfter(script, "\n")...)
		return d
	}
	refused := "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\nRCPT TO:<u@local.example>\r\nDATA\r\nsecret text\r\n.\r\nQUIT\r\n"
	d := said(wanted, refused)
	for _, line := range []string{"unknown[192.0.2.1]\n Out: 220 mx.local.example", "\n In:  EHLO c.example\n Out: 250-mx.local.example\n Out: 250-", "\n In:  MAIL FROM:<a@b.example>\n Out: 250 2.1.0 Ok\n", "\n Out: 554 5.7.1 <x@elsewhere.example>: Relay access denied\n", "\n Out: 354 ", "\n In:  QUIT\n Out: 221 2.0.0 Bye"} {
		if !strings.Contains(d.text, line) {
			t.Errorf("no %q in\n%s", line, d.text)
		}
	}
	if strings.Contains(d.text, "secret") || len(d.about) != 1 || d.about[0] != event.Policy {
		t.Errorf("about %v:\n%s", d.about, d.text)
	}
	if d := said(testRules, refused); d.about != nil {
		t.Errorf("kept for nobody: %s", d.text)
	}
	if d := said(wanted, "EHLO c.example\r\nNOOP\r\nQUIT\r\n"); d.about != nil {
		t.Errorf("nothing went wrong: %s", d.text)
	}
	d = said(wanted, "EHLO c.example\r\nAUTH PLAIN AHVzZXIAcGFzc3dvcmQ=\r\nAUTH LOGIN\r\ndXNlcg==\r\ncGFzc3dvcmQ=\r\nGET\r\n\x1b[2J\r\n"+strings.Repeat("a\r\n", maxUnknown))
	if strings.Contains(d.text, "AHVz") || strings.Contains(d.text, "dXNl") || strings.Contains(d.text, "cGFz") || strings.Contains(d.text, "\x1b") ||
		!strings.Contains(d.text, " In:  AUTH PLAIN (not shown)\n") || !strings.Contains(d.text, " In:  (not shown)\n") || len(d.about) != 1 || d.about[0] != event.Protocol {
		t.Errorf("about %v:\n%s", d.about, d.text)
	}
	d = said(wanted, "EHLO c.example\r\n"+strings.Repeat("MAIL FROM:<a@b.example>\r\nRCPT TO:<"+strings.Repeat("x", 60)+"@elsewhere.example>\r\nRSET\r\n", 15)+"NOOP end\r\nQUIT\r\n")
	if len(d.text) > 3*transcriptPart || !strings.Contains(d.text, "EHLO") || !strings.Contains(d.text, "\n ...\n") || !strings.Contains(d.text, "NOOP end") {
		t.Errorf("%d bytes:\n%s", len(d.text), d.text)
	}
}
