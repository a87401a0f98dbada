package policyd

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/brake"
	kept "facteur/internal/store/brake"
	"facteur/internal/store/db"
)

// TestActions: the row of policyd (cluebringer): a Postfix asks, and hears what the desk would do.
func TestActions(t *testing.T) {
	for _, v := range []brake.Verdict{brake.Defer} {
		t.Run(string(v), func(t *testing.T) {
			d, err := db.Open(filepath.Join(t.TempDir(), "facteur.db"), kept.Tables().Migrations)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			store, err := kept.Open(context.Background(), d, event.Discard)
			if err != nil {
				t.Fatal(err)
			}
			rules := &brake.Rules{Level: 8, HeldMost: 100, Quotas: []brake.Quota{{Name: "q", Track: brake.Account, Match: []string{"."}, Period: time.Hour, Limit: 2, Verdict: v, Text: "slowly"}}}
			g := brake.New(brake.House{Rules: func() *brake.Rules { return rules }, Kept: store, Events: event.Discard, Post: nil, Expel: nil})
			s := New(Config{Gate: g, Trusted: func(a netip.Addr) bool { return a.IsLoopback() }, Events: event.Discard})
			over := "DEFER_IF_PERMIT 4.7.1 slowly"
			counted := ""
			for i, step := range []struct{ attributes, want string }{
				{"protocol_state=RCPT\nsender=x@example.org\nclient_address=192.0.2.1", dunno},
				{"protocol_state=MAIL\nsasl_username=alice@example.org", dunno},
				{"protocol_state=RCPT\nsasl_username=alice@example.org\nrecipient=a@b.example\ninstance=1", dunno},
				{"protocol_state=END-OF-MESSAGE\nsasl_username=alice@example.org\nrecipient_count=9\ninstance=1", dunno},
				{"protocol_state=RCPT\nsasl_username=ALICE@example.org\nrecipient=a@b.example\ninstance=2", dunno},
				{"protocol_state=RCPT\nsasl_username=alice@example.org\nrecipient=a@b.example\ninstance=3", over},
				{"protocol_state=RCPT\nsasl_username=bob\nrecipient=a@b.example\ninstance=4", dunno},
				{"protocol_state=END-OF-MESSAGE\nsender=c@example.org\nclient_address=127.0.0.1\nrecipient_count=2\ninstance=5", dunno},
			} {
				q, err := read(bufio.NewReader(strings.NewReader("request=smtpd_access_policy\n" + step.attributes + "\n\n")))
				if err != nil {
					t.Fatal(err)
				}
				if got := s.answer(context.Background(), q, &counted); got != step.want {
					t.Errorf("step %d: %s, want %s", i, got, step.want)
				}
			}
		})
	}
}

func TestReadIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"a line": strings.Repeat("x", maxLine+1) + "\n\n", "no attribute": "hello\n\n", "torn": "a=b\n",
		"too many": func() (s string) {
			for i := range maxAttributes + 1 {
				s += fmt.Sprintf("n%d=\n", i)
			}
			return s + "\n"
		}(),
	} {
		if _, err := read(bufio.NewReaderSize(strings.NewReader(text), maxLine)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("request=smtpd_access_policy\nprotocol_state=RCPT\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		q, err := read(bufio.NewReaderSize(strings.NewReader(s), maxLine))
		if err == nil && len(q) > maxAttributes {
			t.Error(len(q))
		}
	})
}
