package doctor

import (
	"os"
	"strings"
	"testing"
)

// The page for people has a chapter of each check, and each provider and tool: rows 218, 219, 228 and 231.
func TestDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/DOCTOR.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, c := range Checks() {
		if !strings.Contains(page, "\n### "+c.Name+"\n") {
			t.Errorf("docs/DOCTOR.md has no chapter %q: %s", c.Name, c.About)
		}
	}
	for _, p := range append(Providers(), Tools()...) {
		for _, want := range []string{p.Name, p.ProgrammeURL, p.UnblockURL} {
			if !strings.Contains(page, want) {
				t.Errorf("docs/DOCTOR.md does not have %q of %s", want, p.Name)
			}
		}
	}
}

// The worst comes first, records stand as they are to be pasted, and what strangers wrote
// does not steer a terminal.
func TestPage(t *testing.T) {
	t.Parallel()
	long := `example.org. IN TXT "` + strings.Repeat("a", 255) + `" "` + strings.Repeat("b", 100) + `"`
	list := []Finding{
		{Check: "dns", Level: OK, What: "The name service answers."},
		{Check: "mx", Level: Warning, What: "It says \x1b[31mred.", Why: "Because."},
		{Check: "spf", Level: Failure, What: strings.Repeat("word ", 60), Do: []string{long}, Link: "https://example.org/"},
	}
	print := func(p Page) string {
		var b strings.Builder
		if err := p.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	got := print(Page{Findings: list})
	if !strings.HasPrefix(got, "1 failure, 1 warning, 1 well\n") {
		t.Errorf("the sum is not first:\n%s", got)
	}
	if f, w := strings.Index(got, "FAILURES"), strings.Index(got, "WARNINGS"); f < 0 || w < f {
		t.Errorf("failures are not before warnings:\n%s", got)
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("a stranger steers the terminal:\n%q", got)
	}
	for line := range strings.Lines(got) {
		if len(line) > width+1 && !strings.Contains(line, "IN TXT") {
			t.Errorf("a long line: %q", line)
		}
	}
	if !strings.Contains(got, "      "+long+"\n") {
		t.Errorf("the record is not whole:\n%s", got)
	}
	if !strings.Contains(print(Page{Findings: list, Color: true}), "\x1b[1;31m") {
		t.Error("no colour on a terminal")
	}
	if Worst(nil) != OK || Worst(list) != Failure || Exit(list) != 2 || Exit(list[:2]) != 1 || Exit(list[:1]) != 0 || Exit([]Finding{{Level: Unknown}}) != 1 {
		t.Error("exit codes")
	}
}
