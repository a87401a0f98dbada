package bench

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// archive is a directory with letters as people have them: plain text, HTML beside
// it, now and then an attachment; threads of a few letters; 5 KB on average. They
// have LF line ends, as delivery agents write them.
type archive struct {
	dir   string
	files []string
	bytes int64 // with CRLF, as IMAP tells them
}

var archiveWords = strings.Fields(`about account after again agenda answer archive attached because before budget building calendar
change colleagues comment contract copy course customer date delay delivery detail document draft earlier enclosed evening example
export figures final follow forward garden harbour holiday house idea invoice journey kind letter list machine meeting message minutes
monday morning number offer office order paper parcel people place plan please price problem project question quite railway reason
receipt regards reminder report request room round school second server shipment small soon spring station street summer system table
team thanks thursday ticket today together tomorrow town train travel tuesday update version village visit weather week window winter
wednesday weekend whole without work year yesterday`)

// The word that one letter in a thousand has, for searches.
const rareWord = "quincunx"

// newArchive writes count letters, the same for the same count.
func newArchive(b testing.TB, dir string, count int) *archive {
	b.Helper()
	a := &archive{dir: dir}
	random := rand.New(rand.NewPCG(1, uint64(count)))
	for n := range count {
		text := archiveLetter(random, n)
		name := filepath.Join(dir, fmt.Sprintf("%d", n))
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
		when := time.Unix(1767268800+int64(n)*600, 0)
		if err := os.Chtimes(name, when, when); err != nil {
			b.Fatal(err)
		}
		a.files = append(a.files, name)
		a.bytes += int64(len(text) + strings.Count(text, "\n"))
	}
	return a
}

func sentence(random *rand.Rand, words int) string {
	var b strings.Builder
	for n := range words {
		if n > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(archiveWords[random.IntN(len(archiveWords))])
	}
	return b.String()
}

func paragraphs(random *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(sentence(random, 8+random.IntN(4)))
		b.WriteByte('\n')
	}
	return b.String()
}

// archiveLetter is the n-th letter; three of four answer one of the few before.
func archiveLetter(random *rand.Rand, n int) string {
	var b strings.Builder
	subject, references := sentence(random, 4), ""
	if n%4 != 0 {
		first := n - n%4
		subject = fmt.Sprintf("Re: matter %d", first)
		for before := first; before < n; before++ {
			references += fmt.Sprintf(" <letter-%d@example.net>", before)
		}
	} else {
		subject = fmt.Sprintf("matter %d", n)
	}
	person := archiveWords[random.IntN(len(archiveWords))]
	date := time.Unix(1767268800+int64(n)*600-int64(random.IntN(7200)), 0).UTC().Format(time.RFC1123Z)
	fmt.Fprintf(&b, "Return-Path: <%[1]s@example.net>\nReceived: from mx.example.net (mx.example.net [192.0.2.7])\n"+
		"\tby mail.example.org with ESMTPS id %[3]d for <alice@example.org>;\n\t%[2]s\nFrom: %[1]s Person <%[1]s@example.net>\nTo: alice@example.org, Bob <bob@example.org>\n"+
		"Cc: team@example.org\nSubject: %[4]s\nMessage-ID: <letter-%[3]d@example.net>\nDate: %[2]s\nMIME-Version: 1.0\n",
		person, date, n, subject)
	if references != "" {
		fmt.Fprintf(&b, "References:%s\nIn-Reply-To: <letter-%d@example.net>\n", references, n-1)
	}
	text := paragraphs(random, 800+random.IntN(1200))
	if n%1000 == 7 {
		text += rareWord + "\n"
	}
	switch {
	case n%10 == 3: // with an attachment
		attachment := make([]byte, 9000)
		for i := range attachment {
			attachment[i] = byte(random.Uint32())
		}
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"edge-%d\"\n\n--edge-%[1]d\nContent-Type: text/plain; charset=utf-8\n\n%[2]s\n"+
			"--edge-%[1]d\nContent-Type: application/pdf; name=\"paper.pdf\"\nContent-Disposition: attachment; filename=\"paper.pdf\"\n"+
			"Content-Transfer-Encoding: base64\n\n%[3]s\n--edge-%[1]d--\n", n, text, folded(base64.StdEncoding.EncodeToString(attachment)))
	case n%2 == 0:
		fmt.Fprintf(&b, "Content-Type: multipart/alternative; boundary=\"edge-%d\"\n\n--edge-%[1]d\nContent-Type: text/plain; charset=utf-8\n\n%[2]s\n"+
			"--edge-%[1]d\nContent-Type: text/html; charset=utf-8\n\n<html><body><p>%[3]s</p></body></html>\n--edge-%[1]d--\n",
			n, text, strings.ReplaceAll(text, "\n", "<br>\n<span class=\"line\">")+paragraphs(random, 1500))
	default:
		fmt.Fprintf(&b, "Content-Type: text/plain; charset=utf-8\n\n%s", text+paragraphs(random, 1500))
	}
	return b.String()
}

func folded(text string) string {
	var b strings.Builder
	for len(text) > 76 {
		b.WriteString(text[:76] + "\n")
		text = text[76:]
	}
	return b.String() + text
}

// plant puts count letters into cur of a Maildir, as links to those of the archive
// (again and again, when it has fewer): both servers read the same files.
func (a *archive) plant(b testing.TB, maildir string, count int) {
	b.Helper()
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(maildir, sub), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	for n := range count {
		flags := "S"
		if n%10 == 9 {
			flags = ""
		}
		name := filepath.Join(maildir, "cur", fmt.Sprintf("%d.M%dP7.planted:2,%s", 1767268800+n*600, n, flags))
		if err := os.Link(a.files[n%len(a.files)], name); err != nil {
			b.Fatal(err)
		}
	}
}
