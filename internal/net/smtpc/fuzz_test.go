package smtpc

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// FuzzSession talks to a peer that says any bytes at all.
func FuzzSession(f *testing.F) {
	const good = "220 hi\r\n250-hi\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n250 taken\r\n"
	for _, s := range []string{good, good[:len(good)-11], strings.Replace(good, "354", "250", 1), strings.Replace(good, "550 no\r\n", "", 1),
		"220 hi\r\n500 no\r\n250 hi\r\n", "421 no\r\n", "220-\r\n", "220 hi\r\n250-hi\r\n250 SIZE 1\r\n", "\x00\xff", "999 x\r\n", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		client, server := net.Pipe()
		defer server.Close()
		go io.Copy(io.Discard, server)
		go func() {
			server.Write(said)
			server.Close()
		}()
		cfg := Config{Hello: "client.example", Security: Clear, Timeouts: Timeouts{}.withDefaults()}
		c, failure := start(context.Background(), client, "mx.example", "mx.example[pipe]", cfg)
		if failure != nil {
			check(t, failure.Result)
			return
		}
		defer c.Close()
		to := address.Address{Local: "bob", Domain: "x.example"}
		res := c.Send(context.Background(), Envelope{Recipients: []smtp.Rcpt{{To: to}, {To: to}}, Size: 100}, strings.NewReader("x\r\n"))
		for _, r := range res.Recipients {
			check(t, r)
			if r.Delivered() && !bytes.Contains(said, []byte("\n3")) {
				t.Errorf("delivered without a 354: %v", r.Reply)
			}
		}
	})
}

// check is what holds for every result.
func check(t *testing.T, r Result) {
	t.Helper()
	if r.Reply == nil {
		t.Fatal("a result without a reply")
	}
	if text := r.Reply.Text(); len(text) > maxText+len(r.Reply.Lines) || clean(text) != text {
		t.Errorf("text of %d bytes: %q", len(text), text)
	}
	if r.Err != nil && r.Stage != StageMail && !r.Reply.Temporary() {
		t.Errorf("made up here, and final: %v", r.Reply)
	}
}

func TestSanitize(t *testing.T) {
	long := strings.Repeat("é", 600)
	cases := []struct {
		in   []string
		want []string
	}{
		{[]string{"ok"}, []string{"ok"}},
		{nil, nil},
		{[]string{"a\x1b[0m\u202eb\xff\t"}, []string{"a?[0m?b??"}},
		{[]string{long, "more"}, []string{long[:1024]}},
		{[]string{"x" + long}, []string{"x" + long[:1022]}},
		{[]string{"a", long, "b"}, []string{"a", long[:1022]}},
	}
	for _, tc := range cases {
		r := &smtp.Reply{Code: 550, Lines: append([]string(nil), tc.in...)}
		sanitize(r)
		if strings.Join(r.Lines, "|") != strings.Join(tc.want, "|") {
			t.Errorf("OUT-007 OUT-008 %.40q became %.40q (%d bytes)", tc.in, r.Lines, len(r.Text()))
		}
	}
}

func TestTimeouts(t *testing.T) {
	all := Timeouts{}.withDefaults()
	for stage, want := range map[Stage]time.Duration{ // RFC 5321 §4.5.3.2
		StageGreeting: 5 * time.Minute, StageMail: 5 * time.Minute, StageRecipient: 5 * time.Minute,
		StageData: 2 * time.Minute, StageEnd: 10 * time.Minute,
	} {
		if got := all.of(stage); got != want {
			t.Errorf("%v: %v, want %v", stage, got, want)
		}
	}
	for s := StageConnect; s <= StageQuit; s++ {
		if all.of(s) <= 0 || s.String() == "unknown stage" {
			t.Errorf("stage %d has no time or no name", s)
		}
	}
}

// What examine calls text goes through DATA unchanged, and what it says does not
// depend on how the bytes come in.
func FuzzExamine(f *testing.F) {
	f.Add("Subject: x\r\n\r\nbody\r\n.\r\n")
	f.Add("a\rb\n\x00\r\n\xff")
	f.Add("00\r\xff")
	f.Add(strings.Repeat("x", 999) + "\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := examine(strings.NewReader(s))
		singly, err2 := examine(iotest.OneByteReader(strings.NewReader(s)))
		if err != nil || err2 != nil || got != singly {
			t.Fatalf("%+v %v, byte by byte %+v %v", got, err, singly, err2)
		}
		high := strings.IndexFunc(s, func(c rune) bool { return c >= utf8.RuneSelf }) >= 0
		if got.eightBit != high || got.header8Bit && !got.eightBit {
			t.Errorf("%q: %+v", s, got)
		}
		var sent bytes.Buffer
		w := smtp.NewDotWriter(&sent)
		w.Write([]byte(s))
		w.Close()
		var data smtp.Data
		data.Reset(bufio.NewReader(&sent), 1<<40)
		back, err := io.ReadAll(&data)
		if got.text && (err != nil || string(back) != s) {
			t.Errorf("%q is called text, and arrives as %q, %v", s, back, err)
		}
	})
}
