package bounce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
	"facteur/internal/store/queue"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	check(t, err)
	return a
}

// office is a Writer with a queue, and a domain with alice and, if wanted, a postmaster.
type office struct {
	*Writer
	t        *testing.T
	settings Settings
}

func newOffice(t *testing.T, accounts ...string) *office {
	t.Helper()
	dir := t.TempDir()
	state, err := db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	check(t, err)
	t.Cleanup(func() { state.Close() })
	d := directory.New(state, []string{"example.org"}, dir, 0)
	for _, name := range accounts {
		check(t, d.AddHashed(t.Context(), parse(t, name+"@example.org"), "{PLAIN}secret", 0))
	}
	q, err := queue.Open(dir)
	check(t, err)
	t.Cleanup(func() { q.Close() })
	o := &office{t: t, settings: Settings{Language: "en", Topics: map[event.Topic]address.Address{event.DoubleBounce: {}}}}
	o.Writer = New("mail.example.org", nil, q, route.New(d, "mail.example.org", func() string { return "example.org" }))
	o.Configure(func() Settings { return o.settings })
	return o
}

const letter = "Message-ID: <1@example.org>\r\nSubject: hello\r\n\r\nThe body.\r\n"

// put commits a message of alice's and gives it.
func (o *office) put(it *queue.Item, text string) *queue.Item {
	o.t.Helper()
	spool := o.queue.Spool()
	_, err := spool.Write([]byte(text))
	check(o.t, err)
	it.ID = o.queue.NextID()
	it.Recipients = []queue.Recipient{{Address: parse(o.t, "x@far.example"), Route: "smtp:far.example"}}
	check(o.t, o.queue.Commit(o.t.Context(), queue.Draft{Item: it, Spool: spool}))
	return it
}

func (o *office) alices(text string) *queue.Item {
	return o.put(&queue.Item{Sender: parse(o.t, "alice@example.org"), Origin: queue.Origin{Account: "alice@example.org"}}, text)
}

// text commits a draft and gives it as it goes out.
func (o *office) text(d queue.Draft) string {
	o.t.Helper()
	check(o.t, o.queue.Commit(o.t.Context(), d))
	_, body, err := o.queue.Show(o.t.Context(), d.Item.ID)
	check(o.t, err)
	r, err := body.Open()
	check(o.t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	check(o.t, err)
	return string(text)
}

func failed(t testing.TB, to string) []Recipient {
	reply := smtp.NewReply(550, "5.7.26", "This mail has been blocked because the sender is unauthenticated.")
	return []Recipient{{Address: parse(t, to), Action: dsn.Failed, Status: "5.7.26", Host: "gmail-smtp-in.l.google.com", Reply: reply, Text: "said: " + reply.Error()}}
}

// TestTheNoticeSaysWhatARefusalMeans, in its own language.
func TestTheNoticeSaysWhatARefusalMeans(t *testing.T) {
	o := newOffice(t, "alice")
	for language, want := range map[string]string{"en": "neither SPF nor DKIM", "fr": "ni SPF ni DKIM"} {
		o.settings.Language = language
		d, err := o.Notice(t.Context(), o.alices(letter), failed(t, "x@gmail.com"), time.Now())
		check(t, err)
		text := o.text(d)
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) || !strings.Contains(text, "https://support.google.com/mail/answer/81126") {
			t.Errorf("%s:\n%s", language, text)
		}
		if strings.Contains(text, "text/html") {
			t.Error("HTML is for nobody")
		}
	}
}

// A host that got no mail because of its TLS is explained, too; other words of ours are not
// taken for a host's.
func TestTheNoticeSaysWhatOurRefusalMeans(t *testing.T) {
	for text, id := range map[string]string{
		"the MTA-STS policy of far.test does not name the mail host mx.evil.test":    "our-mta-sts",
		"mail system configuration error: transport prog: there is no user \"prog\"": "our-settings",
		"User unknown in virtual mailbox table":                                      "",
	} {
		r := Recipient{Reply: smtp.NewReply(451, "4.7.5", text), Text: text}
		if got, known := r.reading(); got.ID != id || known != (id != "") {
			t.Errorf("%q is read as %q", text, got.ID)
		}
	}
}

func TestLanguage(t *testing.T) {
	s := Settings{Language: "en", Languages: map[string]string{"exemple.fr": "fr"}}
	for _, x := range []struct{ reader, header, want string }{
		{"a@example.org", "Subject: x", "en"},
		{"a@example.org", "Accept-Language: fr-CA", "fr"},
		{"a@example.org", "accept-language: de, en;q=0.5, fr;q=0.8", "fr"},
		{"a@example.org", "Accept-Language: fr;q=0, en", "en"},
		{"a@example.org", "Accept-Language: de, nl\r\nContent-Language: fr", "fr"},
		{"a@example.org", "Content-Language: fr, en", "fr"},
		{"a@example.org", "Accept-Language: " + strings.Repeat("de, ", 1000) + "fr", "en"},
		{"a@example.org", "Accept-Language: fr;q=NaN", "en"},
		{"a@example.org", "Subject: x\r\n\r\nContent-Language: fr", "en"},
		{"a@EXEMPLE.fr", "Accept-Language: en", "fr"},
	} {
		if got := s.language(parse(t, x.reader), []byte(x.header+"\r\n\r\nbody")); got != x.want {
			t.Errorf("%s, %q: %s, want %s", x.reader, x.header, got, x.want)
		}
	}
	s.Only = "fr"
	if got := s.language(parse(t, "a@example.org"), []byte("Accept-Language: en\r\n\r\n")); got != "fr" {
		t.Errorf("texts in one language, and a notice in %s", got)
	}
}

func TestDoubleBounce(t *testing.T) {
	now := time.Now()
	notice := func() *queue.Item { return &queue.Item{Origin: queue.Origin{Local: true, Protocol: fromHouse}} }
	t.Run("LOOP-005 the postmaster gets it", func(t *testing.T) {
		o := newOffice(t, "postmaster")
		it := o.put(notice(), letter)
		if !o.Double(it, now) {
			t.Fatal("nobody hears of it")
		}
		d, made, err := o.ForPostmaster(t.Context(), it, failed(t, "alice@far.example"), now)
		check(t, err)
		if !made || !d.Item.Sender.IsNull() || !IsLast(d.Item) || o.Double(d.Item, now) || d.Item.Recipients[0].Address != parse(t, "postmaster@example.org") {
			t.Errorf("%v %+v", made, d.Item)
		}
		if text := o.text(d); !strings.Contains(text, "Subject: Copy for the postmaster") || !strings.Contains(text, "Final-Recipient: rfc822; alice@far.example") {
			t.Error(text)
		}
	})
	t.Run("LOOP-005 nobody is the postmaster", func(t *testing.T) {
		o := newOffice(t)
		if _, made, err := o.ForPostmaster(t.Context(), o.put(notice(), letter), failed(t, "alice@far.example"), now); made || err != nil {
			t.Errorf("%v, %v", made, err)
		}
	})
	t.Run("LOOP-005 it was for the postmaster", func(t *testing.T) {
		o := newOffice(t, "postmaster")
		if _, made, err := o.ForPostmaster(t.Context(), o.put(notice(), letter), failed(t, "Postmaster@example.org"), now); made || err != nil {
			t.Errorf("%v, %v", made, err)
		}
	})
	t.Run("LOOP-005 of strangers, and where it is not wanted", func(t *testing.T) {
		o := newOffice(t, "postmaster")
		for name, it := range map[string]*queue.Item{
			"a stranger's notice": {Origin: queue.Origin{ClientAddr: "192.0.2.1", Protocol: "ESMTP"}},
			"one who claims":      {Origin: queue.Origin{ClientAddr: "192.0.2.1", Protocol: fromHouse}},
			"a letter":            {Sender: parse(t, "alice@example.org"), Origin: queue.Origin{Local: true, Protocol: fromHouse}},
			"the postmaster's":    {Origin: queue.Origin{Local: true, Protocol: fromPostmaster}},
		} {
			if o.Double(it, now) {
				t.Errorf("%s makes a double bounce", name)
			}
		}
		o.settings.Topics = nil
		if o.Double(notice(), now) {
			t.Error("it is not wanted")
		}
	})
	t.Run("LOOP-005 a flood", func(t *testing.T) {
		o := newOffice(t, "postmaster")
		it := o.put(notice(), letter)
		n := 0
		for ; o.Double(it, now) && n < 1000; n++ {
			d, _, err := o.ForPostmaster(t.Context(), it, failed(t, "alice@far.example"), now)
			check(t, err)
			d.Spool.Discard()
		}
		if n != perPostmaster || !o.Double(it, now.Add(time.Hour)) {
			t.Errorf("%d in an hour", n)
		}
	})
}

// TestAutomaticMailIsCapped: LOOP-013.
func TestAutomaticMailIsCapped(t *testing.T) {
	o := newOffice(t, "alice")
	o.settings.Topics = nil
	it := o.alices(letter)
	full := queue.Recipient{Notify: smtp.NotifySuccess | smtp.NotifyDelay | smtp.NotifyFailure}
	for n := range perReader + 1 {
		over := n >= perReader
		for _, a := range []dsn.Action{dsn.Delayed, dsn.Delivered, dsn.Failed} {
			if got := o.Wants(it, full, a); got != (a == dsn.Failed || !over) {
				t.Fatalf("LOOP-013 after %d notices, of %s: %v", n, a, got)
			}
		}
		d, err := o.Notice(t.Context(), it, failed(t, "x@far.example"), time.Now())
		check(t, err)
		if n == 0 || over {
			if text := o.text(d); strings.Contains(text, "The body.") == over {
				t.Errorf("LOOP-013 after %d notices, the letter comes back: %v", n, !over)
			}
			continue
		}
		d.Spool.Discard()
	}
	for name, it := range map[string]*queue.Item{
		"LOOP-013 a notice":                  {Origin: queue.Origin{Local: true, Protocol: fromHouse}},
		"LOOP-006 a stranger's letter":       {Sender: parse(t, "x@stranger.example"), Origin: queue.Origin{ClientAddr: "192.0.2.1"}},
		"LOOP-007 in the name of one of our": {Sender: parse(t, "alice@example.org"), Origin: queue.Origin{ClientAddr: "192.0.2.1"}},
	} {
		for _, a := range []dsn.Action{dsn.Delayed, dsn.Delivered, dsn.Failed} {
			if o.Wants(it, full, a) {
				t.Errorf("%s is answered by a notice of %s", name, a)
			}
		}
	}
}

func TestFloodIsBounded(t *testing.T) {
	var f flood
	now := time.Now()
	for n := range maxReaders + 10 {
		f.add(fmt.Sprint(n), now)
	}
	if len(f.sent) > maxReaders+1 || f.count("somebody else", now) != 10 || f.count("1", now) != 1 {
		t.Errorf("%d are counted", len(f.sent))
	}
	if f.count("1", now.Add(2*time.Hour)) != 0 || len(f.sent) != 0 {
		t.Error("it is kept for ever")
	}
	if f.add("1", now.Add(-time.Hour)) != 0 {
		t.Error("a clock that went back stops notices")
	}
}

// happened is an event of a topic.
type happened struct {
	topic event.Topic
	text  string
}

func (h happened) Level() slog.Level             { return slog.LevelInfo }
func (h happened) Record() (string, []slog.Attr) { return h.text, nil }
func (h happened) Line() (string, string)        { return "postfix/smtpd", h.text }
func (h happened) Topic() event.Topic            { return h.topic }

// letters are those in the queue, the oldest first.
func (o *office) letters() (all []string) {
	o.t.Helper()
	var ids []queue.ID
	check(o.t, o.queue.List(context.Background(), func(it *queue.Item) bool { ids = append(ids, it.ID); return true }))
	slices.Sort(ids)
	for _, id := range ids {
		_, body, err := o.queue.Show(context.Background(), id)
		check(o.t, err)
		r, err := body.Open()
		check(o.t, err)
		text, err := io.ReadAll(r)
		r.Close()
		check(o.t, err)
		all = append(all, string(text))
	}
	return all
}

// TestSummary: a flood is one letter, and the next comes an hour later.
//
// Rows 150 and 151: a reader for each class of incidents.
func TestSummary(t *testing.T) {
	o := newOffice(t, "postmaster")
	synctest.Test(t, func(t *testing.T) {
		o.settings.Topics = map[event.Topic]address.Address{event.Policy: {}}
		var mu sync.Mutex
		var letters []string
		written := func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(letters) }
		d := NewSummary(event.Discard)
		d.Emit(happened{event.Policy, "too early"})
		d.write = func(topic event.Topic, g gathered) {
			mu.Lock()
			defer mu.Unlock()
			letters = append(letters, fmt.Sprintf("%s %d %d %s", topic, len(g.lines), g.count, g.lines[0][len(time.DateTime)+1:]))
		}
		d.Open(o.Writer)
		for n := range 1000 {
			d.Emit(happened{event.Policy, fmt.Sprint("reject ", n)})
			d.Emit(happened{event.Protocol, "not wanted"})
			d.Emit(happened{event.NoTopic, "nothing"})
			d.Emit(event.Note{Text: "a note"})
		}
		time.Sleep(gather + time.Second)
		synctest.Wait()
		d.Emit(happened{event.Policy, "later"})
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if want := "policy 100 1000 postfix/smtpd: reject 0"; !slices.Equal(written(), []string{want}) {
			t.Errorf("%q, want %q", written(), want)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		d.Emit(happened{event.Policy, "at the end\x1b"})
		d.Close()
		d.Emit(happened{event.Policy, "after it"})
		if all := written(); len(all) != 3 || all[1] != "policy 1 1 postfix/smtpd: later" {
			t.Errorf("%q", all)
		}
	})
}

func TestSummaryLetter(t *testing.T) {
	o := newOffice(t, "postmaster", "late")
	o.settings.Topics = map[event.Topic]address.Address{event.Delay: parse(t, "late@example.org"), event.Resource: {}}
	o.settings.Language = "fr"
	d := NewSummary(event.Discard)
	d.Open(o.Writer)
	d.Emit(happened{event.Delay, "hostile \x1b[31m\r\nX: y " + strings.Repeat("é", summaryLine)})
	d.Emit(happened{event.Resource, "no room"})
	d.Close()
	all := o.letters()
	if len(all) != 2 {
		t.Fatalf("%d letters", len(all))
	}
	for i, want := range [][]string{{"To: <late@example.org>\r\n", "Auto-Submitted: auto-generated\r\n", "hostile ?[31m??X: y"}, {"To: <postmaster@example.org>\r\n", "no room", "manque d=E2=80=99une"}} {
		for _, w := range want {
			if !strings.Contains(all[i], w) {
				t.Errorf("no %q in\n%s", w, all[i])
			}
		}
		for line := range strings.SplitSeq(all[i], "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\x1b\r\n") {
				t.Errorf("line %q", line)
			}
		}
	}
}

// story is what else there is to read about something that happened.
type story struct {
	happened
	lines []string
}

func (s story) Line() (string, string) { return "", "" }
func (s story) Detail() []string       { return s.lines }

// A letter has the sessions that the lines are about, as far as there is room, and does
// not count them.
func TestSummaryDetails(t *testing.T) {
	o := newOffice(t, "postmaster")
	o.settings.Topics = map[event.Topic]address.Address{event.Policy: {}}
	d := NewSummary(event.Discard)
	d.Open(o.Writer)
	d.Emit(happened{event.Policy, "reject: RCPT"})
	about := happened{topic: event.Policy}
	d.Emit(story{about, []string{"one[192.0.2.1]", " In:  RCPT \x1b[2J", " Out: 554 no"}})
	for range 20 {
		d.Emit(story{about, []string{strings.Repeat("x", 1000)}})
	}
	d.Close()
	all := o.letters()
	if len(all) != 1 {
		t.Fatalf("%d letters", len(all))
	}
	for _, want := range []string{"How often it happened: 1. From the log:\r\n", "  one[192.0.2.1]\r\n   In:  RCPT ?[2J\r\n   Out: 554 no\r\n", "Further sessions, for which there was no room: 4."} {
		if !strings.Contains(all[0], want) {
			t.Errorf("no %q in\n%s", want, all[0])
		}
	}
}

// Where nobody is postmaster, the log says so once a topic and interval.
func TestSummaryForNobody(t *testing.T) {
	o := newOffice(t)
	o.settings.Topics = map[event.Topic]address.Address{event.Policy: {}, event.Delay: parse(t, "late@example.org")}
	heard := &notes{}
	d := NewSummary(heard)
	d.Open(o.Writer)
	for range 3 {
		d.Emit(happened{event.Policy, "refused"})
	}
	d.Emit(happened{event.Delay, "late"})
	d.Close()
	text := strings.Join(heard.all, "\n")
	if len(heard.all) != 2 || len(o.letters()) != 0 || !strings.Contains(text, "about policy (3 events) could not be written: there is no mailbox for postmaster;") || !strings.Contains(text, "no mailbox for late@example.org;") {
		t.Errorf("%q, %d letters", heard.all, len(o.letters()))
	}
}

// notes is a sink that keeps what it is told.
type notes struct{ all []string }

func (n *notes) Emit(e event.Event) {
	_, text := e.Line()
	n.all = append(n.all, text)
}

func TestFault(t *testing.T) {
	for err, want := range map[error]event.Topic{errors.New("odd"): event.Software, fmt.Errorf("writing: %w", syscall.ENOSPC): event.Resource, syscall.EMFILE: event.Resource} {
		if got := event.Fault(err); got != want {
			t.Errorf("%v is %s", err, got)
		}
	}
}

// MAP-004: a list whose :include: file hangs does not keep the one who writes notices.
func TestNoticeToAListThatHangs(t *testing.T) {
	o := newOffice(t)
	dir := t.TempDir()
	state, err := db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	check(t, err)
	defer state.Close()
	d := directory.New(state, nil, dir, 0)
	d.Configure([]directory.Domain{{Name: "example.org", Class: directory.ClassLocal}}, directory.Allowances{})
	from := "aliases:" + filepath.Join(dir, "aliases")
	check(t, os.WriteFile(filepath.Join(dir, "aliases"), []byte("alice: :include:/home/list\n"), 0o600))
	set, err := list.Open([]list.Source{{Name: from, From: from}}, event.Discard)
	check(t, err)
	defer set.Close()
	o.router = route.New(d, "mail.example.org", func() string { return "example.org" })
	asked := false
	o.router.Configure(func() *route.Rules {
		return &route.Rules{Aliases: set.Maps([]string{from}), ExpansionLimit: 10, RecursionLimit: 10, Include: func(ctx context.Context, _ string) (route.Included, error) {
			if _, asked = ctx.Deadline(); !asked {
				t.Error("it would be waited for without end")
			}
			return route.Included{}, errors.New("it hangs")
		}}
	})
	if _, err := o.Notice(t.Context(), o.alices(letter), failed(t, "x@far.example"), time.Now()); err == nil || !asked {
		t.Errorf("asked with a deadline: %v; %v", asked, err)
	}
}
