package postfix

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

func TestLines(t *testing.T) {
	t.Parallel()
	got := ParseMain("# c\n\nname = one\n  # between\n\n\ttwo \nother=  x\nno sign\nlast =\n")
	want := []struct {
		name, value string
		line        int
		bad         bool
	}{{"name", "one\n\ttwo", 3, false}, {"other", "x", 7, false}, {"no sign", "", 8, true}, {"last", "", 9, false}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, w := range want {
		if g := got[i]; g.Name != w.name || g.Value != w.value || g.Line != w.line || (g.Err != nil) != w.bad {
			t.Errorf("got %+v, want %+v", g, w)
		}
	}
	if got := ParseMain("  begins = with a blank\nx = y\n"); got[0].Err == nil || got[1].Err != nil {
		t.Errorf("%+v", got)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	got := Words("a, b\n\tc,,{ d e, {f} } check_x inline:{ {a = b c} },z")
	want := []string{"a", "b", "c", "{ d e, {f} }", "check_x", "inline:{ {a = b c} }", "z"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestParseMaster(t *testing.T) {
	t.Parallel()
	got := ParseMaster(`
# service type
smtp      inet  n       -       y       -       -       smtpd
submission inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
# between
  -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }
  -osyslog_name=postfix/submission -v
maildrop  unix  -       n       n       -       -       pipe
  flags=DRhu user=vmail argv=/usr/bin/maildrop -d ${recipient} -o x=y { two words }
short unix
`)
	if len(got) != 4 {
		t.Fatalf("%+v", got)
	}
	s := got[1]
	if s.Name != "submission" || s.Type != "inet" || s.Command != "smtpd" || s.Line != 4 || !slices.Equal(s.Args, []string{"-v"}) {
		t.Errorf("%+v", s)
	}
	for name, want := range map[string]string{"smtpd_tls_security_level": "encrypt", "smtpd_client_restrictions": "permit_sasl_authenticated, reject", "syslog_name": "postfix/submission"} {
		if v, found := s.Option(name); v != want || !found {
			t.Errorf("%s: %q", name, v)
		}
	}
	if want := []string{"flags=DRhu", "user=vmail", "argv=/usr/bin/maildrop", "-d", "${recipient}", "-o", "x=y", "two words"}; !slices.Equal(got[2].Args, want) {
		t.Errorf("%q", got[2].Args)
	}
	if got[3].Err == nil {
		t.Error("a line of two words is no service")
	}
}

// values are given to Postfix's own postconf and to ours.
const values = `a = x
b = $a ${a} $(a) $$a
empty =
c = ${a?yes} ${a:no} ${empty?yes} ${empty:no}
d = ${a?{yes}:{no}} ${empty?{yes}:{no}} ${a?{yes}}
e = ${{$a} == {x} ? {same} : {other}} ${{$a} != {x} ? {same} : {other}}
f = ${{10} < {9} ? {text} : {number}} ${{b} > {a} ? {after} : {before}}
g = ${{$level} <level {3.6} ? {old} : {new}} ${{3.10} >=level {3.9} ? {yes} : {no}}
level = 3.5
h = ${a?more $b}
i = ${a?{in {braces} here}}
j = $a/$a.$empty-$a
a2 = one
a2 = two
k = $a2
l = first
  # comment
  second

  third
m = ${{$l} == {} ? {e} : { spaced }}
mydestination = $c $d $e $f $g $h $i $j $k $m
`

// TestExpandAsPostfix (row 258): the same values as "postconf -x".
func TestExpandAsPostfix(t *testing.T) {
	t.Parallel()
	postconf, err := exec.LookPath("postconf")
	if err != nil {
		if os.Getenv("FACTEUR_TEST_REQUIRE") == "1" {
			t.Fatal("no postconf on this machine")
		}
		t.Skip("no postconf on this machine")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.cf"), []byte(values), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "master.cf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(postconf, "-c", dir, "-xn").Output()
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " =")
		theirs[name] = oneLine(value)
	}
	raw := Defaults()
	for _, p := range ParseMain(values) {
		raw[p.Name] = p.Value
	}
	compared := 0
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if name == "config_directory" {
			continue
		}
		got, err := Expand(raw[name], func(n string) string { return raw[n] })
		if err != nil || oneLine(got) != theirs[name] {
			t.Errorf("%s = %q: got %q %v, Postfix says %q", name, raw[name], oneLine(got), err, theirs[name])
		}
		compared++
	}
	if compared < 15 {
		t.Errorf("only %d values were compared:\n%s", compared, out)
	}
}

func TestExpandIsBounded(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]map[string]string{
		"a loop":         {"a": "$b", "b": "$a"},
		"a loop of text": {"a": "${a?x$a}"},
		"doubling": func() map[string]string {
			m := map[string]string{}
			for c := 'a'; c < 'z'; c++ {
				m[string(c)] = strings.Repeat("$"+string(c+1), 10)
			}
			m["z"] = "0123456789"
			return m
		}(),
		"an open brace": {"a": "${b"},
		"no form":       {"a": "${b!c}"},
		"no comparison": {"a": "${{x} =~ {y} ? {1}:{2}}"},
	} {
		if v, err := Expand("$a", func(n string) string { return raw[n] }); err == nil {
			t.Errorf("%s: %d bytes and no error", name, len(v))
		}
	}
}

func FuzzMain(f *testing.F) {
	f.Add(values)
	f.Add("a = ${{")
	f.Add("a={b}\n c=$$\n\x00 = x")
	f.Fuzz(func(t *testing.T, text string) {
		raw := map[string]string{}
		for _, p := range ParseMain(text) {
			if p.Line < 1 {
				t.Fatalf("%+v", p)
			}
			raw[p.Name] = p.Value
		}
		for _, v := range raw {
			got, err := Expand(v, func(n string) string { return raw[n] })
			if len(got) > expandSize || err != nil && got != "" {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			Words(v)
		}
	})
}

func FuzzMaster(f *testing.F) {
	f.Add("smtp inet n - y - - smtpd\n -o a=b -o { c = d }\n")
	f.Add("a b c d e f g pipe argv={ x")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range ParseMaster(text) {
			if s.Err == nil && s.Command == "" {
				t.Fatalf("%+v", s)
			}
		}
	})
}

func TestParsersAreLinear(t *testing.T) {
	for name, unit := range map[string]string{
		"lines": "a = b\n", "continued": "a = b\n c\n", "comments": "a = b\n#\n", "braces": "{", "macros": "$a ${b?x}", "one line": "\n ",
	} {
		doubling.Check(t, name, 1<<17, func(n int) func() {
			text := "x = " + strings.Repeat(unit, n/len(unit))
			return func() {
				ParseMain(text)
				ParseMaster(text)
				Words(text)
				Expand(text, func(string) string { return "" })
			}
		})
	}
}

// TestDefaults: every parameter that Postfix has is known here, with its value.
func TestDefaults(t *testing.T) {
	t.Parallel()
	ours := Defaults()
	if len(ours) < 900 {
		t.Fatalf("only %d", len(ours))
	}
	postconf, err := exec.LookPath("postconf")
	if err != nil {
		t.Skip("no postconf on this machine")
	}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "main.cf"), nil, 0o644)
	os.WriteFile(filepath.Join(dir, "master.cf"), nil, 0o644)
	out, err := exec.Command(postconf, "-c", dir, "-d").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, []byte("mail_version = 3.7.")) {
		t.Skip("another Postfix than 3.7 is on this machine")
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " =")
		got, found := ours[name]
		if !found {
			t.Errorf("%s is not known", name)
		} else if !slices.Contains(machine, name) && name != "mail_version" && got != strings.TrimSpace(value) {
			t.Errorf("%s = %q, Postfix says %q", name, got, value)
		}
	}
}
