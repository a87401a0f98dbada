package learn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/mail/address"
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
	"facteur/internal/mail/words"
	"facteur/internal/store/lexicon"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
	"facteur/internal/test/doubling"
)

const anna, ben = "anna@a.test", "ben@a.test"

type fixture struct {
	*testing.T
	*Teacher
	settings  Settings
	suspected map[string]bool
	boxes     map[string]string // "account mailbox uid" → letter
	found     map[string]string // "account Message-ID" → letter

	mu     sync.Mutex
	taught []Taught
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, suspected: map[string]bool{}, boxes: map[string]string{}, found: map[string]string{}}
	f.settings = Settings{Moves: true, Keywords: true, Answers: true, Share: true, Hostname: "mail.a.test",
		TakesSpam: func(a address.Address) bool { return a.Local == "spam" }, TakesHam: func(a address.Address) bool { return a.Local == "notspam" }}
	f.Teacher = New(House{Lexicon: lexicon.Open(vfs.NewMem(), "/lexicon", lexicon.Limits{}, event.Discard), Events: event.Discard,
		Settings: func() Settings { return f.settings }, Letter: f.letter, Find: f.find,
		Suspected: func(_ context.Context, account string) bool { return f.suspected[account] },
		Taught: func(l Taught) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.taught = append(f.taught, l)
		}})
	return f
}

type source struct{ *bytes.Reader }

func (source) Close() error { return nil }

func (f *fixture) letter(_ context.Context, account, box string, uid uint32) (Source, error) {
	text, there := f.boxes[fmt.Sprint(account, " ", box, " ", uid)]
	if !there {
		return nil, mailbox.ErrGone
	}
	return source{bytes.NewReader([]byte(text))}, nil
}

func (f *fixture) find(_ context.Context, account string, ids []string) (Source, error) {
	for _, id := range ids {
		if text, there := f.found[account+" "+id]; there {
			return source{bytes.NewReader([]byte(text))}, nil
		}
	}
	return nil, mailbox.ErrGone
}

// known is how many letters an owner learnt.
func (f *fixture) known(owner string) string {
	l := f.Lexicon.Layer(owner)
	return fmt.Sprintf("%d/%d", l.Spam, l.Ham)
}

func (f *fixture) expect(owner, want string) {
	f.Helper()
	if got := f.known(owner); got != want {
		f.Errorf("%q learnt %s, want %s", owner, got, want)
	}
}

// work does what waits.
func (f *fixture) work() {
	ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
	defer cancel()
	f.drain(ctx)
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

var pills = crlf(`From: Eve <eve@evil.test>
To: anna@a.test
Subject: Cheap pills for you
Message-Id: <1@evil.test>
Date: Fri, 1 May 2026 12:00:00 +0000

Buy cheap pills now, today only, wonderful discount pharmacy.
`)

// above is what this server writes above a letter that it puts into a mailbox.
var above = crlf(`Return-Path: <eve@evil.test>
Delivered-To: anna@a.test
X-Spam-Status: No, score=1.0
X-Greylist: delayed 71 seconds by greylisting at mail.a.test; Fri, 1 May 2026 12:00:01 +0000
Authentication-Results: mail.a.test;
	dkim=pass header.d=evil.test;
	spf=pass smtp.mailfrom=eve@mailer.test; dmarc=fail header.from=forged.test
Received: from evil.test (mx.evil.test [192.0.2.7])
	by mail.a.test (facteur) with ESMTPS id 4f0XyZ1
	for <anna@a.test>; Fri, 1 May 2026 12:00:01 +0000
`)

func read(t *testing.T, text string) *Letter {
	t.Helper()
	l, err := Read(strings.NewReader(text), int64(len(text)), "mail.a.test")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A letter teaches the same wherever a copy of it is found, and what this server wrote
// above it is no part of it.
func TestRead(t *testing.T) {
	bare, kept := read(t, pills), read(t, above+pills)
	for name, other := range map[string]*Letter{
		"in a mailbox":       kept,
		"with bare LFs":      read(t, strings.ReplaceAll(pills, "\r\n", "\n")),
		"one empty line":     read(t, pills+"\r\n"),
		"with marks of ours": read(t, above+pills),
	} {
		if other.ID != bare.ID {
			t.Errorf("%s: another ID", name)
		}
	}
	if fmt.Sprint(kept.Tokens) != fmt.Sprint(bare.Tokens) || len(bare.Tokens) < 10 {
		t.Errorf("%d tokens in a mailbox, %d without", len(kept.Tokens), len(bare.Tokens))
	}
	if other := read(t, strings.Replace(pills, "1@evil", "2@evil", 1)); other.ID == bare.ID {
		t.Error("two letters with one ID")
	}
	want := "{Item:4f0XyZ1 MessageID:1@evil.test From:eve@evil.test Sender:eve@evil.test Client:192.0.2.7 Domains:[evil.test mailer.test] Junked:false}"
	if got := fmt.Sprintf("%+v", kept.Facts); got != want {
		t.Errorf("facts %s\nwant  %s", got, want)
	}
	// What a stranger wrote in our name below our own fields, or on another server, is
	// nobody's word.
	forged := read(t, strings.ReplaceAll(above, "mail.a.test", "mail.b.test")+pills)
	if f := forged.Facts; f.Item != "" || f.Client.IsValid() || len(f.Domains) > 0 || !f.Sender.IsNull() {
		t.Errorf("facts of a stranger's trace: %+v", f)
	}
}

// Row 175: what users do in IMAP teaches, in the background.
func TestRow175Judged(t *testing.T) {
	f := newFixture(t)
	f.boxes[anna+" Junk 7"] = above + pills
	f.Judged(namespace.Judgement{User: anna, Mailbox: "Junk", UIDs: []uint32{7, 8}, Spam: true})
	f.expect(anna, "0/0")
	f.work()
	f.expect(anna, "1/0")
	f.expect(ben, "0/0")
	if len(f.taught) != 1 || !f.taught[0].Spam || f.taught[0].Way != Moved || f.taught[0].Account != anna || f.taught[0].Facts.Item != "4f0XyZ1" {
		t.Errorf("%+v", f.taught)
	}
	if s := f.taught[0].Step(); s.Kind != event.Taught || s.Item != "4f0XyZ1" || !strings.Contains(s.Sentence, "spam (moved)") {
		t.Errorf("%+v", s)
	}
	// A program that marks what it thinks is good only takes back what was said.
	f.boxes[anna+" INBOX 1"], f.boxes[anna+" INBOX 2"] = above+pills, strings.ReplaceAll(pills, "1@evil", "3@evil")
	f.Judged(namespace.Judgement{User: anna, Mailbox: "INBOX", UIDs: []uint32{1, 2}, By: namespace.ByKeyword, Correcting: true})
	f.work()
	f.expect(anna, "0/1")
	// So does one that keeps a copy of the mailboxes, for it moves letters by storing them;
	// what the filter put into Junk is as wrong as what somebody said.
	f.boxes[anna+" INBOX 5"] = strings.Replace(above, "X-Spam-Status: No", "X-Spam-Flag: YES\r\nX-Spam-Status: Yes", 1) + strings.ReplaceAll(pills, "1@evil", "5@evil")
	f.boxes[anna+" INBOX 6"] = "X-Spam-Flag: YES\r\n" + strings.ReplaceAll(pills, "1@evil", "6@evil") // a stranger's word
	f.Judged(namespace.Judgement{User: anna, Mailbox: "INBOX", UIDs: []uint32{1, 2, 5, 6}, By: namespace.ByStoring, Correcting: true})
	f.work()
	f.expect(anna, "0/2")
	f.settings.Keywords, f.settings.Moves = false, false
	f.Judged(namespace.Judgement{User: anna, Mailbox: "Junk", UIDs: []uint32{7}, Spam: true, By: namespace.ByKeyword})
	f.Judged(namespace.Judgement{User: anna, Mailbox: "Junk", UIDs: []uint32{7}, Spam: true})
	f.work()
	f.expect(anna, "0/2")
}

// Whatever users do, nobody waits: what there is no room for is dropped, and counted.
func TestQueue(t *testing.T) {
	f := newFixture(t)
	for range queueMost + 5 {
		f.Judged(namespace.Judgement{User: anna, Mailbox: "Junk", UIDs: []uint32{1}, Spam: true})
	}
	if f.Dropped() != 5 {
		t.Errorf("%d dropped", f.Dropped())
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); f.Teacher.Run(ctx, time.Second) }()
		f.boxes[anna+" Junk 7"] = pills
		f.Judged(namespace.Judgement{User: anna, Mailbox: "Junk", UIDs: []uint32{7}, Spam: true})
		stop()
		<-over
		f.expect(anna, "1/0")
	})
}

func TestIsolation(t *testing.T) {
	judge := func(f *fixture, account, text string) float64 {
		data := []byte(text)
		root, err := message.Parse(bytes.NewReader(data), message.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		h := message.Header(data[:root.Body])
		tokens := words.Read(content.Read(bytes.NewReader(data), root, h, content.Limits{}), h)
		return words.Judge(&tokens.Words, words.NewPrior(nil), f.Lexicon.Layer(lexicon.Server), f.Lexicon.Layer(account)).Odds
	}
	teach := func(f *fixture, account string, n int, isSpam bool) {
		for i := range n {
			text := strings.Replace(pills, "1@evil", fmt.Sprint(account, i, "@evil"), 1)
			if !isSpam {
				text = strings.ReplaceAll(text, "pills", "minutes of our meeting")
			}
			if _, err := f.TeachLetter(t.Context(), account, strings.NewReader(text), int64(len(text)), isSpam, Moved); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("MAP-014 what one account teaches does not move the other's verdict", func(t *testing.T) {
		f := newFixture(t)
		before := judge(f, ben, pills)
		teach(f, anna, 200, true)
		teach(f, anna, 200, false)
		if own := judge(f, anna, pills); own <= before {
			t.Errorf("the account itself: %v before, %v after", before, own)
		}
		if after := judge(f, ben, pills); after != before {
			t.Errorf("the other account: %v before, %v after", before, after)
		}
	})
	t.Run("MAP-014 several accounts teach the server", func(t *testing.T) {
		f := newFixture(t)
		before := judge(f, "carl@a.test", pills)
		for i := range 5 {
			teach(f, fmt.Sprint("u", i, "@a.test"), 12, true)
			teach(f, fmt.Sprint("u", i, "@a.test"), 12, false)
		}
		if after := judge(f, "carl@a.test", pills); after <= before {
			t.Errorf("%v before, %v after", before, after)
		}
	})
	t.Run("MAP-014 a suspected account teaches nobody else", func(t *testing.T) {
		f := newFixture(t)
		f.suspected[anna] = true
		teach(f, anna, 3, true)
		f.expect(anna, "3/0")
		f.expect(lexicon.Server, "0/0")
		f.suspected[anna] = false
		teach(f, ben, 3, true)
		f.expect(lexicon.Server, "3/0")
		f.settings.Share = false
		teach(f, "carl@a.test", 3, true)
		f.expect(lexicon.Server, "3/0")
	})
}

// report makes a letter with others attached.
func report(letters ...string) string {
	text := "From: anna@a.test\r\nTo: spam@a.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nlook\r\n"
	for _, l := range letters {
		text += "--b\r\nContent-Type: message/rfc822\r\n\r\n" + l
	}
	return text + "\r\n--b--\r\n"
}

// Row 175: users of POP3 send what is spam to an address.
func TestRow175Report(t *testing.T) {
	spam, ham := address.Address{Local: "spam", Domain: "a.test"}, address.Address{Local: "notspam", Domain: "a.test"}
	many := make([]string, MaxReported+1)
	for i := range many {
		many[i] = pills
	}
	for name, c := range map[string]struct {
		to   []address.Address
		text string
		want string
		err  error
	}{
		"spam":                {[]address.Address{spam}, report(pills), "1/0", nil},
		"ham":                 {[]address.Address{ham}, report(pills), "0/1", nil},
		"two":                 {[]address.Address{spam}, report(pills, strings.Replace(pills, "1@", "2@", 1)), "2/0", nil},
		"the same twice":      {[]address.Address{spam}, report(pills, pills), "1/0", nil},
		"from a mailbox here": {[]address.Address{spam}, report(above + pills), "1/0", nil},
		"with a letter in it": {[]address.Address{spam}, report(report(pills)), "1/0", nil},
		"inline":              {[]address.Address{spam}, crlf("From: anna@a.test\nSubject: Fwd\n\n> Buy pills\n"), "", errNoLetters},
		"both":                {[]address.Address{spam, ham}, report(pills), "", errBoth},
		"MAP-014 too many":    {[]address.Address{spam}, report(many...), "", errTooMany},
		"MAP-014 too large":   {[]address.Address{spam}, report(pills + strings.Repeat("x", MaxReport)), "", errTooLarge},
	} {
		f := newFixture(t)
		then, err := f.Report(anna, c.to, strings.NewReader(c.text), int64(len(c.text)))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if then == nil {
			continue
		}
		then()
		f.work()
		f.expect(anna, c.want)
		// What is attached may be made up: none of it is proven.
		if facts := f.taught[0].Facts; facts.Item != "" || len(facts.Domains) > 0 || facts.From.Domain == "" && name != "with a letter in it" {
			t.Errorf("%s: %+v", name, facts)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(above + pills)
	f.Add(report(pills))
	f.Add("Received: from x ([IPv6:::1]) by mail.a.test id ;")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Read(strings.NewReader(text), int64(len(text)), "mail.a.test")
		if err != nil || len(l.Tokens) > words.MaxTokens {
			t.Fatal(err)
		}
	})
}

func TestDoubles(t *testing.T) {
	for name, make := range map[string]func(n int) string{
		"received": func(n int) string { return "Received: " + strings.Repeat("by mail.a.test id x ([1]) ", n) + "\r\n\r\n" },
		"fields":   func(n int) string { return strings.Repeat("X-Spam-A: b\r\n", n) + "\r\n" },
		"lines":    func(n int) string { return "A: b\r\n\r\n" + strings.Repeat("\r\n", n) },
	} {
		doubling.Check(t, name, 2000, func(n int) func() {
			text := make(n)
			return func() { Read(strings.NewReader(text), int64(len(text)), "mail.a.test") }
		})
	}
}

// heard collects what was told.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) Emit(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, line := e.Line()
	h.lines = append(h.lines, line)
}

// What was dropped the log tells, once.
func TestDroppedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, h := newFixture(t), &heard{}
		f.Teacher.Events = h
		for range queueMost + 3 {
			f.Judged(namespace.Judgement{User: anna, Mailbox: "Junk", UIDs: []uint32{1}, Spam: true})
		}
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); f.Teacher.Run(ctx, time.Second) }()
		time.Sleep(5 * tellEvery)
		stop()
		<-over
		if len(h.lines) != 1 || !strings.Contains(h.lines[0], "3 acts of users taught nothing") {
			t.Errorf("%q", h.lines)
		}
	})
}

// A full disk loses lessons and nothing else: what was learnt stays as it was, the log tells
// of it, and what is said again is learnt.
func TestFullDisk(t *testing.T) {
	f, h, disk := newFixture(t), &heard{}, vfs.NewMem()
	f.Teacher.Events, f.Lexicon = h, lexicon.Open(disk, "/lexicon", lexicon.Limits{}, h)
	judge := func(n int) {
		f.boxes[fmt.Sprint(anna, " Junk ", n)] = strings.Replace(pills, "1@evil", fmt.Sprint(n, "@evil"), 1)
		f.Judged(namespace.Judgement{User: anna, Mailbox: "Junk", UIDs: []uint32{uint32(n)}, Spam: true})
		f.work()
	}
	judge(1)
	f.Lexicon.Sync()
	disk.Inject(vfs.Fault{Op: vfs.OpWrite, Nth: 1, For: -1, Err: syscall.ENOSPC, Short: true})
	judge(2)
	judge(3)
	f.expect(anna, "1/0")
	if len(h.lines) < 2 || !strings.Contains(h.lines[len(h.lines)-1], "a letter of anna@a.test taught nothing: ") || !strings.Contains(h.lines[len(h.lines)-1], "no space left") {
		t.Errorf("%q", h.lines)
	}
	disk.Heal()
	judge(2)
	f.expect(anna, "2/0")
	f.Lexicon.Sync()
	f.Lexicon = lexicon.Open(disk, "/lexicon", lexicon.Limits{}, h)
	f.expect(anna, "2/0")
	for n := range 3 {
		l := read(t, strings.Replace(pills, "1@evil", fmt.Sprint(n, "@evil"), 1))
		f.Lexicon.Forget(t.Context(), anna, l.ID, l.Tokens)
	}
	if st, err := f.Lexicon.Standing(anna); err != nil || st.Spam != 0 || st.Tokens != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}
