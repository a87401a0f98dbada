package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"facteur/internal/mail/message"
	"facteur/internal/test/doubling"
)

var (
	client = Client{Name: "client.example", Addr: netip.MustParseAddrPort("192.0.2.1:4321")}
	text   = message.Header("Subject: one\r\nX-Folded:\ta\r\n\tb\r\nno field\r\nSubject:two\r\n\r\n")
)

func letter(body string) Letter {
	return Letter{Header: text, Body: strings.NewReader(body), NewBody: func() io.Writer { return io.Discard }, MaxBody: 1 << 20}
}

// dialogue goes through a whole one and gives the first verdict that is not
// Continue, with the step it came at.
func dialogue(ctx context.Context, s *Session, l Letter, m Macros) (step string, v Verdict, err error) {
	for _, next := range []struct {
		step string
		ask  func() (Verdict, error)
	}{
		{"connect", func() (Verdict, error) { return s.Connect(ctx, client, m) }},
		{"helo", func() (Verdict, error) { return s.Helo(ctx, "me.example", m) }},
		{"mail", func() (Verdict, error) { return s.Mail(ctx, []string{"<a@b.example>", "SIZE=12"}, m) }},
		{"rcpt", func() (Verdict, error) { return s.Rcpt(ctx, []string{"<c@d.example>"}, m) }},
		{"data", func() (Verdict, error) { return s.Data(ctx, m) }},
		{"message", func() (Verdict, error) { return s.Message(ctx, l, m) }},
	} {
		if v, err = next.ask(); err != nil || v.Kind != Continue {
			return next.step, v, err
		}
	}
	return "", v, nil
}

func TestWholeDialogue(t *testing.T) {
	t.Parallel()
	d, cfg := start(t, nil)
	s := NewSession(cfg)
	macros := func(name string) string {
		return map[string]string{"j": "mail.example.org", "i": "Q1", "{tls_version}": "TLSv1.3", "{rcpt_addr}": "c@d\x00\nx"}[name]
	}
	if step, v, err := dialogue(t.Context(), s, letter("body\r\n"), macros); err != nil || step != "" {
		t.Fatal(step, v, err)
	}
	s.Reset() // nothing to abort: the milter has seen the end
	if _, err := s.Mail(t.Context(), []string{"<>"}, nil); err != nil {
		t.Fatal(err)
	}
	s.Reset()
	s.Unknown(t.Context(), "FOO bar")
	s.Close()
	want := `DCj|mail.example.org|
Cclient.example|4` + "\x10\xe1" + `192.0.2.1|
DH{tls_version}|TLSv1.3|
Hme.example|
DMi|Q1|
M<a@b.example>|SIZE=12|
DRi|Q1|{rcpt_addr}|c@d??x|
R<c@d.example>|
DTi|Q1|
T
LSubject|one|
LX-Folded|a` + "\n" + `	b|
LSubject|two|
DNi|Q1|
N
Bbody` + "\r" + `
DEi|Q1|
E
M<>|
A
UFOO bar|
Q
`
	want = strings.ReplaceAll(want, "Bbody\r\n", "Bbody\r\n\n")
	wait(t, func() bool { return strings.HasSuffix(d.told(true), "Q\n") })
	if got := d.told(true); got != want {
		t.Errorf("heard\n%q\nwant\n%q", got, want)
	}
}

// wait polls for what another goroutine does.
func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it does not come")
}

func TestClientData(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"[2001:db8::1%eth0]:25":  "n\x006\x00\x19IPv6:2001:db8::1\x00",
		"[::ffff:192.0.2.1]:256": "n\x004\x01\x00192.0.2.1\x00",
	} {
		if got, err := (Client{Name: "n", Addr: netip.MustParseAddrPort(in)}).data(); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	if got, _ := (Client{Name: "localhost"}).data(); string(got) != "localhost\x00U" {
		t.Errorf("%q", got)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		cmd       byte
		say       []byte
		step      string
		want      string
		accepting bool
	}{
		{cmd: cmdConnect, say: pack(repReject, ""), step: "connect", want: "550 5.7.1 Command rejected"},
		{cmd: cmdConnect, say: pack(repTempFail, ""), step: "connect", want: "451 4.7.1 Service unavailable - try again later"},
		{cmd: cmdConnect, say: pack(repConnFail, ""), step: "connect", want: "421 4.7.0 Service unavailable - closing connection"},
		{cmd: cmdHelo, say: pack(repAccept, ""), step: "helo", accepting: true},
		{cmd: cmdMail, say: pack(repReplyCode, "450 4.1.8 50%% of it\x00"), step: "mail", want: "450 4.1.8 50% of it"},
		{cmd: cmdRcpt, say: pack(repReplyCode, "550-5.1.1 two\r\n550 5.1.1 lines\x00"), step: "rcpt", want: "550 5.1.1 two lines"},
		{cmd: cmdRcpt, say: pack(repReplyCode, "550 no status\x00"), step: "rcpt", want: "550 5.7.1 no status"},
		{cmd: cmdData, say: pack(repShutdown, ""), step: "data", want: "421 4.7.0 Service unavailable - closing connection"},
		{cmd: cmdData, say: pack(repDiscard, ""), step: "data", accepting: true},
		{cmd: cmdHeader, say: pack(repReject, ""), step: "message", want: "550 5.7.1 Command rejected"},
		{cmd: cmdEOH, say: pack(repAccept, ""), step: "message", accepting: true},
		{cmd: cmdBody, say: pack(repTempFail, ""), step: "message", want: "451 4.7.1 Service unavailable - try again later"},
		{cmd: cmdEOM, say: join(pack(repProgress, ""), pack(repProgress, ""), pack(repReject, "")), step: "message", want: "550 5.7.1 Command rejected"},
	} {
		t.Run(string(test.cmd)+fmt.Sprintf("%q", test.say[4:]), func(t *testing.T) {
			t.Parallel()
			d, cfg := start(t, on(test.cmd, test.say))
			s := NewSession(cfg)
			defer s.Close()
			step, v, err := dialogue(t.Context(), s, letter("x"), nil)
			if err != nil || step != test.step || test.accepting != (v.Reply == nil) || v.Reply != nil && v.Reply.Error() != test.want {
				t.Errorf("at %s: %+v, %v", step, v.Reply, err)
			}
			if !test.accepting {
				return
			}
			before := d.told(false)
			if _, err := s.Message(t.Context(), letter("x"), nil); err != nil || d.told(false) != before {
				t.Errorf("it is told more after it had enough: %v", err)
			}
		})
	}
}

// Steps that a milter does not want are left out; those it does not answer are not
// waited for. Header fields are shown with their white space when it wants that.
func TestNegotiation(t *testing.T) {
	t.Parallel()
	t.Run("unwanted", func(t *testing.T) {
		t.Parallel()
		d, cfg := start(t, nil, func(d *double) {
			d.steps = noConnect | noHelo | noMail | noRcpt | noData | noHeaders | noEOH | noBody | noUnknown
		})
		if step, v, err := dialogue(t.Context(), NewSession(cfg), letter("x"), nil); err != nil || step != "" {
			t.Error(step, v, err)
		}
		if got := d.told(true); got != "E\n" {
			t.Errorf("%q", got)
		}
	})
	t.Run("unanswered", func(t *testing.T) {
		t.Parallel()
		d, cfg := start(t, nil, func(d *double) {
			d.steps = nrConnect | nrHelo | nrMail | nrRcpt | nrData | nrHeader | nrEOH | nrBody | nrUnknown | leadingSpace
		})
		if step, v, err := dialogue(t.Context(), NewSession(cfg), letter("x"), nil); err != nil || step != "" {
			t.Error(step, v, err)
		}
		for _, want := range []string{"LSubject| one|\n", "LX-Folded|\ta\n\tb|\n", "LSubject|two|\n"} {
			if !strings.Contains(d.told(false), want) {
				t.Errorf("no %q in %q", want, d.told(false))
			}
		}
	})
	t.Run("skip", func(t *testing.T) {
		t.Parallel()
		d, cfg := start(t, on(cmdBody, pack(repSkip, "")), func(d *double) { d.steps = skipBody })
		if step, v, err := dialogue(t.Context(), NewSession(cfg), letter(strings.Repeat("x", 3*bodyChunk)), nil); err != nil || step != "" {
			t.Error(step, v, err)
		}
		if got := strings.Count(d.told(false), "Bx"); got != 1 {
			t.Errorf("%d chunks", got)
		}
	})
	t.Run("chunks", func(t *testing.T) {
		t.Parallel()
		d, cfg := start(t, nil)
		dialogue(t.Context(), NewSession(cfg), letter(strings.Repeat("x", 2*bodyChunk+1)), nil)
		if got := strings.Count(d.told(false), "Bx"); got != 3 {
			t.Errorf("%d chunks", got)
		}
	})
	t.Run("macros", func(t *testing.T) {
		t.Parallel()
		d, cfg := start(t, nil, func(d *double) {
			d.macros = index(uint32(atConnect)) + "{client_port}, j\x00" + index(uint32(atMail)) + "\x00"
		})
		dialogue(t.Context(), NewSession(cfg), letter("x"), func(name string) string { return "v" })
		if got := d.told(true); !strings.Contains(got, "DC{client_port}|v|j|v|\n") || strings.Contains(got, "DM") || !strings.Contains(got, "DRi|v|{rcpt_addr}|v") {
			t.Errorf("%q", got)
		}
	})
	t.Run("old", func(t *testing.T) {
		t.Parallel()
		d, cfg := start(t, nil, func(d *double) { d.version = 2 })
		s := NewSession(cfg)
		dialogue(t.Context(), s, letter("x"), nil)
		if got := d.told(false); strings.Contains(got, "T\n") {
			t.Errorf("version 2 was told of DATA: %q", got)
		}
	})
	for name, data := range map[string]string{
		"MAP-006 short":          index(6) + index(0),
		"MAP-006 version 1":      index(1) + index(0) + index(0),
		"MAP-006 version 7":      index(7) + index(0) + index(0),
		"MAP-006 not offered":    index(6) + index(0) + index(1<<28),
		"MAP-006 macros no end":  index(6) + index(0) + index(0) + index(1) + "j",
		"MAP-006 macros stage 7": index(6) + index(0) + index(0) + index(7) + "j\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, cfg := start(t, on(cmdOptNeg, pack(cmdOptNeg, data)))
			if c, err := Dial(t.Context(), cfg); err == nil {
				t.Errorf("negotiated %+v", c.opts)
			}
		})
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	_, cfg := start(t, on(cmdEOM,
		pack(repAddHeader, "X-A\x00one\n\ttwo\x00"), pack(repInsHeader, index(1)+"X-B\x00 v\x00"), pack(repChgHeader, index(2)+"Subject\x00\x00"),
		pack(repProgress, ""),
		pack(repChgFrom, "<x@y.example>\x00"), pack(repAddRcpt, "<r@y.example>\x00"), pack(repAddRcptPar, "<s@y.example>\x00NOTIFY=NEVER\x00"),
		pack(repDelRcpt, "<c@d.example>\x00"), pack(repReplBody, "new "), pack(repReplBody, "body\r\n"), pack(repQuarantine, "odd\x00"),
		pack(repAccept, "")))
	var body bytes.Buffer
	l := letter("x")
	l.NewBody = func() io.Writer { return &body }
	s := NewSession(cfg)
	_, v, err := dialogue(t.Context(), s, l, nil)
	if err != nil || v.Kind != Accept || !v.NewBody || body.String() != "new body\r\n" {
		t.Fatalf("%+v, %v, body %q", v, err, body.String())
	}
	want := []Change{
		{Kind: AddHeader, Name: "X-A", Value: "one\n\ttwo"},
		{Kind: InsertHeader, Index: 1, Name: "X-B", Value: " v"},
		{Kind: ChangeHeader, Index: 2, Name: "Subject"},
		{Kind: ChangeFrom, Address: "<x@y.example>"},
		{Kind: AddRcpt, Address: "<r@y.example>"},
		{Kind: AddRcpt, Address: "<s@y.example>", Args: "NOTIFY=NEVER"},
		{Kind: DelRcpt, Address: "<c@d.example>"},
		{Kind: Quarantine, Value: "odd"},
	}
	if fmt.Sprint(v.Changes) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", v.Changes, want)
	}
}

// What is no answer is none, whatever the step: the connection ends, and there is
// no verdict until the message is over.
func TestBadReplies(t *testing.T) {
	t.Parallel()
	long := pack(repReplyCode, "550 5.7.1 "+strings.Repeat("x", maxReply)+"\x00")
	for name, test := range map[string]struct {
		cmd byte
		say []byte
	}{
		"MAP-006 unknown code":           {cmdMail, pack('?', "")},
		"MAP-006 empty packet":           {cmdMail, []byte{0, 0, 0, 0}},
		"MAP-006 continue with data":     {cmdMail, pack(repContinue, "x")},
		"MAP-006 reply without end":      {cmdRcpt, pack(repReplyCode, "550 5.7.1 x")},
		"MAP-006 reply with NUL":         {cmdRcpt, pack(repReplyCode, "550 5.7.1 x\x00y\x00")},
		"MAP-006 reply of 250":           {cmdRcpt, pack(repReplyCode, "250 2.0.0 x\x00")},
		"MAP-006 reply is no reply":      {cmdRcpt, pack(repReplyCode, "hello\x00")},
		"MAP-006 two replies":            {cmdRcpt, pack(repReplyCode, "550 5.7.1 x\r\n450 4.7.1 y\x00")},
		"MAP-006 too long":               {cmdRcpt, long},
		"MAP-006 a gigabyte":             {cmdRcpt, []byte{0x40, 0, 0, 0, repReplyCode}},
		"MAP-006 skip too early":         {cmdRcpt, pack(repSkip, "")},
		"MAP-006 change too early":       {cmdRcpt, pack(repAddHeader, "A\x00b\x00")},
		"MAP-006 two answers":            {cmdRcpt, join(pack(repContinue, ""), pack(repContinue, ""))},
		"MAP-006 discard of nothing":     {cmdHelo, pack(repDiscard, "")},
		"MAP-006 header without name":    {cmdEOM, pack(repAddHeader, "\x00b\x00")},
		"MAP-006 header with colon":      {cmdEOM, pack(repAddHeader, "A: b\nX\x00b\x00")},
		"MAP-006 header without value":   {cmdEOM, pack(repAddHeader, "A\x00")},
		"MAP-006 index short":            {cmdEOM, pack(repInsHeader, "\x00")},
		"MAP-006 index huge":             {cmdEOM, pack(repChgHeader, index(1<<31)+"A\x00b\x00")},
		"MAP-006 address with line end":  {cmdEOM, pack(repAddRcpt, "<a@b>\r\nDATA\x00")},
		"MAP-006 body is too large":      {cmdEOM, bytes.Repeat(pack(repReplBody, strings.Repeat("x", 1<<16-1)), 20)},
		"MAP-006 too many changes":       {cmdEOM, bytes.Repeat(pack(repAddHeader, "A\x00b\x00"), maxChanges+1)},
		"MAP-006 skip at the end":        {cmdEOM, pack(repSkip, "")},
		"MAP-006 negotiates in the talk": {cmdData, pack(cmdOptNeg, index(6)+index(0)+index(0))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, cfg := start(t, on(test.cmd, test.say))
			s := NewSession(cfg)
			defer s.Close()
			if _, v, err := dialogue(t.Context(), s, letter("x"), nil); err == nil {
				t.Fatalf("taken as %+v", v)
			}
			if s.conn != nil {
				t.Error("the connection goes on")
			}
			if _, err := s.Message(t.Context(), letter("x"), nil); err == nil {
				t.Error("FLT-018: the message passes after all")
			}
			s.Reset()
			d.behave()
			s.helo = ""
			if step, v, err := dialogue(t.Context(), s, letter("x"), nil); err != nil || step != "" {
				t.Errorf("the next message: %s, %+v, %v", step, v, err)
			}
		})
	}
}

// Changes that were not negotiated are not made.
func TestChangesThatWereNotNegotiated(t *testing.T) {
	t.Parallel()
	for _, say := range [][]byte{pack(repAddHeader, "A\x00b\x00"), pack(repReplBody, "x"), pack(repDelRcpt, "x\x00"), pack(repQuarantine, "x\x00")} {
		_, cfg := start(t, on(cmdEOM, say, pack(repContinue, "")), func(d *double) { d.actions = 0 })
		if _, _, err := dialogue(t.Context(), NewSession(cfg), letter("x"), nil); !errors.Is(err, errNotOffered) {
			t.Errorf("MAP-006 %q: %v", say, err)
		}
	}
}

func TestUnframeable(t *testing.T) {
	t.Parallel()
	d, cfg := start(t, nil)
	s := NewSession(cfg)
	s.Connect(t.Context(), client, nil)
	for _, bad := range []string{"x\x00y", "x\ny", "x\ry"} {
		if _, err := s.Mail(t.Context(), []string{"<" + bad + ">"}, nil); !errors.Is(err, ErrUnframeable) {
			t.Errorf("MAP-006 %q: %v", bad, err)
		}
		s.Reset()
	}
	if got := d.told(false); strings.Contains(got, "M") {
		t.Errorf("MAP-006: sent %q", got)
	}
	s.Mail(t.Context(), []string{"<>"}, nil)
	s.Rcpt(t.Context(), []string{"<a@b>"}, nil)
	l := letter("x\x00y")
	l.Header = message.Header("A: b\x00c\r\n\r\n")
	if _, err := s.Message(t.Context(), l, nil); err != nil || !strings.Contains(d.told(false), "LA|b?c|\n") {
		t.Errorf("%q, %v", d.told(false), err)
	}
}

// A milter that hangs, or is not there, or dies, costs its time-out and no more;
// SMTP-041: the context bounds all of them, whatever PROGRESS it makes.
func TestDownAndHanging(t *testing.T) {
	t.Parallel()
	t.Run("FLT-018 not there", func(t *testing.T) {
		t.Parallel()
		s := NewSession(Config{Network: "unix", Address: filepath.Join(t.TempDir(), "none")})
		if _, err := s.Connect(t.Context(), client, nil); err == nil {
			t.Error("connected to nobody")
		}
		if _, err := s.Mail(t.Context(), []string{"<>"}, nil); err == nil {
			t.Error("connected to nobody")
		}
		if _, err := s.Rcpt(t.Context(), []string{"<a@b>"}, nil); err == nil {
			t.Error("a verdict from nobody")
		}
	})
	t.Run("FLT-018 hangs", func(t *testing.T) {
		t.Parallel()
		_, cfg := start(t, on(cmdMail))
		cfg.CommandTimeout = 50 * time.Millisecond
		s := NewSession(cfg)
		if step, v, err := dialogue(t.Context(), s, letter("x"), nil); err == nil || step != "mail" {
			t.Error(step, v, err)
		}
	})
	t.Run("FLT-018 dies", func(t *testing.T) {
		t.Parallel()
		_, cfg := start(t, func(cmd byte, _ string) []byte {
			if cmd == cmdEOM {
				return []byte{0, 0, 0, 9, repAddHeader, 'x'} // and no more
			}
			return nil
		})
		cfg.ContentTimeout = 50 * time.Millisecond
		if step, v, err := dialogue(t.Context(), NewSession(cfg), letter("x"), nil); err == nil || step != "message" {
			t.Error(step, v, err)
		}
	})
	t.Run("SMTP-041 always at work", func(t *testing.T) {
		t.Parallel()
		var said atomic.Int64
		_, cfg := start(t, nil)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			c.Write(pack(cmdOptNeg, index(6)+index(0)+index(noConnect)))
			for {
				if _, err := c.Write(pack(repProgress, "")); err != nil {
					return
				}
				said.Add(1)
			}
		}()
		cfg.Address = l.Addr().String()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, v, err := dialogue(ctx, NewSession(cfg), letter("x"), nil); err == nil {
			t.Errorf("%+v after %d", v, said.Load())
		}
	})
}

// A milter that comes back is told anew what it missed.
func TestComesBack(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	s := NewSession(Config{Network: "unix", Address: socket})
	defer s.Close()
	if _, err := s.Connect(t.Context(), client, nil); err == nil {
		t.Fatal("connected to nobody")
	}
	if _, err := s.Helo(t.Context(), "me.example", nil); err == nil {
		t.Fatal("a verdict from nobody")
	}
	s.Reset()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &double{Listener: l, version: 6, actions: allActions}
	go func() {
		if c, err := l.Accept(); err == nil {
			d.serve(c)
		}
	}()
	if v, err := s.Mail(t.Context(), []string{"<>"}, nil); err != nil || v.Kind != Continue {
		t.Fatal(v, err)
	}
	if got, want := d.told(false), "Cclient.example|4\x10\xe1192.0.2.1|\nHme.example|\nM<>|\n"; got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// One that hung up between two messages is called again, and the message goes on.
func TestHangsUpBetweenMessages(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &double{Listener: l, version: 6, actions: allActions}
	conns := make(chan net.Conn, 2)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
			go d.serve(c)
		}
	}()
	s := NewSession(Config{Network: "tcp", Address: l.Addr().String()})
	defer s.Close()
	if step, v, err := dialogue(t.Context(), s, letter("x"), nil); err != nil || step != "" {
		t.Fatal(step, v, err)
	}
	s.Reset()
	(<-conns).Close()
	for _, ask := range []func() (Verdict, error){
		func() (Verdict, error) { return s.Mail(t.Context(), []string{"<>"}, nil) },
		func() (Verdict, error) { return s.Rcpt(t.Context(), []string{"<a@b>"}, nil) },
		func() (Verdict, error) { return s.Message(t.Context(), letter("y"), nil) },
	} {
		if v, err := ask(); err != nil || v.Kind != Continue {
			t.Fatal(v, err)
		}
	}
	if got := d.told(false); strings.Count(got, "Cclient.example") != 2 || strings.Count(got, "Hme.example") != 2 || !strings.HasSuffix(got, "By\nE\n") {
		t.Errorf("heard %q", got)
	}
}

// A connection can serve one dialogue after another (SMFIC_QUIT_NC).
func TestNext(t *testing.T) {
	t.Parallel()
	d, cfg := start(t, nil)
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Connect(t.Context(), client, nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.Close(t.Context())
	wait(t, func() bool { return strings.HasSuffix(d.told(false), "Q\n") })
	if got := d.told(false); strings.Count(got, "C") != 2 || strings.Count(got, "K\n") != 2 || d.served() != 1 {
		t.Errorf("%q", got)
	}
}

// Whatever a milter says, a dialogue ends, with a verdict that can be answered or an
// error.
func FuzzReplies(f *testing.F) {
	greeting := pack(cmdOptNeg, index(6)+index(allActions)+index(0))
	f.Add(join(greeting, bytes.Repeat(pack(repContinue, ""), 20)))
	f.Add(join(greeting, pack(repReject, "")))
	f.Add(join(pack(cmdOptNeg, index(6)+index(allActions)+index(allSteps)), pack(repAddHeader, "A\x00b\x00"), pack(repReplBody, "x"), pack(repAccept, "")))
	f.Add(join(greeting, bytes.Repeat(pack(repContinue, ""), 4), pack(repReplyCode, "550 5.7.1 x\x00")))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 'b'})
	f.Fuzz(func(t *testing.T, said []byte) {
		near, far := net.Pipe()
		defer near.Close()
		go io.Copy(io.Discard, far)
		go func() {
			far.Write(said)
			far.Close()
		}()
		c := newConn(near, Config{}.withDefaults())
		if c.within(t.Context(), time.Minute, c.negotiate) != nil {
			return
		}
		s := &Session{cfg: c.cfg, conn: c, client: client}
		v, err := s.before(c.Connect(t.Context(), client, nil))
		if err == nil && v.Kind == Continue {
			_, v, err = rest(t.Context(), s)
		}
		if err == nil && (v.Kind == Refuse) != (v.Reply != nil) || v.Reply != nil && (v.Reply.Code < 400 || v.Reply.Code > 599) || v.Kind > Discard {
			t.Fatalf("%+v, %v", v, err)
		}
	})
}

// rest is a dialogue after CONNECT, on a session whose milter can't be reached anew.
func rest(ctx context.Context, s *Session) (string, Verdict, error) {
	if v, err := s.Mail(ctx, []string{"<>"}, nil); err != nil || v.Kind != Continue {
		return "mail", v, err
	}
	v, err := s.Message(ctx, letter("x"), nil)
	return "message", v, err
}

// Twice the fields may not take four times as long.
func TestDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	doubling.Check(t, "fields", 10_000, func(n int) func() {
		h := message.Header(strings.Repeat("A:\r\n b\r\n", n))
		return func() {
			near, far := net.Pipe()
			defer near.Close()
			go io.Copy(io.Discard, far)
			c := newConn(near, Config{}.withDefaults())
			c.opts.steps = nrHeader
			if _, err := c.header(context.Background(), h); err != nil {
				t.Fatal(err)
			}
		}
	})
}
