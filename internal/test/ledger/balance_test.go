package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	alice  = "alice@example.org"
	bob    = "bob@example.org"
	carol  = "carol@remote.test"
	nobody = "refused@remote.test"
)

// Each way in which a server can break its word, and each that only looks so.
func TestBalance(t *testing.T) {
	letter := Letter{ID: "x-1", From: alice, Size: 2000}
	sum := sha256.Sum256(letter.Bytes())
	local := Copy{ID: "x-1", To: bob, Place: Local, Sum: sum, Where: "a file"}
	remote := Copy{ID: "x-1", To: carol, Place: Remote, Sum: sum, Where: "sink"}
	with := func(c Copy, change func(*Copy)) Copy { change(&c); return c }
	tests := []struct {
		name   string
		answer Answer
		copies []Copy
		want   string // kinds of complaint, "" for none
	}{
		{"all there", Accepted, []Copy{local, remote}, ""},
		{"INV-01 a lost letter", Accepted, []Copy{local}, "lost"},
		{"INV-05 twice in a mailbox", Accepted, []Copy{local, local, remote}, "twice"},
		{"INV-05 twice at the remote without a fault", Accepted, []Copy{local, remote, remote}, "twice"},
		{"OUT-001 twice at the remote across a crash", Accepted,
			[]Copy{local, remote, with(remote, func(c *Copy) { c.Epoch = 1 })}, ""},
		{"OUT-001 three times across one crash", Accepted,
			[]Copy{local, remote, with(remote, func(c *Copy) { c.Epoch = 1 }), with(remote, func(c *Copy) { c.Epoch = 1 })}, "twice"},
		{"OUT-002 again after a swallowed answer", Accepted,
			[]Copy{local, with(remote, func(c *Copy) { c.Unanswered = true }), remote}, ""},
		{"INV-03 delivered and bounced", Accepted,
			[]Copy{local, remote, with(remote, func(c *Copy) { c.Place = Bounced })}, "astray twice"},
		{"INV-03 bounced instead of delivered", Accepted,
			[]Copy{with(local, func(c *Copy) { c.Place = Bounced }), remote}, "astray"},
		{"INV-14 a torn letter", Accepted,
			[]Copy{with(local, func(c *Copy) { c.Sum = sha256.Sum256(letter.Bytes()[:1000]) }), remote}, "altered"},
		{"INV-03 bounced after a swallowed answer", Accepted,
			[]Copy{local, with(remote, func(c *Copy) { c.Unanswered = true }), with(remote, func(c *Copy) { c.Place = Bounced })}, "astray"},
		{"deleted by hand", Accepted, []Copy{local, {ID: "x-1", To: carol, Place: Deleted}}, ""},
		{"OUT-022 deleted by hand and sent", Accepted, []Copy{local, remote, {ID: "x-1", To: carol, Place: Deleted}}, "twice"},
		{"deleted by hand after a swallowed answer", Accepted,
			[]Copy{local, with(remote, func(c *Copy) { c.Unanswered = true }), {ID: "x-1", To: carol, Place: Deleted}}, ""},
		{"held by hand", Accepted, []Copy{local, {ID: "x-1", To: carol, Place: Held}}, ""},
		{"INV-04 still queued", Accepted, []Copy{local, {ID: "x-1", To: carol, Place: Queued}}, "queued"},
		{"INV-03 queued again after it was sent", Accepted, []Copy{local, remote, {ID: "x-1", To: carol, Place: Queued}}, "queued"},
		{"a letter after an error", Refused, []Copy{local}, "ghost"},
		{"nothing after an error", Refused, nil, ""},
		{"a letter whose end never came", Unsent, []Copy{remote}, "ghost"},
		{"unknown and not there", Unknown, nil, ""},
		{"unknown and there", Unknown, []Copy{local, remote}, ""},
		{"INV-04 unknown and there for one of two", Unknown, []Copy{local}, "half"},
		{"somebody else's mailbox", Accepted,
			[]Copy{local, remote, with(local, func(c *Copy) { c.To = alice })}, "astray"},
		{"a file that is no letter of ours", Accepted, []Copy{local, remote, {Where: "a file"}}, "stray"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			book := NewBook(nil)
			to := []Recipient{{bob, Local}, {carol, Remote}}
			book.Open(letter, to)
			book.Close(letter.ID, to, test.answer)
			expect(t, book.Balance(test.copies, Options{}), test.want)
			if test.answer == Refused {
				expect(t, book.Balance(test.copies, Options{LateRefusals: true}), "")
			}
		})
	}
}

// What a person deletes may be missing, and does not come back.
func TestBalanceDeleted(t *testing.T) {
	letter := Letter{ID: "x-1", From: alice, Size: 2000}
	sum := sha256.Sum256(letter.Bytes())
	sent := func(epoch int) Copy { return Copy{ID: "x-1", To: carol, Place: Remote, Sum: sum, Epoch: epoch} }
	tests := []struct {
		name   string
		in     int
		copies []Copy
		want   string
	}{
		{"deleted", 1, nil, ""},
		{"sent before", 1, []Copy{sent(0)}, ""},
		{"sent meanwhile", 1, []Copy{sent(1)}, ""},
		{"OUT-022 sent after a crash", 1, []Copy{sent(2)}, "risen"},
		{"INV-04 missing before it was deleted", 1, nil, "lost"},
		{"nobody knows", NobodyKnows, []Copy{sent(2)}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			book := NewBook(nil)
			to := []Recipient{{carol, Remote}}
			if test.want == "lost" {
				to = append(to, Recipient{bob, Local}) // who had left the queue before
			}
			book.Open(letter, to)
			book.Delete(letter.ID, []string{carol}, test.in)
			book.Close(letter.ID, to, Accepted)
			expect(t, book.Balance(test.copies, Options{}), test.want)
		})
	}
}

// Over LMTP each recipient has its own answer.
func TestBalanceEach(t *testing.T) {
	letter := Letter{ID: "x-1", From: alice, Size: 2000}
	sum := sha256.Sum256(letter.Bytes())
	to := []Recipient{{alice, Local}, {bob, Local}}
	copies := []Copy{{ID: "x-1", To: alice, Place: Local, Sum: sum}, {ID: "x-1", To: bob, Place: Local, Sum: sum}}
	tests := []struct {
		name   string
		each   []Answer
		copies []Copy
		want   string
	}{
		{"SMTP-044 both", []Answer{Accepted, Accepted}, copies, ""},
		{"SMTP-044 one of two", []Answer{Accepted, Refused}, copies[:1], ""},
		{"SMTP-044 the other of two", []Answer{Accepted, Refused}, copies[1:], "lost ghost"},
		{"INV-01 one answer was seen", []Answer{Accepted, Unknown}, nil, "lost"},
		{"one answer was seen, both have it", []Answer{Accepted, Unknown}, copies, ""},
		{"one answer was seen, one has it", []Answer{Accepted, Unknown}, copies[:1], ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			book := NewBook(nil)
			book.Open(letter, to)
			book.CloseEach(letter.ID, to, test.each)
			expect(t, book.Balance(test.copies, Options{}), test.want)
		})
	}
}

// expect wants exactly these kinds of complaint.
func expect(t *testing.T, wrong []string, kinds string) {
	t.Helper()
	var got []string
	for _, line := range wrong {
		kind, _, _ := strings.Cut(line, ":")
		got = append(got, kind)
	}
	if strings.Join(got, " ") != kinds {
		t.Errorf("balance says %q, want %q", wrong, kinds)
	}
}

// The same through a real disk: what a crash leaves in a Maildir is told
// apart from what a delivery leaves.
func TestMaildir(t *testing.T) {
	letter := Letter{ID: "x-1", From: alice, Size: 2000}
	prefix := "Return-Path: <a@b>\r\nDelivered-To: bob@example.org\r\nReceived: from x\r\n\tby y;\r\n z\r\n"
	crlf := append([]byte(prefix), letter.Bytes()...)
	lf := bytes.ReplaceAll(crlf, []byte("\r\n"), []byte("\n"))
	tests := []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"in new, with LF", map[string][]byte{"new/1": lf}, ""},
		{"in cur, with CRLF", map[string][]byte{"cur/1:2,S": crlf}, ""},
		{"in a folder", map[string][]byte{".Junk/new/1": lf}, ""},
		{"tmp does not count", map[string][]byte{"tmp/1": lf}, "lost"},
		{"tmp is no second copy", map[string][]byte{"new/1": lf, "tmp/1": lf}, ""},
		{"in new and in cur", map[string][]byte{"new/1": lf, "cur/1:2,": lf}, "twice"},
		{"torn in the body", map[string][]byte{"new/1": lf[:len(lf)-200]}, "altered"},
		{"one bit wrong", map[string][]byte{"new/1": flip(lf)}, "altered"},
		{"torn to nothing", map[string][]byte{"new/1": lf, "new/2": nil}, "stray"},
		{"a hole of zeros", map[string][]byte{"new/1": lf, "new/2": make([]byte, 4096)}, "stray"},
		{"mixed line ends", map[string][]byte{"new/1": append([]byte(prefix), bytes.Replace(letter.Bytes(), []byte("\r\n"), []byte("\n"), 1)...)}, "altered"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range test.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			book := NewBook(nil)
			to := []Recipient{{bob, Local}}
			book.Open(letter, to)
			book.Close(letter.ID, to, Accepted)
			copies, err := Maildir(root, bob)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, book.Balance(copies, Options{}), test.want)
		})
	}
}

func flip(text []byte) []byte {
	text = bytes.Clone(text)
	text[len(text)-30] ^= 1
	return text
}

// A notice ends the recipients that it names as failed, and only those.
func TestNotice(t *testing.T) {
	notice := strings.ReplaceAll(`From: MAILER-DAEMON@example.org
To: alice@example.org
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="b"

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org

Final-Recipient: rfc822; refused@remote.test
Action: failed
Status: 5.1.1

Final-Recipient: rfc822; slow@remote.test
Action: delayed
Status: 4.4.1

--b
Content-Type: text/rfc822-headers

Subject: letter
X-Ledger-Id: x-1

--b--
`, "\n", "\r\n")
	copies := read([]byte(notice), alice, "here")
	if len(copies) != 1 || copies[0].To != nobody || copies[0].ID != "x-1" || copies[0].Place != Bounced {
		t.Errorf("notice read as %+v", copies)
	}
}

// The driver and the sink against each other: every letter balances, with
// answers swallowed and recipients refused; and each tampering shows.
func TestDriverAndSink(t *testing.T) {
	t.Run("SMTP", func(t *testing.T) {
		driverAndSink(t, &Driver{}, []Recipient{{carol, Remote}, {"dave@remote.test", Remote}, {nobody, Remote}})
	})
	t.Run("LMTP and a command", func(t *testing.T) {
		var handed atomic.Int64
		driver := &Driver{LMTP: "too", Sendmail: func(string, []string, []byte) Answer { handed.Add(1); return Refused }}
		driverAndSink(t, driver, []Recipient{{carol, Local}, {"dave@remote.test", Local}, {nobody, Local}})
		if handed.Load() == 0 {
			t.Error("no letter went by the command")
		}
	})
}

// driverAndSink lets a driver send until every answer was seen.
func driverAndSink(t *testing.T, driver *Driver, to []Recipient) {
	sink, err := NewSink(SinkPolicy{
		Recipient: func(address string) string {
			if strings.HasPrefix(address, "refused") {
				return "550 5.1.1 No such user"
			}
			return ""
		},
		Swallow: func(n int) bool { return n%17 == 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	book := NewBook(nil)
	ctx, cancel := context.WithCancel(context.Background())
	driver.Book, driver.Addr, driver.From, driver.Recipients = book, sink.Addr(), alice, to
	driver.Connections, driver.PerSecond, driver.Seed, driver.Run = 8, 1000, 1, "u"
	if driver.LMTP != "" {
		driver.LMTP = sink.Addr()
	}
	done := make(chan struct{})
	go func() { defer close(done); driver.Send(ctx) }()
	for deadline := time.Now().Add(time.Minute); !seenAll(book) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-done
	if err := sink.Fault(); err != nil { // all connections are read to their end
		t.Fatal(err)
	}
	if !seenAll(book) {
		t.Fatalf("answers seen: %v", book.Count())
	}
	copies := sink.Copies()
	for i := range copies {
		copies[i].Place = to[0].Want // the sink can't know
	}
	expect(t, book.Balance(copies, Options{}), "")
	i := firstAnswered(copies)
	expect(t, book.Balance(append(copies[:i:i], copies[i+1:]...), Options{}), "lost")
	expect(t, book.Balance(append(copies[:len(copies):len(copies)], copies[i]), Options{}), "twice")
}

func seenAll(book *Book) bool {
	count := book.Count()
	return count[Accepted] > 100 && count[Unknown] > 3 && count[Unsent] > 3 && count[Refused] > 3
}

// firstAnswered finds a letter with an answer that was seen and one recipient.
func firstAnswered(copies []Copy) int {
	perID := make(map[string]int)
	for _, c := range copies {
		perID[c.ID]++
	}
	for i, c := range copies {
		if !c.Unanswered && perID[c.ID] == 1 {
			return i
		}
	}
	panic(fmt.Sprint("nothing to tamper with in ", len(copies), " copies"))
}

// Two letters of the same id and size are the same bytes, and no line is
// longer than RFC 5322 §2.1.1 allows.
func TestLetter(t *testing.T) {
	letter := Letter{ID: "x-1", From: alice, Size: 300_000}
	if !bytes.Equal(letter.Bytes(), letter.Bytes()) {
		t.Error("a letter is not made again the same")
	}
	for line := range bytes.Lines(letter.Bytes()) {
		if len(line) > 1000 || !bytes.HasSuffix(line, []byte("\r\n")) {
			t.Fatalf("bad line %q", line)
		}
	}
	if got := strip(letter.Bytes()); !bytes.Equal(got, letter.Bytes()) {
		t.Error("strip takes a header of the letter's own")
	}
}
