package arch

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// rows are those of the list of what a mail server's users expect: access (22 to 38),
// addresses (39 to 58), directories and tables (59 to 66), authentication (67 to 80), the
// queue, its tools and how mail leaves (98 to 141; 106 is a setting of Postfix's that nothing
// needs here), bounces (150 to 157), who sent a letter (163 to 173), spam (158 to 162 and 174
// to 191), quarantine (193 to 200 and 204 to 206; 201 to 203 are of a viewer in the web), SRS
// (207 to 212), how our mail arrives (213 to 233), and a reload without a restart (259).
var rows = [][2]int{{22, 80}, {98, 105}, {107, 141}, {150, 191}, {193, 200}, {204, 233}, {259, 259}}

// attacks are the rows of the list of attacks on relaying, on who sent a letter, on tables
// and settings, by users of the machine, by spammers, and by the form of a letter, on what
// leaves and what goes round; and of faults. Answering machines, digests and a soak of a day
// are not among them (LOOP-009 to LOOP-012, LOOP-014, FLT-024).
var attacks = map[string][]int{
	"REL":  {1, 3, 4, 5, 6, 8, 10, 13, 15, 16, 17, 19, 20},
	"AUT":  {1, 2, 3, 4, 5, 6, 7, 9, 10, 13, 14, 15, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28},
	"MAP":  {1, 2, 4, 5, 6, 8, 10, 11, 12, 14},
	"ABU":  {1, 3, 5, 6, 7, 8, 12, 13, 14, 16, 17, 18, 20},
	"MIME": {1, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 19, 20, 21, 22, 23},
	"LOOP": {1, 2, 3, 5, 6, 7, 8, 13},
	"OUT":  {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 20, 22, 23, 24},
	"FLT":  {1, 2, 3, 4, 5, 6, 9, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22},
	"LOC":  {1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16},
}

var (
	namedRows   = regexp.MustCompile(`(?i)\brows? ?(\d+(?:(?:, (?:and )?| and | to )\d+)*)`)
	inTestNames = regexp.MustCompile(`TestRow(\d+)`)
	rowOfRange  = regexp.MustCompile(`(\d+)(?: to (\d+))?`)
	namedAttack = regexp.MustCompile(`(?:^|[^A-Z])((?:REL|AUT|MAP|LOC|ABU|MIME|LOOP|OUT|FLT)-?\d{3})`)
)

// named collects what a test says of itself.
func named(text string, into map[string]bool) {
	for _, m := range namedRows.FindAllStringSubmatch(text, -1) {
		for _, r := range rowOfRange.FindAllStringSubmatch(m[1], -1) {
			first, _ := strconv.Atoi(r[1])
			last := first
			if r[2] != "" {
				last, _ = strconv.Atoi(r[2])
			}
			for n := first; n <= last && n-first < 20; n++ {
				into[fmt.Sprint("row ", n)] = true
			}
		}
	}
	for _, m := range inTestNames.FindAllStringSubmatch(text, -1) {
		into["row "+m[1]] = true
	}
	for _, m := range namedAttack.FindAllStringSubmatch(text, -1) {
		id := strings.Replace(m[1], "-", "", 1)
		digits := len(id) - 3
		into[id[:digits]+"-"+id[digits:]] = true
	}
}

// isTest tells whether a file says what is tested: this one does not.
func isTest(path string) bool {
	switch {
	case strings.HasSuffix(path, "_test.go"):
		return filepath.Base(path) != "named_test.go"
	case strings.HasSuffix(path, ".txtar"), strings.HasSuffix(path, ".dialogue"):
		return true
	}
	return false
}

// Each row has a test or a story that names it.
func TestEveryRowIsNamed(t *testing.T) {
	got := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !isTest(p) {
			return err
		}
		text, err := os.ReadFile(p)
		named(string(text), got)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range rows {
		for n := span[0]; n <= span[1]; n++ {
			if !got[fmt.Sprint("row ", n)] {
				t.Errorf("no test names row %d", n)
			}
		}
	}
	for kind, numbers := range attacks {
		for _, n := range numbers {
			if id := fmt.Sprintf("%s-%03d", kind, n); !got[id] {
				t.Errorf("no test names %s", id)
			}
		}
	}
}

func TestNamesBite(t *testing.T) {
	got := map[string]bool{}
	named("// Rows 24, 25 and 30: x; row 7 x, IMAP-001\nfunc TestRow9X; TestMAP004Y MAP-002 rows 40 to 42\n", got)
	want := []string{"row 24", "row 25", "row 30", "row 7", "row 9", "MAP-004", "MAP-002", "row 40", "row 41", "row 42"}
	for _, w := range want {
		if !got[w] {
			t.Errorf("%s is not seen", w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("seen: %v", got)
	}
}

// Each room stands in the table of floors of docs/ARCHITECTURE.md.
func TestEveryRoomIsOnThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			table[strings.Trim(cells[1], " `")] = cells[2]
		}
	}
	rooms, _ := house(t)
	for _, r := range rooms {
		parts := strings.Split(r.name(), "/")
		if len(parts) < 2 || parts[0] == "cmd" {
			continue
		}
		if !strings.Contains(table[parts[0]], "`"+parts[1]+"`") {
			t.Errorf("docs/ARCHITECTURE.md does not have %s", r.name())
		}
	}
}
