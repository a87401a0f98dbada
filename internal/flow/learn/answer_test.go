package learn

import (
	"fmt"
	"strings"
	"testing"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/store/lexicon"
	"facteur/internal/store/namespace"
)

var question = crlf(`From: Carl <carl@c.test>
To: anna@a.test
Subject: Minutes
Message-Id: <q1@c.test>
Date: Fri, 1 May 2026 12:00:00 +0000

Would you send me the minutes of our last meeting, please?
`)

var reply = crlf(`From: Anna <anna@a.test>
To: Carl <carl@c.test>
Subject: Re: Minutes
Message-Id: <r1@a.test>
In-Reply-To: <q1@c.test>
References: <q0@c.test> <q1@c.test>

Here they are.
`)

func addresses(t *testing.T, list ...string) (out []address.Address) {
	t.Helper()
	for _, text := range list {
		a, err := address.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// Row 175: replies to a sender count as ham; what else looks like one does not.
func TestRow175Answers(t *testing.T) {
	many := make([]string, answerTo+1)
	for i := range many {
		many[i] = fmt.Sprintf("carl@c%d.test", i)
	}
	swap := strings.NewReplacer
	for name, c := range map[string]struct {
		question, reply string
		to              []string
		want            string
	}{
		"a reply":                   {to: []string{"carl@c.test"}, want: "0/1"},
		"with our trace":            {question: above + question, to: []string{"carl@c.test"}, want: "0/1"},
		"by References only":        {reply: swap("In-Reply-To: <q1@c.test>\r\n", "").Replace(reply), to: []string{"carl@c.test"}, want: "0/1"},
		"to all":                    {to: []string{"dora@d.test", "carl@c.test"}, want: "0/1"},
		"another spelling":          {to: []string{"Carl@C.test"}, want: "0/1"},
		"to Reply-To":               {question: "Reply-To: office@c.test\r\n" + question, to: []string{"office@c.test"}, want: "0/1"},
		"not Auto-Submitted":        {reply: "Auto-Submitted: no\r\n" + reply, to: []string{"carl@c.test"}, want: "0/1"},
		"a new letter":              {reply: swap("In-Reply-To: <q1@c.test>\r\nReferences: <q0@c.test> <q1@c.test>\r\n", "").Replace(reply), to: []string{"carl@c.test"}, want: "0/0"},
		"to another letter":         {reply: swap("q1@", "q7@").Replace(reply), to: []string{"carl@c.test"}, want: "0/0"},
		"passed on":                 {to: []string{"dora@d.test"}, want: "0/0"},
		"to oneself":                {question: swap("Carl <carl@c.test>", "anna@a.test").Replace(question), to: []string{"anna@a.test"}, want: "0/0"},
		"to one's other address":    {question: swap("Carl <carl@c.test>", "a@a.test").Replace(question), reply: swap("Anna <anna@a.test>", "A@a.test").Replace(reply), to: []string{"a@a.test"}, want: "0/0"},
		"of a program":              {reply: "Auto-Submitted: auto-replied (vacation)\r\n" + reply, to: []string{"carl@c.test"}, want: "0/0"},
		"of an old program":         {reply: "Precedence: bulk\r\n" + reply, to: []string{"carl@c.test"}, want: "0/0"},
		"of a list":                 {reply: "List-Id: <l.a.test>\r\n" + reply, to: []string{"carl@c.test"}, want: "0/0"},
		"to a newsletter":           {question: "List-Unsubscribe: <mailto:carl@c.test>\r\n" + question, to: []string{"carl@c.test"}, want: "0/0"},
		"to a program":              {question: "Auto-Submitted: auto-generated\r\n" + question, to: []string{"carl@c.test"}, want: "0/0"},
		"to nobody":                 {question: swap("From: Carl <carl@c.test>\r\n", "").Replace(question), to: []string{"carl@c.test"}, want: "0/0"},
		"MAP-014 to very many":      {to: append(many, "carl@c.test"), want: "0/0"},
		"MAP-014 to letters galore": {reply: swap("In-Reply-To: ", "In-Reply-To: <1@x> <2@x> <3@x> ").Replace(reply), to: []string{"carl@c.test"}, want: "0/0"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.found[anna+" <q1@c.test>"] = question
			if c.question != "" {
				f.found[anna+" <q1@c.test>"] = c.question
			}
			if c.reply == "" {
				c.reply = reply
			}
			f.Sent(anna, message.Header(c.reply), addresses(t, c.to...))
			f.expect(anna, "0/0")
			f.work()
			f.expect(anna, c.want)
			f.expect(lexicon.Server, c.want)
			f.expect(ben, "0/0")
			if c.want == "0/1" && (len(f.taught) != 1 || f.taught[0].Way != Answered || f.taught[0].Spam) {
				t.Errorf("%+v", f.taught)
			}
		})
	}
}

// What a person says of a letter counts before what an answer to it says, in any order.
func TestAnswersAndWords(t *testing.T) {
	f := newFixture(t)
	f.found[anna+" <q1@c.test>"] = question
	f.boxes[anna+" Junk 1"] = question
	answer := func() { f.Sent(anna, message.Header(reply), addresses(t, "carl@c.test")); f.work() }
	junk := func() {
		f.Judged(namespace.Judgement{User: anna, Mailbox: "Junk", UIDs: []uint32{1}, Spam: true})
		f.work()
	}
	answer()
	answer()
	f.expect(anna, "0/1")
	junk()
	f.expect(anna, "1/0")
	answer()
	f.expect(anna, "1/0")
	if len(f.taught) != 2 {
		t.Errorf("%+v", f.taught)
	}
	t.Run("MAP-014 a thief's answers", func(t *testing.T) {
		f := newFixture(t)
		f.found[anna+" <q1@c.test>"] = question
		f.suspected[anna] = true
		f.Sent(anna, message.Header(reply), addresses(t, "carl@c.test"))
		f.work()
		f.expect(anna, "0/0")
	})
	t.Run("switched off", func(t *testing.T) {
		f := newFixture(t)
		f.found[anna+" <q1@c.test>"] = question
		f.settings.Answers = false
		f.Sent(anna, message.Header(reply), addresses(t, "carl@c.test"))
		f.work()
		f.expect(anna, "0/0")
	})
}

// However many letters are sent, there is room for what people say.
func TestAnswersLeaveRoom(t *testing.T) {
	f := newFixture(t)
	for range queueMost {
		f.Sent(anna, message.Header(reply), addresses(t, "carl@c.test"))
	}
	if f.Dropped() != queueMost/2 {
		t.Errorf("%d dropped", f.Dropped())
	}
	f.boxes[anna+" Junk 1"] = pills
	f.Judged(namespace.Judgement{User: anna, Mailbox: "Junk", UIDs: []uint32{1}, Spam: true})
	f.work()
	f.expect(anna, "1/0")
}
