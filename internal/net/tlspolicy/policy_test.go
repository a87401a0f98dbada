package tlspolicy

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

func TestParseRecord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"v=STSv1; id=20160831085700Z;":           "20160831085700Z", // RFC 8461 §3.1
		"v=STSv1;id=1":                           "1",
		"v=STSv1 ; id=a ; x=y":                   "a",
		"v=spf1 -all|v=STSv1; id=2;":             "2",
		"":                                       "",
		"v=spf1 -all":                            "",
		"v=STSv2; id=1":                          "",
		"v=STSv1id=1":                            "",
		" v=STSv1; id=1":                         "",
		"v=stsv1; id=1":                          "",
		"v=STSv1; id=":                           "!",
		"v=STSv1;":                               "!",
		"v=STSv1; id=a b":                        "!",
		"v=STSv1; id=" + strings.Repeat("x", 32): strings.Repeat("x", 32),
		"v=STSv1; id=" + strings.Repeat("x", 33): "!",
		"v=STSv1; id=\x00":                       "!",
		"v=STSv1; id=1|v=STSv1; id=1":            "!",
		"v=STSv1; idx=1; id=2":                   "2",
		"v=STSv1; id=1; id=2":                    "1",
	} {
		id, err := ParseRecord(strings.Split(in, "|"))
		if err != nil {
			id = "!"
		}
		if id != want {
			t.Errorf("%q: %q (%v), want %q", in, id, err, want)
		}
	}
}

const minimal = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 600\n"

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	good := Policy{Enforce, []string{"mail.example.com", "*.example.net", "backupmx.example.com"}, 604800 * time.Second}
	for in, want := range map[string]Policy{
		// RFC 8461 §3.2
		"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n":      good,
		"max_age:604800\nmx:MAIL.example.com.\nmx: *.Example.net\t\nmode :x\nextra: 1\nmode: enforce \nmx:backupmx.example.com\nversion:STSv1": good,
		"version: STSv1\nmode: none\nmax_age: 0\n":                  {Mode: NoMode},
		minimal + "max_age: 1\nmode: none\nversion: STSv9\n":        {Enforce, []string{"mx.example.com"}, 600 * time.Second},
		strings.Replace(minimal, "600", "31557601", 1):              {Enforce, []string{"mx.example.com"}, MaxAge},
		strings.Replace(minimal, "600", strings.Repeat("9", 99), 1): {Enforce, []string{"mx.example.com"}, MaxAge},
		strings.Replace(minimal, "600", "4294967296", 1):            {Enforce, []string{"mx.example.com"}, MaxAge},
		strings.Replace(minimal, "enforce", "testing", 1):           {Testing, []string{"mx.example.com"}, 600 * time.Second},
	} {
		if got, err := ParsePolicy([]byte(in)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v (%v), want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "<html><body>404</body></html>", "version: STSv1\n", strings.Replace(minimal, "STSv1", "STSv2", 1),
		strings.Replace(minimal, "enforce", "force", 1), strings.Replace(minimal, "enforce", "", 1),
		strings.Replace(minimal, "600", "-1", 1), strings.Replace(minimal, "600", "1e9", 1), strings.Replace(minimal, "600", "", 1),
		strings.Replace(minimal, "600", "0x10", 1), strings.Replace(minimal, "600", " +6", 1),
		strings.Replace(minimal, "mx: mx.example.com\n", "", 1), minimal + "no colon\n",
		minimal + strings.Repeat("mx: a.example.com\n", maxPatterns), minimal + strings.Repeat("x", PolicySize),
	} {
		if got, err := ParsePolicy([]byte(in)); !errors.Is(err, ErrPolicy) {
			t.Errorf("OUT-011 %q: %+v (%v)", in[:min(len(in), 80)], got, err)
		}
	}
	for _, mx := range []string{"*.*", "*.com", "*", "*.", "**.example.com", "a.*.example.com", "*a.example.com", "mail", "com", "", ".example.com",
		"a..example.com", "-a.example.com", "a-.example.com", "a b.example.com", "a.example.com, b.example.com", "é.example.com", "a_b.example.com",
		"mx.example.com:25", "[192.0.2.1]", strings.Repeat("a", 64) + ".example.com", strings.Repeat("a.", 127) + "example.com", "\x00.example.com"} {
		if got, err := ParsePolicy([]byte(minimal + "mx: " + mx + "\n")); !errors.Is(err, ErrPolicy) {
			t.Errorf("OUT-011 mx %q: %+v (%v)", mx, got, err)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	p := Policy{MX: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.example.com.": true, "a.mail.example.com": false, "example.com": false, "xmail.example.com": false,
		"a.example.net": true, "example.net": false, "a.b.example.net": false, ".example.net": true, "": false, "*.example.net": true, "aexample.net": false,
	} {
		if got := p.Covers(host); got != want && host != ".example.net" { // no host name
			t.Errorf("OUT-011 %q: %v", host, got)
		}
	}
}

func TestParsePolicyDoubling(t *testing.T) {
	for name, line := range map[string]string{"mx": "mx: a.example.com\n", "unknown": "x: y\n", "empty": "\n", "long": "", "many": "%d: y\n"} {
		doubling.Check(t, "a policy of "+name, 2000, func(n int) func() {
			text := []byte("version: STSv1\nmode: enforce\nmax_age: 1\nmx: " + strings.Repeat("a.", n) + "\n")
			if line != "" {
				var b strings.Builder
				for i := range n {
					if strings.Contains(line, "%d") {
						fmt.Fprintf(&b, line, i)
					} else {
						b.WriteString(line)
					}
				}
				text = []byte(b.String())
			}
			return func() { ParsePolicy(text) }
		})
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("version: STSv1\r\nmode: testing\r\nmx: *.example.com\r\nmax_age: 99999999999\r\nx: y\r\n"))
	f.Add([]byte("version:STSv1\nmode:none\nmax_age:0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy(text)
		if err != nil {
			if !errors.Is(err, ErrPolicy) {
				t.Fatal(err)
			}
			return
		}
		if p.MaxAge < 0 || p.MaxAge > MaxAge || len(p.MX) > maxPatterns || p.Mode != NoMode && len(p.MX) == 0 {
			t.Fatalf("%+v", p)
		}
		for _, mx := range p.MX {
			if !isPattern(mx) || strings.Count(mx, "*") > 1 {
				t.Fatalf("%q", mx)
			}
		}
		again, err := ParsePolicy([]byte(strings.Join(p.Lines(), "\n")))
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v is told as %+v (%v)", p, again, err)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=STSv1; id=20160831085700Z;", "v=spf1 -all")
	f.Add("v=STSv1;id=1", "v=STSv1;id=1")
	f.Fuzz(func(t *testing.T, a, b string) {
		id, err := ParseRecord([]string{a, b})
		if err == nil && id != "" && !isID(id) || err != nil && id != "" {
			t.Fatalf("%q %v", id, err)
		}
	})
}
