package imapd

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the server said into testdata")

// TestDialogues plays the scripts in testdata. "C:" is sent and "S:" expected;
// C2 and S2 are a second connection. Numbers that differ from run to run are
// written as "…". An S block after a C line is all up to the tagged answer, a
// continuation request or the end of the connection; any other is as long as it
// is in the script.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			d := &dialogue{t: t, house: open(t, nil), parts: map[string]*actor{}}
			got := d.play(strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
			if *update {
				os.WriteFile(f, []byte(got+"\n"), 0o644)
			} else if want := strings.TrimSuffix(string(text), "\n"); got != want {
				t.Errorf("%s\n%s", f, firstDifference(got, want))
			}
		})
	}
}

type dialogue struct {
	t     *testing.T
	house *house
	parts map[string]*actor
}

type actor struct {
	*client
	tag  string
	said bool // sent something since the last S block
	more bool // the last S block ended in a continuation request
}

func (d *dialogue) actor(name string) *actor {
	if d.parts[name] == nil {
		d.parts[name] = &actor{client: d.house.dial(d.t)}
	}
	return d.parts[name]
}

// play gives the script as it went.
func (d *dialogue) play(lines []string) string {
	var out []string
	for len(lines) > 0 {
		who, text, _ := strings.Cut(lines[0], ":")
		switch {
		case strings.HasPrefix(who, "C"):
			out = append(out, lines[0])
			d.actor(who[1:]).say(strings.TrimPrefix(text, " "))
		case strings.HasPrefix(who, "S"):
			n := slices.IndexFunc(lines, func(l string) bool { return !strings.HasPrefix(l, who+":") })
			if n < 0 {
				n = len(lines)
			}
			for _, l := range d.actor(who[1:]).hear(n) {
				if len(d.parts) > 1 {
					l = recent.ReplaceAllString(l, "")
				}
				out = append(out, strings.TrimRight(who+": "+l, " "))
			}
			lines = lines[n-1:]
		default:
			out = append(out, lines[0])
		}
		lines = lines[1:]
	}
	return strings.Join(out, "\n")
}

func (a *actor) say(text string) {
	a.t.Helper()
	if !a.said && !a.more {
		a.tag, _, _ = strings.Cut(text, " ")
	}
	a.said = true
	a.send(text + "\r\n")
}

func (a *actor) hear(n int) (lines []string) {
	if a.said {
		lines = a.until(a.tag)
		a.said, a.more = false, strings.HasPrefix(lines[len(lines)-1], "+ ")
	} else {
		for range n {
			lines = append(lines, a.line())
		}
	}
	for i := range lines {
		lines[i] = steady(lines[i])
	}
	return lines
}

// recent is left out where there are two sessions on a mailbox: the first that
// looks has the new letter as its \Recent one, and that may be either.
var recent = regexp.MustCompile(` ?\\Recent`)

// steady puts "…" for what differs from run to run.
func steady(line string) string {
	if regexp.MustCompile(`^\* [01] RECENT$`).MatchString(line) {
		return "* … RECENT"
	}
	line = regexp.MustCompile(`(CAPABILITY) IMAP4rev1 .* IDLE [^]]*`).ReplaceAllString(line, "${1} …")
	line = regexp.MustCompile(`(SAVEDATE ")[^"]*`).ReplaceAllString(line, "${1}…")
	line = regexp.MustCompile(`(MAILBOXID \(F)\d+`).ReplaceAllString(line, "${1}…")
	return regexp.MustCompile(`((?:UIDVALIDITY|APPENDUID|COPYUID|session) )[\w-]+`).ReplaceAllString(line, "${1}…")
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; i < min(len(g), len(w)); i++ {
		if g[i] != w[i] {
			return "line " + w[i] + "\n got " + g[i] + "\nall of it:\n" + got
		}
	}
	return "got\n" + got + "\nwant\n" + want
}
