package smtp

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

// everything is a session that offers all there is.
var everything = Extensions{
	Host: "mx.example", SizeOffered: true, Size: 1000, StartTLS: true, Pipelining: true, EightBitMIME: true, UTF8: true,
	Enhanced: true, DSN: true, Chunking: true, BinaryMIME: true, RequireTLS: true, Priority: true, ETRN: true,
	DeliverBy: true, LeastBy: 10 * time.Second, FutureRelease: true, MostHold: 30 * 24 * time.Hour,
	LastHold: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), Limits: Limits{Mails: 100, Recipients: 1000, Domains: 3},
	Auth: []string{"PLAIN", "LOGIN"}, Xclient: XclientAttributes, Xforward: XforwardAttributes,
}

// TestMailOptions: each parameter of MAIL, its values and its refusals.
func TestMailOptions(t *testing.T) {
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, params string
		want         Mail
		code         int
	}{
		{"BINARYMIME", "BODY=binarymime", Mail{Body: "BINARYMIME"}, 0},
		{"RET FULL", "ret=full", Mail{Ret: RetFull}, 0},
		{"RET HDRS", "RET=HDRS", Mail{Ret: RetHeaders}, 0},
		{"SMTP-043 RET twice", "RET=HDRS RET=HDRS", Mail{}, 501},
		{"RET other", "RET=BODY", Mail{}, 501},
		{"RET without a value", "RET", Mail{}, 501},
		{"RFC 3461 §4.4 ENVID", "ENVID=QQ314159", Mail{EnvID: "QQ314159"}, 0},
		{"ENVID xtext", "ENVID=a+2Bb+3Dc+20d", Mail{EnvID: "a+b=c d"}, 0},
		{"ENVID of 100", "ENVID=" + strings.Repeat("x", 100), Mail{EnvID: strings.Repeat("x", 100)}, 0},
		{"ENVID of 101", "ENVID=" + strings.Repeat("x", 101), Mail{}, 501},
		{"ENVID line end", "ENVID=a+0D+0Ab", Mail{}, 501},
		{"ENVID 8 bit", "ENVID=a+E9", Mail{}, 501},
		{"ENVID lower hex", "ENVID=a+2b", Mail{}, 501},
		{"ENVID cut", "ENVID=a+2", Mail{}, 501},
		{"REQUIRETLS", "REQUIRETLS", Mail{RequireTLS: true}, 0},
		{"REQUIRETLS with a value", "REQUIRETLS=yes", Mail{}, 501},
		{"HOLDFOR", "HOLDFOR=86400", Mail{Hold: Hold{For: 24 * time.Hour}}, 0},
		{"HOLDFOR zero", "HOLDFOR=0", Mail{}, 501},
		{"HOLDFOR leading zero", "HOLDFOR=01", Mail{}, 501},
		{"HOLDFOR minus", "HOLDFOR=-1", Mail{}, 501},
		{"HOLDFOR ten digits", "HOLDFOR=1000000000", Mail{}, 501},
		{"HOLDFOR over the maximum", "HOLDFOR=2592001", Mail{}, 501},
		{"HOLDFOR without a value", "HOLDFOR", Mail{}, 501},
		{"HOLDUNTIL", "HOLDUNTIL=2027-01-01T00:00:00Z", Mail{Hold: Hold{Until: until}}, 0},
		{"HOLDUNTIL small letters, fraction", "HOLDUNTIL=2027-01-01t00:00:00.5z", Mail{Hold: Hold{Until: until}}, 0},
		{"HOLDUNTIL offset", "HOLDUNTIL=2027-01-01T01:00:00+01:00", Mail{Hold: Hold{Until: until}}, 0},
		{"HOLDUNTIL over the maximum", "HOLDUNTIL=2027-01-02T03:04:06Z", Mail{}, 501},
		{"HOLDUNTIL no date", "HOLDUNTIL=tomorrow", Mail{}, 501},
		{"HOLDUNTIL 31 February", "HOLDUNTIL=2026-02-31T00:00:00Z", Mail{}, 501},
		{"both holds", "HOLDFOR=1 HOLDUNTIL=2027-01-01T00:00:00Z", Mail{}, 501},
		{"both holds, turned", "HOLDUNTIL=2027-01-01T00:00:00Z HOLDFOR=1", Mail{}, 501},
		{"RFC 2852 §4 BY", "BY=120;R", Mail{By: DeliverBy{Given: true, Within: 2 * time.Minute, Return: true}}, 0},
		{"BY trace", "BY=+120;nt", Mail{By: DeliverBy{Given: true, Within: 2 * time.Minute, Trace: true}}, 0},
		{"BY past and N", "BY=-1;N", Mail{By: DeliverBy{Given: true, Within: -time.Second}}, 0},
		{"BY zero and N", "BY=0;N", Mail{By: DeliverBy{Given: true}}, 0},
		{"BY zero and R", "BY=0;R", Mail{}, 501},
		{"BY past and R", "BY=-1;R", Mail{}, 501},
		{"BY less than promised", "BY=9;R", Mail{}, 501},
		{"BY ten digits", "BY=1000000000;N", Mail{}, 501},
		{"BY no mode", "BY=120", Mail{}, 501},
		{"BY two modes", "BY=120;RN", Mail{}, 501},
		{"BY no time", "BY=;R", Mail{}, 501},
		{"BY two signs", "BY=+-1;N", Mail{}, 501},
		{"MT-PRIORITY", "MT-PRIORITY=-9", Mail{Priority: -9}, 0},
		{"MT-PRIORITY", "MT-PRIORITY=0", Mail{}, 0},
		{"MT-PRIORITY out of range", "MT-PRIORITY=10", Mail{}, 501},
		{"MT-PRIORITY minus zero", "MT-PRIORITY=-0", Mail{}, 501},
		{"MT-PRIORITY plus", "MT-PRIORITY=+1", Mail{}, 501},
		{"MT-PRIORITY twice", "MT-PRIORITY=1 MT-PRIORITY=1", Mail{}, 501},
		{"SMTP-043 unknown", "XYZZY=1", Mail{}, 555},
		{"SIZE", "SIZE=99999999999999999999", Mail{Size: math.MaxInt64}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, bad := ParseMail("FROM:<> "+c.params, &everything)
			if m != c.want || codeOf(bad) != c.code || bad != nil && bad.Enhanced != "5.5.4" {
				t.Errorf("%s: got %+v, %v", c.params, m, bad)
			}
		})
	}
}

// TestNotOffered: a parameter is taken where its extension was offered, and else
// refused with 555 (RFC 5321 §4.1.1.11).
func TestNotOffered(t *testing.T) {
	for params, keywords := range map[string]string{
		"SIZE=1": "SIZE", "BODY=8BITMIME": "8BITMIME BINARYMIME", "BODY=BINARYMIME": "BINARYMIME", "SMTPUTF8": "SMTPUTF8", "AUTH=<>": "AUTH",
		"RET=FULL": "DSN", "ENVID=x": "DSN", "REQUIRETLS": "REQUIRETLS STARTTLS", "HOLDFOR=1": "FUTURERELEASE",
		"HOLDUNTIL=2027-01-01T00:00:00Z": "FUTURERELEASE", "BY=120;R": "DELIVERBY", "MT-PRIORITY=1": "MT-PRIORITY",
	} {
		x := everything
		for _, k := range strings.Fields(keywords) {
			if !x.Withhold(k) {
				t.Error("cannot withhold", k)
			}
		}
		if _, bad := ParseMail("FROM:<> "+params, &x); codeOf(bad) != 555 {
			t.Errorf("SMTP-043 %s without %s: %v", params, keywords, bad)
		}
		if _, bad := ParseMail("FROM:<> "+params, &everything); bad != nil {
			t.Errorf("%s: %v", params, bad)
		}
	}
	if _, bad := ParseRcpt("TO:<a@b> NOTIFY=NEVER", false, &Extensions{}); codeOf(bad) != 555 {
		t.Error("NOTIFY without DSN:", bad)
	}
	before := everything
	before.Withhold("REQUIRETLS")
	if _, bad := ParseMail("FROM:<> REQUIRETLS", &before); codeOf(bad) != 530 {
		t.Error("SMTP-043 REQUIRETLS before STARTTLS:", bad)
	}
}

// TestRcptOptions: NOTIFY and ORCPT.
func TestRcptOptions(t *testing.T) {
	long := strings.Repeat("x", 500-len("rfc822;"))
	for _, c := range []struct {
		name, params string
		notify       Notify
		original     Original
		code         int
	}{
		{"never", "NOTIFY=never", NotifyNever, Original{}, 0},
		{"list", "NOTIFY=SUCCESS,Failure,DELAY", NotifySuccess | NotifyFailure | NotifyDelay, Original{}, 0},
		{"SMTP-043 never and success", "NOTIFY=NEVER,SUCCESS", 0, Original{}, 501},
		{"SMTP-043 success and never", "NOTIFY=SUCCESS,NEVER", 0, Original{}, 501},
		{"word twice", "NOTIFY=DELAY,DELAY", 0, Original{}, 501},
		{"empty word", "NOTIFY=DELAY,", 0, Original{}, 501},
		{"other word", "NOTIFY=ALWAYS", 0, Original{}, 501},
		{"no value", "NOTIFY", 0, Original{}, 501},
		{"twice", "NOTIFY=NEVER notify=NEVER", 0, Original{}, 501},
		{"RFC 3461 §4.2", "ORCPT=rfc822;Bob@Big-Bucks.example", 0, Original{"rfc822", "Bob@Big-Bucks.example"}, 0},
		{"xtext", "ORCPT=RFC822;a+2Bb@c", 0, Original{"rfc822", "a+b@c"}, 0},
		{"500 octets", "ORCPT=rfc822;" + long, 0, Original{"rfc822", long}, 0},
		{"501 octets", "ORCPT=rfc822;x" + long, 0, Original{}, 501},
		{"line end", "ORCPT=rfc822;a+0D+0ABcc:+20x@y", 0, Original{}, 501},
		{"8 bit", "ORCPT=rfc822;é@c", 0, Original{}, 501},
		{"no type", "ORCPT=;a@b", 0, Original{}, 501},
		{"no address", "ORCPT=rfc822;", 0, Original{}, 501},
		{"no semicolon", "ORCPT=a@b", 0, Original{}, 501},
		{"twice", "ORCPT=rfc822;a@b ORCPT=rfc822;a@b", 0, Original{}, 501},
		{"RFC 6533 utf-8-addr-xtext", `ORCPT=utf-8;\x{E9}\x{1F600}\x{2B}@c`, 0, Original{"utf-8", "é😀+@c"}, 0},
		{"RFC 6533 utf-8-addr-unitext", "ORCPT=UTF-8;é@c", 0, Original{"utf-8", "é@c"}, 0},
		{"surrogate", `ORCPT=utf-8;\x{D800}@c`, 0, Original{}, 501},
		{"above Unicode", `ORCPT=utf-8;\x{110000}@c`, 0, Original{}, 501},
		{"leading zero", `ORCPT=utf-8;\x{0E9}@c`, 0, Original{}, 501},
		{"one digit", `ORCPT=utf-8;\x{9}@c`, 0, Original{}, 501},
		{"small digits", `ORCPT=utf-8;\x{e9}@c`, 0, Original{}, 501},
		{"not ended", `ORCPT=utf-8;\x{E9`, 0, Original{}, 501},
		{"utf-8 line end", `ORCPT=utf-8;\x{0D}\x{0A}@c`, 0, Original{}, 501},
		{"utf-8 line separator", `ORCPT=utf-8;\x{2028}@c`, 0, Original{}, 501},
		{"unknown", "RRVS=2014-04-03T23:01:00Z", 0, Original{}, 555},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, bad := ParseRcpt("TO:<a@b> "+c.params, true, &everything)
			if r.Notify != c.notify || r.Original != c.original || codeOf(bad) != c.code {
				t.Errorf("%s: got %+v, %v", c.params, r, bad)
			}
		})
	}
}

// TestEHLOBothWays: what a server writes, a client reads.
func TestEHLOBothWays(t *testing.T) {
	both := func(x Extensions) Extensions {
		r, err := ReadReply(bufio.NewReader(bytes.NewReader(x.AppendTo([]byte("250 before\r\n")[:0]))))
		if err != nil || r.Code != 250 || r.Enhanced != "" {
			t.Fatalf("%q: %v, %v", x.AppendTo(nil), r, err)
		}
		return ParseEHLO(r)
	}
	if got := both(everything); !reflect.DeepEqual(got, everything) {
		t.Errorf("got %+v", got)
	}
	if got := both(Extensions{Host: "mx.example"}); !reflect.DeepEqual(got, Extensions{Host: "mx.example"}) {
		t.Errorf("got %+v", got)
	}
	none := everything
	for _, k := range []string{"SIZE", "STARTTLS", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING", "REQUIRETLS",
		"MT-PRIORITY", "ETRN", "DELIVERBY", "FUTURERELEASE", "LIMITS", "AUTH", "XCLIENT", "XFORWARD"} {
		if !none.Withhold(k) {
			t.Error("cannot withhold", k)
		}
	}
	if !reflect.DeepEqual(none, Extensions{Host: "mx.example"}) || none.Withhold("XYZZY") {
		t.Errorf("left of everything: %+v", none)
	}
	if got := string((&Extensions{Host: "h", SizeOffered: true, UTF8: true}).AppendTo(nil)); got != "250-h\r\n250-SIZE\r\n250 SMTPUTF8\r\n" {
		t.Errorf("%q", got)
	}
	odd := ParseEHLO(&Reply{Code: 250, Lines: []string{"h", "LIMITS RCPTMAX=1000000 MAILMAX=x rcptmax=5 X=1", "DELIVERBY x", "FUTURERELEASE", "AUTH=PLAIN"}})
	if odd.Limits != (Limits{Recipients: 5}) || !odd.DeliverBy || !odd.FutureRelease || !odd.HasAuth("PLAIN") {
		t.Errorf("%+v", odd)
	}
}

func TestBdat(t *testing.T) {
	for in, want := range map[string]Chunk{
		"0": {}, "0 LAST": {0, true}, "86 last": {86, true}, "1000": {1000, false}, "007": {7, false},
		"99999999999999": {99999999999999, false}, "99999999999999999999999 LAST": {math.MaxInt64, true},
	} {
		if got, bad := ParseBdat(in); got != want || bad != nil {
			t.Errorf("%q: %+v, %v", in, got, bad)
		}
	}
	for _, in := range []string{"", "-1", "+1", "x", "1 LAST x", "1 FIRST", "1,LAST", "0x10", "1e3", " 1", "LAST", "1 "} {
		if c, bad := ParseBdat(in); codeOf(bad) != 501 {
			t.Errorf("SMTP-026 %q: %+v, %v", in, c, bad)
		}
	}
	if got := string(Chunk{86, true}.AppendTo(nil)); got != "BDAT 86 LAST\r\n" {
		t.Error(got)
	}
}

func TestEtrn(t *testing.T) {
	for in, want := range map[string]Etrn{
		"Example.ORG": {Domain: "example.org"}, "@example.org": {Domain: "example.org", Subdomains: true}, "#uucp": {Queue: "uucp"},
		"[192.0.2.1]": {Domain: "[192.0.2.1]"},
	} {
		if got, bad := ParseEtrn(in); got != want || bad != nil {
			t.Errorf("%q: %+v, %v", in, got, bad)
		}
	}
	for _, in := range []string{"", "#", "@", "a b", "-", "a..b", "example.org."} {
		if e, bad := ParseEtrn(in); codeOf(bad) != 501 {
			t.Errorf("%q: %+v, %v", in, e, bad)
		}
	}
}

func TestXclient(t *testing.T) {
	given := func(s string) Attribute { return Attribute{Given, s} }
	for in, want := range map[string]Xclient{
		"NAME=spike.porcupine.org ADDR=168.100.189.2": {Name: given("spike.porcupine.org"), Addr: netip.MustParseAddr("168.100.189.2"), AddrState: Given},
		"name=[UNAVAILABLE] addr=IPV6:2001:db8::1":    {Name: Attribute{State: Unavailable}, Addr: netip.MustParseAddr("2001:db8::1"), AddrState: Given},
		"NAME=[tempunavail] PORT=4711 PROTO=esmtp":    {Name: Attribute{State: TempUnavail}, Port: 4711, PortState: Given, Proto: given("ESMTP")},
		"HELO=a+20b LOGIN=alice@example.org":          {Helo: given("a b"), Login: given("alice@example.org")},
		"DESTADDR=192.0.2.25 DESTPORT=25":             {DestAddr: netip.MustParseAddr("192.0.2.25"), DestAddrState: Given, DestPort: 25, DestPortState: Given},
		"ADDR=[UNAVAILABLE] ADDR=192.0.2.1":           {Addr: netip.MustParseAddr("192.0.2.1"), AddrState: Given},
		"ADDR=192.0.2.1 ADDR=[UNAVAILABLE]":           {AddrState: Unavailable},
	} {
		if got, bad := ParseXclient(in); got != want || bad != nil {
			t.Errorf("%q: %+v, %v", in, got, bad)
		}
	}
	for _, in := range []string{"", "NAME", "NAME=", "XYZZY=1", "ADDR=1.2.3", "ADDR=2001:db8::1", "ADDR=IPV6:192.0.2.1", "ADDR=IPV6:fe80::1%25eth0",
		"PORT=65536", "PORT=-1", "PORT=", "PROTO=HTTP", "HELO=a+0D+0Ab", "HELO=+zz", "NAME=a b", "NAME=a..b", "SOURCE=LOCAL", "LOGIN=" + strings.Repeat("x", 256)} {
		if x, bad := ParseXclient(in); codeOf(bad) != 501 || x != (Xclient{}) {
			t.Errorf("%q: %+v, %v", in, x, bad)
		}
	}
	if x, bad := ParseXforward("NAME=x.example ADDR=192.0.2.1 SOURCE=remote IDENT=4F1A+2B HELO=x"); bad != nil ||
		x.Source != given("REMOTE") || x.Ident != given("4F1A+") || x.Helo.Or("") != "x" || x.Login.Or("-") != "-" {
		t.Errorf("%+v, %v", x, bad)
	}
	if _, bad := ParseXforward("LOGIN=x"); codeOf(bad) != 501 {
		t.Error(bad)
	}
}

// FuzzArguments: the small parsers refuse with 501 or give values that are within
// their bounds and can be shown.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{"86 LAST", "99999999999999999999", "@example.org", "#q", "NAME=a ADDR=IPV6:::1 PORT=1 PROTO=SMTP", "HELO=+41", "SOURCE=LOCAL IDENT=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, args string) {
		c, bad := ParseBdat(args)
		if bad == nil {
			line := strings.TrimSuffix(strings.TrimPrefix(string(c.AppendTo(nil)), "BDAT "), "\r\n")
			if again, _ := ParseBdat(line); again != c || c.Size < 0 {
				t.Fatalf("%q: %+v, %+v", args, c, again)
			}
		}
		e, bad2 := ParseEtrn(args)
		x, bad3 := ParseXclient(args)
		y, bad4 := ParseXforward(args)
		for _, r := range []*Reply{bad, bad2, bad3, bad4} {
			if r != nil && r.Code != 501 {
				t.Fatalf("%q: %v", args, r)
			}
		}
		if s := fmt.Sprint(e.Domain, x.Name.Text, x.Helo.Text, x.Login.Text, y.Ident.Text); !printable(s, false) {
			t.Fatalf("%q: %q", args, s)
		}
	})
}

// FuzzEHLO: whatever a server says, what was understood of it can be written and
// read again.
func FuzzEHLO(f *testing.F) {
	f.Add("SIZE 100\nAUTH PLAIN LOGIN\nLIMITS RCPTMAX=1\nFUTURERELEASE 100 2027-01-01T00:00:00Z\nDELIVERBY 5\nXCLIENT NAME")
	f.Fuzz(func(t *testing.T, text string) {
		x := ParseEHLO(&Reply{Code: 250, Lines: append([]string{"h"}, strings.Split(text, "\n")...)})
		for _, w := range append(append(append([]string{}, x.Auth...), x.Xclient...), x.Xforward...) {
			if !isASCII(w) || !printable(w, false) {
				return // such a word is not written by our server
			}
		}
		if y := x.LastHold.Year(); y < 1 || y > 9999 {
			return
		}
		r, err := ReadReply(bufio.NewReader(bytes.NewReader(x.AppendTo(nil))))
		if err != nil {
			return // longer than a reply may be
		}
		if again := ParseEHLO(r); !reflect.DeepEqual(again, x) {
			t.Fatalf("%+v was read again as %+v", x, again)
		}
	})
}

// TestArgumentsDouble: twice the text takes about twice the time.
func TestArgumentsDouble(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	for _, unit := range []string{"9", " NAME=a", "NAME=+41", " AUTH x y z", " RCPTMAX=1", "@a.", "XCLIENT A B C\n"} {
		doubling.Check(t, unit, 1<<19, func(n int) func() {
			text := strings.Repeat(unit, n/len(unit)/8)
			return func() {
				ParseBdat(text)
				ParseEtrn(text)
				ParseXclient("NAME=" + text)
				ParseXforward(text)
				x := ParseEHLO(&Reply{Lines: append([]string{"h", "AUTH " + text, "LIMITS " + text}, strings.Split(text, "\n")...)})
				x.AppendTo(nil)
			}
		})
	}
}
