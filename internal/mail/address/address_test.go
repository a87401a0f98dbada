package address

import (
	"encoding/xml"
	"os"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

// suite is where the public cases live, seen from this directory.
const suite = "../../../../shared/suites/isemail-tests.xml"

// TestIsEmail runs the isemail cases: what the envelope takes and what only a
// header may hold.
func TestIsEmail(t *testing.T) {
	raw, err := os.ReadFile(suite)
	if err != nil {
		if os.Getenv("FACTEUR_TEST_REQUIRE") == "1" {
			t.Fatal(err)
		}
		t.Skip("the isemail suite is not here: ", err)
	}
	var doc struct {
		Tests []struct {
			ID       string `xml:"id,attr"`
			Address  string `xml:"address"`
			Category string `xml:"category"`
			Diag     string `xml:"diagnosis"`
		} `xml:"test"`
	}
	if err := xml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Tests) != 164 {
		t.Fatalf("%d cases, want 164", len(doc.Tests))
	}
	want := map[string]bool{"ISEMAIL_VALID_CATEGORY": true, "ISEMAIL_DNSWARN": true, "ISEMAIL_RFC5321": true}
	for _, c := range doc.Tests {
		text := strings.Map(func(r rune) rune {
			if r >= 0x2400 && r < 0x2420 {
				return r - 0x2400
			}
			return r
		}, c.Address)
		a, err := Parse(text)
		if (err == nil) != want[c.Category] {
			t.Errorf("case %s %q (%s): got %q, %v", c.ID, text, c.Diag, a, err)
		}
		checkRoundTrip(t, a, err)
	}
}

func checkRoundTrip(t *testing.T, a Address, err error) {
	t.Helper()
	if err != nil {
		if a != (Address{}) {
			t.Errorf("an error came with an address %+v", a)
		}
		return
	}
	b, err := Parse(a.String())
	if err != nil || a != b {
		t.Errorf("%+v: String %q reads as %+v, %v", a, a.String(), b, err)
	}
	k, err := Parse(a.Key())
	if err == nil && k.Key() != a.Key() {
		t.Errorf("%+v: Key %q is not stable, gives %q", a, a.Key(), k.Key())
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, in, local, domain, out string }{
		{"plain", "Jones@XYZ.COM", "Jones", "xyz.com", "Jones@xyz.com"},
		{"SMTP-033 empty quoted", `""@example.com`, "", "example.com", `""@example.com`},
		{"SMTP-033 quoted blank", `"\ "@x`, " ", "x", `" "@x`},
		{"REL-004 quoted at", `"user@foreign"@local`, "user@foreign", "local", `"user@foreign"@local`},
		{"needless quotes", `"a.b"@x`, "a.b", "x", "a.b@x"},
		{"needful quotes", `"a..b"@x`, "a..b", "x", `"a..b"@x`},
		{"quote and backslash", `"\"\\"@x`, `"\`, "x", `"\"\\"@x`},
		{"REL-005 case", "user@LOCAL", "user", "local", "user@local"},
		{"REL-005 literal", "user@[127.0.0.1]", "user", "[127.0.0.1]", "user@[127.0.0.1]"},
		{"REL-005 mapped", "user@[IPv6:::FFFF:192.0.2.1]", "user", "[192.0.2.1]", "user@[192.0.2.1]"},
		{"literal normalised", "u@[ipv6:2001:0DB8:0:0:0:0:0:1]", "u", "[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]"},
		{"REL-006 sharp s", "u@straße.example", "u", "xn--strae-oqa.example", "u@xn--strae-oqa.example"},
		{"REL-006 final sigma", "u@βόλος.com", "u", "xn--nxasmm1c.com", "u@xn--nxasmm1c.com"},
		{"REL-006 full width", "u@ｅｘａｍｐｌｅ.org", "u", "example.org", "u@example.org"},
		{"REL-006 ideographic dot", "u@example。org", "u", "example.org", "u@example.org"},
		{"REL-006 homograph", "u@lоcal", "u", "xn--lcal-55d", "u@xn--lcal-55d"},
		{"REL-006 NFD", "u@bu\u0308cher.example", "u", "xn--bcher-kva.example", "u@xn--bcher-kva.example"},
		{"A-label any case", "u@XN--BCHER-KVA.example", "u", "xn--bcher-kva.example", "u@xn--bcher-kva.example"},
		{"UTF-8 local", "用户@例え.jp", "用户", "xn--r8jz45g.jp", "用户@xn--r8jz45g.jp"},
		{"underscore", "u@mail_1.example", "u", "mail_1.example", "u@mail_1.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := Parse(c.in)
			if err != nil || a.Local != c.local || a.Domain != c.domain || a.String() != c.out {
				t.Errorf("Parse(%q) = %+v %q, %v", c.in, a, a.String(), err)
			}
			checkRoundTrip(t, a, err)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "@", "a@", "@x", " a@b ", "a b@c", "a@b c", "<a@b>", "a@b>", "a@@b",
		"user@foreign@local", "user@local.", "user@.", "user@#123", "user@1.2.3.4]", "user@[1.2.3.4",
		"user@[IPv6:fe80::1%eth0]", "user@[1.2.3.4]x", "user@[x:y]", "user@[]", "user@[IPv6:]",
		"user@[IPv6:192.0.2.1]", "u@xn--a.example\u200b\u202e", "u@xn--zzzzzz99999.example", "u@a\u202eb.example", "u@xn--.example",
		"u@ex＠mple.org", "u@a..b", "a\x00b@c", "\"a\x00b\"@c", "\"a\r\nb\"@c", "a\xff@b", "\"\xc0\xae\"@b", "a@\xff",
		"a\u0085b@c", "a\x7f@b", "a@b\r\n", "a@b%00", "a,b@c", "a:b@c", "a@b:25", "a@b,c@d",
		strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b", 64) + ".c", "a@" + strings.Repeat("b.", 128) + "c",
		"\"" + strings.Repeat("\\a", 1000) + "\"@b",
	} {
		if a, err := Parse(in); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", in, a)
		}
	}
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		name, in, want, rest string
		allow                []Extra
		ok                   bool
	}{
		{"plain", "<a@b> SIZE=1", "a@b", " SIZE=1", nil, true},
		{"null refused", "<>", "", "", nil, false},
		{"null", "<> BODY=7BIT", "", " BODY=7BIT", []Extra{Null}, true},
		{"postmaster refused", "<postmaster>", "", "", []Extra{Null}, false},
		{"postmaster", "<PostMaster>", "PostMaster", "", []Extra{Postmaster}, true},
		{"postmastery", "<postmastery>", "", "", []Extra{Postmaster}, false},
		{"row 5 bare", "<root> SIZE=1", "root", " SIZE=1", []Extra{Bare}, true},
		{"row 5 bare, quoted", `<"a b">`, "a b", "", []Extra{Bare}, true},
		{"row 5 nothing quoted", `<"">`, "", "", []Extra{Bare}, false},
		{"row 5 bare is refused", "<root>", "", "", []Extra{Null, Postmaster}, false},
		{"row 5 with a domain", "<root@x>", "root@x", "", []Extra{Bare}, true},
		{"row 5 not whole", "<root", "", "", []Extra{Bare}, false},
		{"REL-003 route", "<@a,@local:user@foreign>", "user@foreign", "", nil, true},
		{"REL-003 short route", "<@local:user@foreign>", "user@foreign", "", nil, true},
		{"REL-003 quoted in route", `<@a:"x>y"@b>`, `"x>y"@b`, "", nil, true},
		{"route to nobody", "<@local:>", "", "", []Extra{Null}, false},
		{"route without colon", "<@local>", "", "", nil, false},
		{"route with blank", "<@a, @b:c@d>", "", "", nil, false},
		{"route of literal", "<@[1.2.3.4]:c@d>", "", "", nil, false},
		{"route ends", "<@a,", "", "", nil, false},
		{"REL-004", `<"user@foreign"@local>`, `"user@foreign"@local`, "", nil, true},
		{"quoted bracket", `<"a>b"@c>`, `"a>b"@c`, "", nil, true},
		{"SMTP-033 blanks", "< a@b >", "", "", nil, false},
		{"SMTP-033 none", "a@b", "", "", nil, false},
		{"SMTP-033 nested", "<<a@b>>", "", "", nil, false},
		{"SMTP-033 at", "<@>", "", "", nil, false},
		{"SMTP-033 open", "<a@b", "", "", nil, false},
		{"empty", "", "", "", nil, false},
		{"only open", "<", "", "", []Extra{Null, Postmaster}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, rest, err := ParsePath(c.in, c.allow...)
			if (err == nil) != c.ok || a.String() != c.want || rest != c.rest {
				t.Errorf("ParsePath(%q) = %q, %q, %v", c.in, a, rest, err)
			}
		})
	}
}

func TestDomain(t *testing.T) {
	for in, want := range map[string]string{
		"Example.ORG.": "example.org", "[192.0.2.1]": "[192.0.2.1]", "bücher.example.": "xn--bcher-kva.example",
		"r3---sn-x.example": "r3---sn-x.example",
	} {
		if got, err := CanonicalDomain(in); err != nil || got != want {
			t.Errorf("CanonicalDomain(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", ".", "a..", "..", "a b", "-a", "*.example.org"} {
		if got, err := CanonicalDomain(in); err == nil {
			t.Errorf("CanonicalDomain(%q) = %q, want an error", in, got)
		}
	}
}

func TestKey(t *testing.T) {
	same := [][2]string{{"Bob@EXAMPLE.org", "bob@example.org"}, {`"BOB"@example.org`, "bob@example.org"},
		{"J\u00d6rg@x", "jo\u0308rg@x"}, {"a@b\u00fccher.example", "A@XN--BCHER-KVA.EXAMPLE"}}
	for _, p := range same {
		if key(t, p[0]) != key(t, p[1]) {
			t.Errorf("REL-020: %q and %q have different keys", p[0], p[1])
		}
	}
	other := [][2]string{{"b\u043eb@x", "bob@x"}, {"\u0130d@x", "id@x"}, {`"a b"@x`, "ab@x"}}
	for _, p := range other {
		if key(t, p[0]) == key(t, p[1]) {
			t.Errorf("REL-006: %q and %q have one key", p[0], p[1])
		}
	}
}

func key(t *testing.T, s string) string {
	t.Helper()
	a, err := Parse(s)
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return a.Key()
}

func TestNull(t *testing.T) {
	empty, err := Parse(`""@x`)
	if err != nil || empty.IsNull() || !(Address{}).IsNull() || (Address{}).String() != "" {
		t.Error("null is the zero Address and nothing else", err)
	}
	if utf, _ := Parse("é@x"); utf.IsASCII() || !empty.IsASCII() {
		t.Error("IsASCII")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@b", `"a\"b"@[IPv6:::1]`, "é@bücher.example", "<@a,@b:c@d>", "<>", `<""@x> SIZE=1`, "u@[1.2.3.4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		checkRoundTrip(t, a, err)
		if err == nil && len(a.String()) > MaxMailbox {
			t.Errorf("%q is longer than a mailbox can be", a)
		}
		p, rest, err := ParsePath(s, Null, Postmaster)
		if err == nil && !strings.HasSuffix(s, rest) {
			t.Errorf("%q left %q", s, rest)
		}
		if err == nil && p.Domain != "" {
			checkRoundTrip(t, p, err)
		}
		if d, err := CanonicalDomain(s); err == nil {
			if again, err := CanonicalDomain(d); err != nil || again != d {
				t.Errorf("domain %q is not canonical: %q, %v", d, again, err)
			}
		}
	})
}

// TestDoubles: twice the input takes less than three times the time (a quadratic
// parser takes four), for what the grammar could be made to chew on. The best of
// several runs counts, repeated while in doubt, as other work may be going on.
func TestDoubles(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	work := func(s string) {
		for range 5 {
			ParsePath(s, Null, Postmaster)
			Parse(s[1:])
			Parse("a@" + s[1:])
			CanonicalDomain(s[1:])
		}
	}
	for _, unit := range []string{"a", ".", "@a,", "\"", "\\", "\"\\\"", "é", "é.", "xn--a.", "a@", "[", ":", "。", "\u0308"} {
		doubling.Check(t, unit, 1<<14, func(n int) func() {
			s := "<" + strings.Repeat(unit, n/len(unit))
			return func() { work(s) }
		})
	}
}
