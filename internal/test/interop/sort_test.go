package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// oddLetters is a mailbox for SORT and THREAD: subjects, charsets, dates and
// references as they are and as they should not be.
func oddLetters() (letters []string) {
	add := func(id, subject, from, date, refs string, more ...string) {
		text := ""
		for _, f := range []struct{ name, value string }{{"Message-ID", id}, {"Subject", subject}, {"From", from}, {"Date", date}, {"References", refs}} {
			if f.value != "" {
				text += f.name + ": " + f.value + "\n"
			}
		}
		letters = append(letters, text+strings.Join(more, "\n")+"\nBody.\n")
	}
	day := func(n int) string { return fmt.Sprintf("Tue, %d Feb 2024 10:00:00 +0000", n) }
	add("<a@x>", "Lunch", "Zoe <zoe@example.org>", day(1), "")
	add("<b@x>", "Re: Lunch", "ann@example.org", day(2), "<a@x>", "To: Bob <bob@example.org>\n")
	add("<c@x>", "RE: [list] lunch", `"Ärger, Max" <max@example.org>`, day(3), "<a@x> <b@x>")
	add("<d@x>", "=?utf-8?q?=C3=84pfel?=", "=?utf-8?q?=C3=84nne?= <aenne@example.org>", day(4), "")
	add("<e@x>", "=?iso-8859-1?q?Re=3A_=E4pfel?=", "", day(5), "")
	add("<f@x>", "Fwd: Fw: Invoice (fwd)", "Bob (a comment) <bob@example.org>", "Mon, 5 Feb 2024 23:30:00 -0800", "<missing1@x>")
	add("<g@x>", "[fwd: invoice]", "bob@example.org", "Tue, 6 Feb 2024 01:00:00 +0900", "<missing1@x>")
	add("<h@x>", "", "carl@example.org", day(8), "")
	add("", "no id", "carl@example.org", "", "")
	add("<a@x>", "the same id again", "dora@example.org", day(9), "")
	add("<i@x>", "own parent", "dora@example.org", day(10), "<i@x>")
	add("<j@x>", "loop one", "eve@example.org", day(11), "<k@x>")
	add("<k@x>", "loop two", "eve@example.org", day(12), "<j@x>")
	add("<l@x>", "answers by In-Reply-To", "eve@example.org", day(13), "", "In-Reply-To: <d@x>\n")
	add("<m@x>", "two in In-Reply-To", "eve@example.org", day(14), "", "In-Reply-To: <h@x> <d@x>\n")
	add("<n@x>", "broken refs", "eve@example.org", day(15), "garbage (comment) <d@x> and more")
	add("<o@x>", "deep", "fay@example.org", day(16), "<a@x> <b@x> <missing2@x> <c@x>")
	add("<p@x>", "before its parent", "fay@example.org", "Sun, 4 Feb 2024 09:00:00 +0000", "<q@x>")
	add("<q@x>", "parent", "fay@example.org", day(17), "")
	add("<r@x>", "no date", "Gus <gus@example.org>", "garbage", "")
	add("<s@x>", "INVOICE", "gus@example.org", day(18), "")
	add("<t@x>", "Re[2]: Re: zebra", "gus@example.org", day(19), "", "Cc: Zed <zed@example.org>, amy@example.org\n")
	add("<u@x>", "zebra", "\"Quoted \\\"Name\\\"\" <q@example.org>", day(20), "", "Cc: amy@example.org\n")
	add("<v@x>", "10 things", "group: a@x, b@y;", day(21), "")
	add("<w@x>", "9 things", "undisclosed-recipients:;", day(21), "", "To: undisclosed-recipients:;\n")
	add("<y@x>", "Re: never seen first", "hal@example.org", day(22), "")
	add("<z@x>", "Re: never seen first", "hal@example.org", day(23), "")
	return letters
}

// TestSortAndThread compares the answers to SORT, THREAD and SEARCH with Dovecot's
// (RFC 5256, 5957).
func TestSortAndThread(t *testing.T) {
	t.Parallel()
	setup := Setup{Accounts: []string{alice}}
	ask := func(post Post) *IMAP {
		cur := filepath.Join(post.Maildir(alice), "cur")
		for _, sub := range []string{"cur", "new", "tmp"} {
			os.MkdirAll(filepath.Join(post.Maildir(alice), sub), 0o700)
		}
		for i, text := range oddLetters() {
			name := filepath.Join(cur, fmt.Sprintf("%d.M%dP1.x:2,S", 1708000000+i*1000, i))
			WriteFile(t, name, text)
			received := time.Unix(int64(1708000000+i*1000), 0) // of two sources for INTERNALDATE, each takes one
			if err := os.Chtimes(name, received, received); err != nil {
				t.Fatal(err)
			}
		}
		post.Handover(alice)
		post.Start()
		c := DialIMAP(t, post.Addr("imap"), alice)
		c.Do("SELECT INBOX")
		return c
	}
	ours, theirs := ask(NewFacteur(t, setup)), ask(NewDebian(t, setup))
	for _, command := range []string{
		"SORT (ARRIVAL) UTF-8 ALL", "SORT (CC) UTF-8 ALL", "SORT (DATE) UTF-8 ALL", "SORT (REVERSE DATE) UTF-8 ALL", "SORT (FROM) UTF-8 ALL",
		"SORT (SIZE) UTF-8 ALL", "SORT (SUBJECT) UTF-8 ALL", "SORT (TO) UTF-8 ALL", "SORT (DISPLAYFROM) UTF-8 ALL", "SORT (DISPLAYTO) UTF-8 ALL",
		"SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "UID SORT (REVERSE SUBJECT FROM) UTF-8 3:20", "SORT (SUBJECT) UTF-8 TEXT invoice",
		"THREAD REFERENCES UTF-8 ALL", "THREAD REFS UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "UID THREAD REFERENCES UTF-8 5:*", "THREAD REFS UTF-8 2:9",
		"SEARCH SUBJECT apfel", `SEARCH SUBJECT "Äpfel"`, "SEARCH FROM aenne", `SEARCH FROM "änne"`, "SEARCH TEXT lunch", "SEARCH BODY body",
		"SEARCH SENTBEFORE 6-Feb-2024 SENTSINCE 1-Feb-2024", "SEARCH SENTON 5-Feb-2024", "SEARCH SENTSINCE 20-Feb-2024", `SEARCH HEADER References ""`, `SEARCH HEADER Cc ""`,
		`SEARCH SUBJECT ""`, "SEARCH LARGER 120", "SORT RETURN (MIN MAX COUNT ALL) (REVERSE DATE) UTF-8 ALL", "SORT RETURN (PARTIAL 2:5) (REVERSE DATE) UTF-8 ALL",
		"SEARCH RETURN (MIN MAX COUNT ALL) SUBJECT i", "SEARCH RETURN (PARTIAL 2:3) SUBJECT i", "SEARCH RETURN (COUNT) SUBJECT none",
		"SEARCH RETURN (SAVE) SUBJECT re", "SEARCH $ FROM e", "SEARCH RETURN (SAVE MIN) ALL", "SEARCH $", "SEARCH RETURN (MIN) SUBJECT nowhere",
	} {
		mine, other := answerTo(ours, command), answerTo(theirs, command)
		if mine != other {
			t.Errorf("%s\n    facteur %s\n    Dovecot %s", command, mine, other)
		}
	}
}

// answerTo is the untagged data, without the tag that stands in it.
func answerTo(c *IMAP, command string) string {
	a := c.Try("%s", command)
	var lines []string
	for _, l := range a.Lines {
		if from := strings.Index(l, `(TAG "`); from >= 0 {
			l = l[:from] + l[from+strings.Index(l[from:], ")")+1:]
		}
		lines = append(lines, l)
	}
	word, _, _ := strings.Cut(a.Status, " ")
	return strings.Join(append(lines, word), " | ")
}
