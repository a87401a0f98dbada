package conf

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

type shop struct {
	Name   string     `toml:"name"`
	Open   bool       `toml:"open"`
	Shelf  int        `toml:"shelf"`
	Room   uint16     `toml:"-"`
	Nets   []Prefix   `toml:"nets"`
	Wait   Duration   `toml:"wait"`
	Most   Size       `toml:"most"`
	Goods  []good     `toml:"good"`
	Till   till       `toml:"till"`
	Hosts  []HostPort `toml:"hosts"`
	Nobody string
}

type good struct {
	Label string   `toml:"label"`
	Tags  []string `toml:"tags"`
}

type till struct {
	Port  uint16 `toml:"port"`
	Place Addr   `toml:"place"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	s := shop{Shelf: 7, Nets: []Prefix{{}}, Till: till{Port: 25}}
	positions, err := Decode("shop.toml", []byte(`
name = 'corner "shop"'
open = true # always
nets = ["10.0.0.0/8",
  # inside
  "[::1]/128", "192.0.2.1"]
wait = "1h30m"
most = 1_024
hosts = []
till.place = "::ffff:192.0.2.9"
[[good]]
label = "tea"
tags = ["a", "b"]
[[good]]
label = """
two
lines"""
`), &s)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%+v", s)
	want := `{Name:corner "shop" Open:true Shelf:7 Room:0 Nets:[10.0.0.0/8 ::1/128 192.0.2.1/32] Wait:5400000000000 Most:1024 ` +
		"Goods:[{Label:tea Tags:[a b]} {Label:two\nlines Tags:[]}] Till:{Port:25 Place:192.0.2.9} Hosts:[] Nobody:}"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !positions.Has("good[1].label") || positions.Has("shelf") {
		t.Error("the positions do not tell what the file mentions")
	}
	for key, want := range map[string]string{
		"good[0].tags[1]": "shop.toml:13:14: good[0].tags[1]: is bad",
		"good[1].tags":    "shop.toml:14:3: good[1].tags: is bad",
		"shelf":           "shop.toml: shelf: is bad",
	} {
		if got := positions.Errorf(key, "is %s", "bad").Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// MAP-012: every mistake is told, by its line, with what was expected.
func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"unknown", "nmae = 'x'", `f:1:1: unknown key "nmae"; did you mean "name"?`},
		{"unknown in a table", "[till]\n prot = 1", `f:2:2: unknown key "till.prot"; did you mean "port"?`},
		{"unknown table", "[tlil]\nport=1", `f:1:2: unknown key "tlil"; did you mean "till"?`},
		{"unknown, of another table", "port = 1", `f:1:1: unknown key "port"; it belongs in [till]`},
		{"unknown, of a list of tables", "label = 1", `f:1:1: unknown key "label"; it belongs in [[good]]`},
		{"unknown, of the top", "[till]\nwait = '1s'", `f:2:1: unknown key "till.wait"; it belongs in the top of the file, before the first [table]`},
		{"unknown, like nothing", "zzzzzz = 1", `f:1:1: unknown key "zzzzzz"`},
		{"a name of Go is no key", "Nobody = 'x'", `f:1:1: unknown key "Nobody"`},
		{"inline", "till = { port = 1, prt = 2 }", `f:1:20: unknown key "till.prt"; did you mean "port"?`},
		{"dotted", "till.prt = 2", `f:1:6: unknown key "till.prt"; did you mean "port"?`},
		{"string for bool", "open = 'yes'", `f:1:8: open: expected true or false, found "yes"`},
		{"float for int", "shelf = 1.5", `f:1:9: shelf: expected a whole number, found 1.5`},
		{"int too large", "shelf = 99999999999999999999", `f:1:9: decimal number is too large to fit in a 64-bit signed integer`},
		{"port too large", "till.port = 65536", `f:1:13: till.port: 65536 does not fit`},
		{"port below zero", "till.port = -1", `f:1:13: till.port: -1 does not fit`},
		{"date", "name = 2020-01-01", `f:1:8: name: expected text in quotes, found 2020-01-01`},
		{"list for string", "name = ['x']", `f:1:1: name: expected text in quotes, found a list`},
		{"table for string", "[name]", `f:1:2: name: expected text in quotes, found a table`},
		{"value for table", "till = 1", `f:1:8: till: expected a table, found 1`},
		{"value for tables", "good = 'x'", `f:1:8: good: expected a list of tables, found "x"`},
		{"table for tables", "[good]", `f:1:2: good: expected a list of tables, found a table`},
		{"value for list", "nets = '10.0.0.0/8'", `f:1:8: nets: expected a list in brackets, each entry a network such as "192.0.2.0/24" or "::1/128", found "10.0.0.0/8"`},
		{"bool for network", "nets = [true]", `f:1:9: nets[0]: expected a network such as "192.0.2.0/24" or "::1/128", found true`},
		{"bad network", "nets = ['::1', '10.0.0.0/33']", `f:1:16: nets[1]: "10.0.0.0/33" is not a network such as "192.0.2.0/24" or "::1/128"`},
		{"host bits", "nets = ['10.1.0.0/8']", `f:1:9: nets[0]: "10.1.0.0/8" has bits beyond its length; did you mean "10.0.0.0/8"?`},
		{"bad size", "most = '5X'", `f:1:8: most: "5X" is not a size in bytes such as 52428800 or "50M" (K, M, G, T)`},
		{"bad host", "hosts = ['a b:25']", `f:1:10: hosts[0]: "a b:25" is not a host and port such as "192.0.2.1:25" or "[::1]:25"`},
		{"wait without a unit", "wait = 5", `f:1:8: wait: "5" is not a duration such as "90s", "5m", "4h" or "5d"`},
		{"several, in order", "a1 = 1\nopen = 3\n[till]\nx2 = 1", "f:1:1: unknown key \"a1\"\nf:2:8: open: expected true or false, found 3\nf:4:1: unknown key \"till.x2\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Decode("f", []byte(test.in), new(shop))
			if got := fmt.Sprint(err); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// What the TOML library itself refuses comes with a line too.
func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for in, line := range map[string]int{
		"name = 'a'\nname = 'b'":      2,
		"[till]\n[till]":              2,
		"\n\nname = ":                 3,
		"name = 'a' junk":             1,
		"[[good]]\n[good]":            2,
		"till = {port=1}\n[till]":     2,
		"good = []\n[[good]]":         2,
		"name.x = 1\nname = 'a'":      2,
		"\xff = 1":                    1,
		"open = 1\n[open.x]\ny = '1'": 2,
	} {
		_, err := Decode("f", []byte(in), new(shop))
		var e *Error
		if !errors.As(err, &e) || e.Pos.Line != line || strings.Contains(e.Text, "\n") {
			t.Errorf("%q: got %v, want one line about line %d", in, err, line)
		}
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"0s": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "5d": 120 * time.Hour, "2w": 336 * time.Hour, "250ms": 250 * time.Millisecond,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(in)); err != nil || d.Std() != want {
			t.Errorf("%q: %v, %v", in, d.Std(), err)
		}
		text, _ := d.MarshalText()
		var again Duration
		if err := again.UnmarshalText(text); err != nil || again != d {
			t.Errorf("%q is written as %q, which is read as %v, %v", in, text, again, err)
		}
	}
	for _, bad := range []string{"", "5", "h", "-5s", "1.5h", "5 s", "5min", "99999999999999999999s", "9999999999w", "1h-2m", "53375995583651w53375995583651w"} {
		if d := new(Duration); d.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q was read as %v", bad, d.Std())
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Size{"0": 0, "35840000": 35840000, "35M": 35 << 20, "1k": 1024, "10G": 10 << 30, "2T": 2 << 40} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%q: %v, %v", in, s, err)
		}
		text, _ := s.MarshalText()
		var again Size
		if err := again.UnmarshalText(text); err != nil || again != s {
			t.Errorf("%q is written as %q", in, text)
		}
	}
	for _, bad := range []string{"", "M", "-1", "1.5M", "5MB", "9223372036854775808", "9007199254740993K", "8388608T"} {
		if s := new(Size); s.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q was read as %d", bad, *s)
		}
	}
}

func TestHostPort(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]HostPort{
		"127.0.0.1:25":     {"127.0.0.1", 25},
		":25":              {"", 25},
		"[::1]:25":         {"::1", 25},
		"[::1]":            {"::1", 0},
		"::1":              {"::1", 0},
		"mx.example.org":   {"mx.example.org", 0},
		"[mx.example.org]": {"mx.example.org", 0},
		"mx.example:587":   {"mx.example", 587},
		"127.0.0.1:0":      {"127.0.0.1", 0},
	} {
		var hp HostPort
		if err := hp.UnmarshalText([]byte(in)); err != nil || hp != want {
			t.Errorf("%q: %+v, %v", in, hp, err)
		}
	}
	for _, bad := range []string{"", "a b", "host:", "host:smtp", "host:65536", "host:-1", "::1:25:zz", "http://x", "a/b:1"} {
		if hp := new(HostPort); hp.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q was read as %+v", bad, *hp)
		}
	}
}

const source = `package x
type shop struct {
	// The name
	// of it.
	//
	// Second paragraph.
	Name string
	Open bool // no doc comment
	// What is sold.
	Goods []good
	// The till.
	Till till
}
type good struct {
	// Its label.
	Label string
}
`

func TestDocsAndWriters(t *testing.T) {
	t.Parallel()
	docs, err := ReadDocs([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	if got := docs["shop.Name"]; got != "The name of it.\n\nSecond paragraph." {
		t.Errorf("%q", got)
	}
	s := shop{Name: "a\"\\\n", Most: 50 << 20, Goods: []good{{Label: "x"}, {Label: "y", Tags: []string{"z"}}}}
	tables := Tables(docs, &s)
	var b strings.Builder
	if err := WriteSettings(&b, tables); err != nil {
		t.Fatal(err)
	}
	again := shop{}
	if _, err := Decode("f", []byte(strings.Replace(b.String(), "place = \"\"\n", "", 1)), &again); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	if again.Name != s.Name || again.Most != s.Most || len(again.Goods) != 2 || again.Goods[1].Tags[0] != "z" {
		t.Errorf("what was written is read as %+v", again)
	}
	b.Reset()
	other := s
	other.Wait = Duration(time.Second)
	if err := WriteSettings(&b, Differences(Tables(docs, other), tables)); err != nil || b.String() != "wait = \"1s\"\n" {
		t.Errorf("the difference is %q", b.String())
	}
	b.Reset()
	if err := WriteSample(&b, tables, false); err != nil || !strings.Contains(b.String(), "# The name of it.\n# Second paragraph.\nname = ") {
		t.Error(b.String())
	}
	if !strings.Contains(b.String(), "\n# What is sold.\n[[good]]\n# Its label.\nlabel = \"x\"\n") {
		t.Error(b.String())
	}
}

// Twice the file takes about twice the time, also when all of it is wrong.
func TestDecodeDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	for name, line := range map[string]string{
		"tables":  "[[good]]\nlabel = 'x'\ntags = ['a', 'b']\n",
		"unknown": "[[good]]\nlabbel = 'x'\ntgas = 1\n",
		"lists":   "[[good]]\ntags = [" + strings.Repeat("'x', ", 50) + "]\n",
	} {
		took := func(n int) time.Duration {
			text, start := []byte(strings.Repeat(line, n)), time.Now()
			Decode("f", text, new(shop))
			return time.Since(start)
		}
		// The best of several runs counts, repeated while in doubt: other work may be
		// going on.
		one, two := time.Hour, time.Hour
		for round := 0; round < 4 || two > 4*one; round++ {
			if round == 40 {
				t.Errorf("%s: twice the input takes %v instead of %v", name, two, one)
				break
			}
			one, two = min(one, took(1000)), min(two, took(2000))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("name = 'x'\n[[good]]\nlabel='y'\n[till]\nport = 5")
	f.Add("till.port = 1\ntill.x.y = 2\ngood = [{label='x'}, {tags=['a',]}]")
	f.Add("a = [[1, 2], [[]], {x = {y = 1}}]\n[a.b]\n")
	f.Fuzz(func(t *testing.T, in string) {
		_, err := Decode("f", []byte(in), new(shop))
		if list, ok := err.(Errors); err != nil && (!ok || len(list) == 0) {
			t.Fatalf("an error that is no list: %v", err)
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{"5d", "50M", "10.0.0.0/8", "[::1]:25", ":25", "mx:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		var d Duration
		if d.UnmarshalText([]byte(in)) == nil && d < 0 {
			t.Fatalf("%q is a negative duration", in)
		}
		var s Size
		if s.UnmarshalText([]byte(in)) == nil && s < 0 {
			t.Fatalf("%q is a negative size", in)
		}
		var hp, again HostPort
		if hp.UnmarshalText([]byte(in)) == nil && hp.Host != "" && (again.UnmarshalText([]byte(hp.String())) != nil || again != hp) {
			t.Fatalf("%q is %+v and then %+v", in, hp, again)
		}
	})
}

// A key that is like one here, and stands in another table too, may be meant for either.
func TestUnknownKeyOfTwoHomes(t *testing.T) {
	t.Parallel()
	var into struct {
		Domain []struct {
			Name string `toml:"name"`
		} `toml:"domain"`
		Wait struct {
			Domains []string `toml:"domains"`
		} `toml:"wait"`
	}
	_, err := Decode("f", []byte("domains = ['example.org']"), &into)
	if want := `f:1:1: unknown key "domains"; did you mean "domain", or does it belong in [wait]?`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
