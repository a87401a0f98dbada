package control

import (
	"context"
	"testing"

	"facteur/internal/flow/filter"
)

// seen is a check that keeps the header which it was shown.
type seen struct{ header *string }

func (seen) Name() string     { return "seen" }
func (seen) At() filter.Stage { return filter.End }
func (s seen) Examine(_ context.Context, l *filter.Letter) []filter.Remark {
	*s.header = string(l.Header)
	return nil
}

// A letter from a mailbox is looked at as it came: what the server wrote above it then is no
// forgery of the sender's now. What another server wrote is part of it.
func TestTrialOfALetterThatCame(t *testing.T) {
	const came = "From: Bob <bob@example.net>\r\nSubject: Hello\r\n\r\n"
	const trace = "Return-Path: <bob@example.net>\r\nAuthentication-Results: mail.example.org; spf=none\r\nX-Virus-Scanned: clamd at mail.example.org\r\n" +
		"X-Spam-Flag: NO\r\nReceived: from mx.example.net (mx.example.net [192.0.2.1])\r\n\tby mail.example.org (facteur) with ESMTP id 1; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
	for hostname, want := range map[string]string{"mail.example.org": came, "mx.example.com": trace + came} {
		header := ""
		f := filter.New(&filter.Rules{Hostname: hostname, Scoring: true, Checks: []filter.Check{seen{&header}}}, nil, nil)
		if _, err := (LetterTrial{Text: []byte(trace + came + "See you.\r\n")}).By(t.Context(), f); err != nil || header != want {
			t.Errorf("%s: %v, it saw\n%s", hostname, err, header)
		}
	}
}
