package greylist

import (
	"strings"
	"testing"

	"facteur/internal/mail/address"
	"facteur/internal/test/doubling"
)

// TestPlain: row 160, what lists, forwarders and marks change from letter to letter is not
// looked at.
func TestPlain(t *testing.T) {
	for sender, want := range map[string]string{
		"":                       "<>",
		"Alice@example.org":      "alice@example.org",
		"alice+shop@example.org": "alice@example.org",
		"list-bounces+bob=here.example@list.example":                 "list-bounces@list.example",
		"bounce-4711-42@list.example":                                "bounce-#-#@list.example",
		"bounce-4712-77@list.example":                                "bounce-#-#@list.example",
		"bounces+4711-ab3d-bob=here.example@sendgrid.example":        "bounces@sendgrid.example",
		"prvs=0123abcdef=alice@example.org":                          "alice@example.org",
		"btv1==0815==alice@example.org":                              "alice@example.org",
		"SRS0=aB3d=TT=example.org=alice@fwd.example":                 "example.org=alice@fwd.example",
		"SRS0+zzzz=TU=example.org=alice@fwd.example":                 "example.org=alice@fwd.example",
		"SRS1=qqqq=fwd.example==aB3d=TT=example.org=alice@x.example": "fwd.example=alice@x.example",
		"0102018f3c2a-1b2c-000000@amazonses.example":                 "#-1b2c-#@amazonses.example",
		"m2@example.org":        "m2@example.org",
		"alice1980@example.org": "alice1980@example.org",
		"srs0=@example.org":     "srs0=@example.org",
		"+@example.org":         "+@example.org",
		"btv1==x@example.org":   "btv1==x@example.org",
	} {
		a, err := address.Parse(sender)
		if err != nil && sender != "" {
			t.Fatal(sender, err)
		}
		if got := Plain(a); got != want {
			t.Errorf("%s: %s, want %s", sender, got, want)
		}
	}
}

// FuzzPlain: a plain sender is one line, is never empty, and is no longer than what it is
// made of.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{"alice", "SRS0=a=b=c=d", "srs1=a==", "btv1==", "prvs=0123abcdef=x", "1-2_3.4=5+6", strings.Repeat("1-", 40)} {
		f.Add(s, "example.org")
	}
	f.Fuzz(func(t *testing.T, local, domain string) {
		a := address.Address{Local: local, Domain: domain}
		got := Plain(a)
		if got == "" || len(got) > 3*(len(local)+len(domain))+2 {
			t.Errorf("%q: %q", a, got)
		}
		if Plain(address.Address{Local: strings.ToUpper(local), Domain: domain}) == "" {
			t.Error("of capitals")
		}
	})
}

// TestDoubles: INV-16.
func TestDoubles(t *testing.T) {
	for _, unit := range []string{"=", "1-", "a", "+", "srs1=", "btv1==", "==", "é"} {
		doubling.Check(t, unit, 1<<14, func(n int) func() {
			long := strings.Repeat(unit, n/len(unit))
			return func() {
				for _, begin := range []string{"", "SRS0=", "SRS1=a==", "btv1==", "prvs=0123abcdef="} {
					Plain(address.Address{Local: begin + long, Domain: "example.org"})
				}
			}
		})
	}
}
