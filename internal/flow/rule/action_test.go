package rule

import (
	"strings"
	"testing"
)

func TestParseAction(t *testing.T) {
	for in, want := range map[string]string{
		"accept":                            "accept",
		"continue":                          "continue",
		"reject":                            "reject 554 5.7.1 Access denied",
		"REJECT":                            "reject 554 5.7.1 Access denied",
		"reject  550":                       "reject 550 5.7.1 Access denied",
		"reject 550 5.1.1 gone away":        "reject 550 5.1.1 gone away",
		"reject 5.1.1 gone":                 "reject 554 5.1.1 gone",
		"reject go away":                    "reject 554 5.7.1 go away",
		"defer":                             "defer 450 4.7.1 Try again later",
		"defer 451 4.3.0 come back":         "defer 451 4.3.0 come back",
		"550 5.7.1 in a list":               "reject 550 5.7.1 in a list",
		"450 not now":                       "defer 450 4.7.1 not now",
		"hold":                              "hold",
		"hold looks odd":                    "hold looks odd",
		"discard":                           "discard",
		"redirect Boss@Example.ORG":         "redirect Boss@example.org",
		"bcc log@example.org":               "bcc log@example.org",
		"prepend X-A: b: c":                 "prepend X-A: b: c",
		`add header "X-Foo: bar"`:           "add header X-Foo: bar",
		"add header X-Foo:":                 "add header X-Foo: ",
		"remove header X-Foo":               "remove header X-Foo",
		"remove header X-Foo:":              "remove header X-Foo",
		"tag suspicious":                    "tag suspicious",
		"class onlylocal":                   "class onlylocal",
		"ASK onlylocal":                     "ask onlylocal",
		"warn saw it":                       "warn saw it",
		"sleep 1500ms":                      "sleep 1.5s",
		"listed":                            "listed",
		"OK":                                "accept",
		"PERMIT":                            "accept",
		"DUNNO":                             "continue",
		"12345":                             "accept",
		"DEFER_IF_PERMIT 4.2.0 Greylisted":  "defer 450 4.2.0 Greylisted",
		"PREPEND X-Greylist: delayed":       "prepend X-Greylist: delayed",
		"WARN x":                            "warn x",
		" reject   550   5.7.1   blanks   ": "reject 550 5.7.1 blanks",
	} {
		a, err := ParseAction(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if got := a.String(); got != strings.TrimSpace(want) && got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestBadActions(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "is empty",
		"explode":                             `unknown action "explode"`,
		"rejectt":                             `did you mean "reject"?`,
		"reject 450 x":                        "from 500 to 599",
		"reject 5.1.1.1":                      "", // a text like any other
		"reject 550 4.1.1 x":                  "begins with 5.",
		"defer 421 x":                         "would end the session",
		"reject 521 x":                        "would end the session",
		"reject caf\u00e9":                    "printable ASCII",
		"reject a\r\nb":                       "printable ASCII",
		"prepend X: a\nBcc: b":                "printable ASCII",
		"reject " + strings.Repeat("x", 1000): "longer than",
		"250 fine":                            "from 400 to 599",
		"redirect nobody":                     "expected an address",
		"redirect <a@b.example>":              "expected an address",
		"bcc":                                 "expected an address",
		"prepend nothing":                     "expected a header field",
		"prepend X Y: z":                      "expected a header field",
		"add X-Foo: bar":                      `expected the word "header"`,
		"remove header":                       "expected the name",
		"remove header A B":                   "expected the name",
		"tag":                                 "expected one word",
		"tag two words":                       "expected one word",
		"class":                               "expected one word",
		"ask":                                 "expected one word",
		"warn":                                "the text is missing",
		"sleep":                               "up to 10s",
		"sleep 0s":                            "up to 10s",
		"sleep -2s":                           "up to 10s",
		"sleep 11s":                           "up to 10s",
		"listed x":                            "nothing is expected",
	} {
		_, err := ParseAction(in)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", in, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

// FuzzParseAction: what is taken can be said, says the same again, and stays on its
// line.
func FuzzParseAction(f *testing.F) {
	for _, s := range []string{"reject 554 5.7.1 No", "450 4.7.1 x", "prepend X-A: b", `add header "X: y"`, "remove header X:", "redirect a@b.example",
		`bcc "a b"@c.example`, "sleep 2s", "tag x", "class y", "DUNNO", "12", "hold  a  b", "DEFER_IF_PERMIT x", "listed"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAction(s)
		if err != nil {
			return
		}
		text := a.String()
		if strings.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("%q is more than a line", text)
		}
		again, err := ParseAction(text)
		if err != nil || again.String() != text {
			t.Fatalf("%q → %q → %q, %v", s, text, again.String(), err)
		}
	})
}
