package intake

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"facteur/internal/flow/rule"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
	"facteur/internal/test/doubling"
)

// adviser is a hook of which a test writes the answers. The real ones are in
// net/policy and net/milter.
type adviser struct {
	answer func(ctx context.Context, stage rule.Stage, q *Question) Advice
	asked  []string
	open   int
}

func (a *adviser) Open(*Peer) Adviser { a.open++; return a }
func (a *adviser) Reset()             { a.asked = append(a.asked, "reset") }
func (a *adviser) Close()             { a.open-- }
func (a *adviser) Ask(ctx context.Context, stage rule.Stage, q *Question) Advice {
	a.asked = append(a.asked, stage.String())
	if a.answer == nil {
		return Advice{}
	}
	return a.answer(ctx, stage, q)
}

// TestHooksAreAskedInOrder: each stage once, whenever their answers are told.
func TestHooksAreAskedInOrder(t *testing.T) {
	for _, delay := range []bool{true, false} {
		c, a := newCounter(t, 0), &adviser{}
		c.with(func(r *Rules) { r.Hooks, r.DelayReject = []Hook{a}, delay })
		if where, answer, _ := c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org", "bob@example.org"); where != "" {
			t.Fatal(where, answer)
		}
		if got := strings.Join(a.asked, " "); !strings.HasPrefix(got, "connect helo mail rcpt rcpt data end reset") || a.open != 0 {
			t.Errorf("delayed %v: %s, %d left open", delay, got, a.open)
		}
	}
}

// TestHooksRefuse: at each stage, and what they said of the client holds.
func TestHooksRefuse(t *testing.T) {
	c := newCounter(t, 0)
	for stage := rule.Connect; stage <= rule.End; stage++ {
		a := &adviser{answer: func(_ context.Context, s rule.Stage, _ *Question) Advice {
			if s == stage {
				return Advice{By: "milter x", Reply: smtp.NewReply(451, "4.7.1", "greylisted")}
			}
			return Advice{}
		}}
		c.with(func(r *Rules) { r.Hooks, r.DelayReject = []Hook{a}, true })
		where, answer, _ := c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org")
		if answer != "451 4.7.1 greylisted" || where != max(stage, rule.Rcpt).String() {
			t.Errorf("%s: at %s %q", stage, where, answer)
		}
	}
}

// TestHooksChangeTheMessage: each sees what the one before it left, and what is kept
// is the last of it behind our prefix.
func TestHooksChangeTheMessage(t *testing.T) {
	for _, size := range []int{10, 300_000} { // in memory, in a file
		c := newCounter(t, 0)
		c.with(func(r *Rules) { r.SizeLimit = 1 << 20 })
		body := strings.Repeat("0123456789abcde\n", size/16) + "end\r\n"
		var seen string
		first := &adviser{answer: func(_ context.Context, s rule.Stage, q *Question) Advice {
			if s != rule.End {
				return Advice{}
			}
			b, _ := io.ReadAll(q.Message.Body())
			if string(b) != body || q.Message.Size != int64(len(q.Message.Header)+len(b)) {
				t.Errorf("the hook sees %d bytes of body, size %d", len(b), q.Message.Size)
			}
			fresh := c.queue.Spool()
			fmt.Fprint(fresh, "another body\r\n")
			return Advice{By: "milter one", Body: fresh, Edits: []Edit{
				{Kind: InsertField, Name: "X-Top", Value: "a\r\n b"},
				{Kind: InsertField, Index: 2, Name: "X-Third", Value: "c"},
				{Kind: AppendField, Name: "X-Last", Value: "d\nBcc: evil@x.example"},
				{Kind: ChangeField, Index: 2, Name: "X-Old", Value: "two"},
				{Kind: ChangeField, Index: 1, Name: "X-Old", Value: ""},
				{Kind: ChangeField, Index: 1, Name: "X-New", Value: "new"},
				{Kind: AppendField, Name: "bad name", Value: "x"},
				{Kind: AddRecipient, Address: addr(t, "bob@example.org")},
				{Kind: RemoveRecipient, Address: addr(t, "Alice@example.org")},
				{Kind: ChangeSender, Address: addr(t, "new@sender.example")},
			}}
		}}
		second := &adviser{answer: func(_ context.Context, s rule.Stage, q *Question) Advice {
			if s == rule.End {
				b, _ := io.ReadAll(q.Message.Body())
				seen = string(q.Message.Header) + string(b)
			}
			return Advice{}
		}}
		c.with(func(r *Rules) { r.Hooks = []Hook{first, second} })
		log := &diary{}
		c.Desk.events = log
		where, answer, id := c.talk(t, stranger, smtp.Mail{}, "Subject: x\r\nX-Old: 1\r\nX-Old: 2\r\n\r\n"+body, "alice@example.org")
		if where != "" {
			t.Fatal(where, answer)
		}
		want := "X-Top: a\r\n b\r\nSubject: x\r\nX-Third: c\r\nX-Old: two\r\nX-Last: d Bcc: evil@x.example\r\nX-New: new\r\n\r\nanother body\r\n"
		item, stored := c.bytes(t, id)
		if seen != want || !strings.HasSuffix(stored, want) || strings.Count(stored, "Received:") != 1 {
			t.Errorf("seen %q\nstored %q\nwant %q", seen, stored, want)
		}
		for _, line := range []string{"milter one added the recipient <bob@example.org>", "milter one removed the recipient <Alice@example.org>",
			"milter one replaced the sender <> by <new@sender.example>"} {
			if !strings.Contains(log.lines(), line) || !strings.Contains(log.sentences(), "The "+line+".") {
				t.Errorf("INV-25: no word of %q:\n%s%s", line, log.lines(), log.sentences())
			}
		}
		if len(item.Recipients) != 1 || item.Recipients[0].Address.Local != "bob" || item.Sender.Domain != "sender.example" {
			t.Errorf("%+v", item)
		}
	}
}

// TestALargeMessageIsRewritten: a change of the header of a message that is in a file.
func TestALargeMessageIsRewritten(t *testing.T) {
	c := newCounter(t, 0)
	c.govern(t, [3]string{"end", "", "add header X-A: b"})
	c.with(func(r *Rules) { r.SizeLimit = 1 << 20 })
	body := strings.Repeat("0123456789abcde\n", 20_000)
	_, _, id := c.talk(t, stranger, smtp.Mail{}, "Subject: x\r\n\r\n"+body, "alice@example.org")
	item, stored := c.bytes(t, id)
	if !strings.HasSuffix(stored, "\r\nSubject: x\r\nX-A: b\r\n\r\n"+body) || int64(len(stored)) != item.Size {
		t.Errorf("INV-14: %d bytes, %.300q", len(stored), stored)
	}
}

// TestOddHeadersAreEdited: where there is nothing to put a field next to.
func TestOddHeadersAreEdited(t *testing.T) {
	c := newCounter(t, 0)
	for in, want := range map[string]string{
		"":                     "X-A: b\r\n",
		"\r\nbody":             "X-A: b\r\n\r\nbody",
		"x":                    "x\r\nX-A: b\r\n",
		"Subject: x\n\nbody":   "Subject: x\nX-A: b\r\n\nbody",
		"Subject: x\r\n y\r\n": "Subject: x\r\n y\r\nX-A: b\r\n",
	} {
		c.govern(t, [3]string{"end", "", "add header X-A: b"})
		_, _, id := c.talk(t, stranger, smtp.Mail{}, in, "alice@example.org")
		if _, stored := c.bytes(t, id); !strings.HasSuffix(stored, ")\r\n"+want) {
			t.Errorf("%q: %q", in, stored)
		}
	}
}

// TestAHeaderWithoutEnd keeps its bytes, whatever is added above it.
func TestAHeaderWithoutEnd(t *testing.T) {
	c := newCounter(t, 0)
	c.govern(t, [3]string{"end", "", "add header X-A: b; remove header Subject"})
	c.with(func(r *Rules) { r.SizeLimit = 1 << 20 })
	long := "Subject: x\r\nX-Long: " + strings.Repeat("y", headMax) + "\r\n\r\nbody"
	_, _, id := c.talk(t, stranger, smtp.Mail{}, long, "alice@example.org")
	if _, stored := c.bytes(t, id); !strings.HasSuffix(stored, "\r\nX-A: b\r\n"+long) {
		t.Errorf("INV-14: %.200q", stored)
	}
}

// TestAnUnknownRecipientOfAHook is nobody's refusal: the client comes again.
func TestAnUnknownRecipientOfAHook(t *testing.T) {
	c := newCounter(t, 0)
	a := &adviser{answer: func(_ context.Context, s rule.Stage, _ *Question) Advice {
		if s == rule.End {
			return Advice{By: "milter x", Edits: []Edit{{Kind: AddRecipient, Address: addr(t, "nobody@example.org")}}}
		}
		return Advice{}
	}}
	c.with(func(r *Rules) { r.Hooks = []Hook{a} })
	if where, answer, _ := c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org"); where != "end" || !strings.HasPrefix(answer, "451") {
		t.Errorf("%s %q", where, answer)
	}
}

// FuzzEdits: no edit begins a field of its own making, and what is not touched
// stays.
func FuzzEdits(f *testing.F) {
	f.Add("Subject: x\r\n\r\n", "X-A", "b\nc", 1, byte(1))
	f.Add("", "X-A", "", 0, byte(3))
	f.Add("a\nb: c\n d\n", "b", "\r\n\r\n", 2, byte(4))
	f.Fuzz(func(t *testing.T, header, name, value string, index int, kind byte) {
		if end := strings.Index(header, "\n\n"); end >= 0 {
			header = header[:end+2]
		}
		tx := &Transaction{header: []byte(header)}
		before := 0
		for range tx.header.Fields() {
			before++
		}
		out := tx.edited(tx.header, Edit{Kind: EditKind(kind%4) + 1, Index: index % 100, Name: name, Value: value})
		after := 0
		for range out.Fields() {
			after++
		}
		if after > before+1 {
			t.Errorf("%q + %q: %q: %d fields became %d", header, name, value, before, after)
		}
	})
}

var _ Hook = (*adviser)(nil)

// TestEditsDouble: twice the header takes twice the time.
func TestEditsDouble(t *testing.T) {
	for _, unit := range []string{"x:\n", "X-Facteur-:\r\n", "x: y\r\n z\r\n", "\r ", ":"} {
		doubling.Check(t, strconv.Quote(unit), 1<<16/len(unit), func(n int) func() {
			h, tx := message.Header(strings.Repeat(unit, n)), &Transaction{}
			return func() {
				withoutOurs(h)
				tx.edited(h, Edit{Kind: RemoveFields, Name: "x"})
				tx.edited(h, Edit{Kind: ChangeField, Name: "x", Index: 1 << 20, Value: "y"})
				tx.edited(h, Edit{Kind: InsertField, Name: "x", Index: 1 << 20, Value: string(h)})
			}
		})
	}
}
