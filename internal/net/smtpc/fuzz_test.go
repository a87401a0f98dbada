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

// FuzzSession talks to a peer that says any bytes at all: two messages, by DATA or BDAT,
// in SMTP or LMTP, as the peer and the first byte want it.
func FuzzSession(f *testing.F) {
	const good = "220 hi\r\n250-hi\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n250 taken\r\n"
	const chunks = "220 hi\r\n250-hi\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 CHUNKING\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n550 5.1.1 no\r\n250 2.0.0 taken\r\n"
	for i, s := range []string{good, good[:len(good)-11], strings.Replace(good, "354", "250", 1), strings.Replace(good, "550 no\r\n", "", 1),
		chunks, strings.Replace(chunks, "250 2.0.0", "500 5.5.2", 1), strings.Replace(chunks, "250 2.1.5 ok\r\n", "250 2.1.5 ok\r\n250 2.1.5 ok\r\n", 1),
		good + "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 a\r\n452 b\r\n",
		"220 hi\r\n500 no\r\n250 hi\r\n", "421 no\r\n", "220-\r\n", "220 hi\r\n250-hi\r\n250 SIZE 1\r\n", "\x00\xff", "999 x\r\n", ""} {
		f.Add(byte(i), []byte(s))
	}
	f.Fuzz(func(t *testing.T, mode byte, said []byte) {
		client, server := net.Pipe()
		defer server.Close()
		go io.Copy(io.Discard, server)
		go func() {
			server.Write(said)
			server.Close()
		}()
		cfg := Config{Hello: "client.example", Security: Clear, LMTP: mode&1 != 0, NoChunking: mode&2 != 0, Memory: NewMemory(), Timeouts: Timeouts{}.withDefaults()}
		c, failure := start(context.Background(), client, "mx.example", "mx.example[pipe]", cfg)
		if failure != nil {
			check(t, failure.Result)
			return
		}
		defer c.Close()
		for range 2 {
			body := "x\r\n"
			if mode&4 != 0 {
				body = strings.Repeat("0123456\r\n", 40_000)
			}
			to := address.Address{Local: "bob", Domain: "x.example"}
			env := Envelope{Recipients: []smtp.Rcpt{{To: to}, {To: to}}, Size: int64(len(body))}
			if mode&8 != 0 {
				env.Body8Bit = true
			}
			chunked := c.ext.Chunking
			res := c.Send(context.Background(), env, strings.NewReader(body))
			for _, r := range res.Recipients {
				check(t, r)
				if r.Delivered() && !chunked && !bytes.Contains(said, []byte("\n3")) {
					t.Errorf("delivered without a 354: %v", r.Reply)
				}
				if r.Delivered() && bytes.Count(said, []byte("\n2")) < 3 {
					t.Errorf("delivered for less than three yeses: %v", r.Reply)
				}
			}
			if res.Stale && c.Usable() {
				t.Error("stale, and usable")
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

// Pieces are the message as DATA would send it, however it is cut and comes in.
func FuzzPieces(f *testing.F) {
	f.Add("a\nb\rc\r\n", 3)
	f.Add("a\r\n", 2)
	f.Add("\r\r\n\n", 1)
	f.Fuzz(func(t *testing.T, in string, size int) {
		if size < 1 || size > 1<<16 {
			return
		}
		p := &pieces{source: &sourceReader{r: iotest.HalfReader(strings.NewReader(in))}, size: size, buf: make([]byte, size+1), text: true}
		var got bytes.Buffer
		for {
			piece, last, err := p.next()
			if err != nil {
				t.Fatal(err)
			}
			got.Write(piece)
			if last {
				break
			}
		}
		var sent bytes.Buffer
		w := smtp.NewDotWriter(&sent)
		w.Write([]byte(in))
		w.Close()
		var data smtp.Data
		data.Reset(bufio.NewReader(&sent), 1<<40)
		want, err := io.ReadAll(&data)
		if err != nil && !strings.Contains(err.Error(), "NUL") || got.String() != string(want) {
			t.Errorf("%q in pieces of %d: %q, want %q, %v", in, size, got.String(), want, err)
		}
	})
}
