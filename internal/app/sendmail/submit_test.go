package sendmail

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// play is a server that says what the real one says only in trouble: for each
// command that begins with a key, its answer. "" hangs up.
func play(t *testing.T, answers map[string]string) (socket string, heard func() string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var all strings.Builder
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		banner, said := answers["banner"]
		if !said {
			banner = "220 mail.example.org"
		}
		if banner == "" {
			return
		}
		fmt.Fprint(c, banner+"\r\n")
		data := false
		in := bufio.NewScanner(c)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			line := in.Text()
			all.WriteString(line + "\n")
			verb, _, _ := strings.Cut(line, ":")
			switch {
			case strings.HasPrefix(line, "BDAT"):
				in.Scan()
				all.WriteString(in.Text() + "\n")
				in.Scan()
				all.WriteString(in.Text() + "\n")
			case data && line != ".":
				continue
			case data:
				verb, data = "end", false
			case strings.HasPrefix(line, "EHLO"):
				verb = "EHLO"
			}
			text, said := answers[line]
			if !said {
				text, said = answers[verb]
			}
			if !said {
				text = usual[verb]
			}
			switch {
			case said && text == "":
				return
			case text == "":
				text = "250 2.0.0 Ok"
			}
			fmt.Fprint(c, text+"\r\n")
			data = verb == "DATA" && strings.HasPrefix(text, "354")
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return socket, func() string { l.Close(); <-done; return all.String() }
}

var usual = map[string]string{
	"EHLO": "250-mail.example.org\r\n250-PIPELINING\r\n250-DSN\r\n250 SIZE 100000", "DATA": "354 go on"}

const text = "To: a@example.org\nCc: b@example.org\n\nhello\n"

func submit(t *testing.T, socket string, o Options) error {
	t.Helper()
	return Run(t.Context(), o, Caller{Socket: socket, Login: "alice", Name: "Alice", In: strings.NewReader(text)})
}

// What goes wrong, and with which code and words the command ends.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers map[string]string
		status  Status
		want    string
	}{
		"banner":             {map[string]string{"banner": "421 4.3.2 too many connections"}, TempFail, "takes no mail now: 421"},
		"no banner":          {map[string]string{"banner": ""}, TempFail, "was not accepted"},
		"sender later":       {map[string]string{"MAIL FROM": "450 4.7.1 too much mail"}, TempFail, "the sender <alice> was refused: 450 4.7.1"},
		"sender not allowed": {map[string]string{"MAIL FROM": "553 5.7.1 not yours"}, NoPerm, "was refused: 553 5.7.1"},
		"too large":          {map[string]string{"MAIL FROM": "552 5.3.4 too large"}, DataErr, "552 5.3.4"},
		"nobody":             {map[string]string{"RCPT TO": "550 5.1.1 unknown"}, NoUser, "<a@example.org>: 550 5.1.1 unknown; <b@example.org>: 550 5.1.1 unknown; the message was sent to nobody"},
		"one is nobody":      {map[string]string{"RCPT TO:<b@example.org>": "550 5.1.1 unknown"}, NoUser, "<b@example.org>: 550 5.1.1 unknown; the message was sent to nobody"},
		"recipient later":    {map[string]string{"RCPT TO": "451 4.3.0 later"}, TempFail, "451 4.3.0"},
		"one of each":        {map[string]string{"RCPT TO:<a@example.org>": "451 4.3.0 later", "RCPT TO:<b@example.org>": "554 5.0.0 never"}, Unavailable, "554 5.0.0"},
		"data later":         {map[string]string{"DATA": "452 4.3.1 full"}, TempFail, "was refused: 452"},
		"end: spam":          {map[string]string{"end": "550 5.7.1 spam"}, NoPerm, "was refused: 550 5.7.1"},
		"end: never":         {map[string]string{"end": "554 5.0.0 no"}, Unavailable, "was refused: 554"},
		"end: later":         {map[string]string{"end": "451 4.3.0 disk"}, TempFail, "was refused: 451"},
		"lost before":        {map[string]string{"RCPT TO": ""}, TempFail, "broke off the conversation"},
		"lost after":         {map[string]string{"end": ""}, TempFail, "whether it has the message is not certain"},
		"nonsense":           {map[string]string{"MAIL FROM": "hello"}, TempFail, "broke off the conversation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket, heard := play(t, c.answers)
			err := submit(t, socket, Options{FromHeader: true})
			if StatusOf(err) != c.status || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("%d: %v", StatusOf(err), err)
			}
			if said := heard(); strings.Contains(said, "\n.\n") != strings.HasPrefix(name, "end") && name != "lost after" {
				t.Errorf("the letter was handed over, or not:\n%s", said)
			}
		})
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{
		"MAIL FROM:<alice> SIZE=65 RET=HDRS ENVID=id+2B1\nRCPT TO:<root@mail.example.org> NOTIFY=NEVER\nRCPT TO:<bob> NOTIFY=NEVER\nRCPT TO:<a@example.org> NOTIFY=NEVER\nRCPT TO:<b@example.org> NOTIFY=NEVER\n": {FromHeader: true, Recipients: []string{"root", "bob", "<a@example.org>"}, Notify: 8, Ret: 2, EnvelopeID: "id+1"},
		"MAIL FROM:<> SIZE=82\nRCPT TO:<c@example.org>\n":              {Sender: "<>", SenderGiven: true, Recipients: []string{"c@EXAMPLE.org", "c@example.org"}},
		"MAIL FROM:<x@example.net> SIZE=65\nRCPT TO:<c@example.org>\n": {Sender: "x@example.net", SenderGiven: true, FullName: "\n", Recipients: []string{"c@example.org"}},
	} {
		socket, heard := play(t, nil)
		if err := submit(t, socket, o); err != nil {
			t.Error(err)
		}
		_, said, _ := strings.Cut(heard(), "EHLO localhost\n")
		if said, _, _ = strings.Cut(said, "DATA\n"); said != want {
			t.Errorf("got\n%swant\n%s", said, want)
		}
	}
}

// LOC-012: nothing that is no address reaches the wire.
func TestHostileAddresses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"a@b\r\nRCPT TO:<c@d>", "a@b\x00", "a@b\n", "a b@c", "a@b> SIZE=1", "", "@", "-", "a@" + strings.Repeat("b", 300)} {
		for name, o := range map[string]Options{
			"recipient": {Recipients: []string{bad}},
			"sender":    {Recipients: []string{"a@example.org"}, Sender: bad, SenderGiven: true},
		} {
			if name == "sender" && (bad == "" || bad == "-" || bad == "a@b\n") || bad == "-" || bad == "a@b\n" {
				continue // the null sender, a local part, white space at the end
			}
			socket, heard := play(t, nil)
			err := submit(t, socket, o)
			if s := StatusOf(err); s != Usage && s != DataErr {
				t.Errorf("%s %q: %v", name, bad, err)
			}
			if said := heard(); strings.Contains(said, "MAIL") {
				t.Errorf("%s %q reached the server:\n%s", name, bad, said)
			}
		}
	}
}

// More recipients than one transaction takes go in parts, when all are accepted.
func TestParts(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 250 {
		many = append(many, fmt.Sprintf("r%d@example.org", i))
	}
	socket, heard := play(t, nil)
	if err := submit(t, socket, Options{Recipients: many}); err != nil {
		t.Fatal(err)
	}
	said := heard()
	for word, want := range map[string]int{"MAIL FROM": 6, "RCPT TO": 500, "RSET": 3, "DATA": 3, "hello": 3} {
		if got := strings.Count(said, word); got != want {
			t.Errorf("%d times %s, want %d", got, word, want)
		}
	}
	socket, heard = play(t, map[string]string{"RCPT TO:<r249@example.org>": "550 5.1.1 unknown"})
	if err := submit(t, socket, Options{Recipients: many}); StatusOf(err) != NoUser {
		t.Error(err)
	}
	if said := heard(); strings.Contains(said, "DATA") {
		t.Error("one was refused, and others got the letter")
	}
}

// A dialogue from a file is spoken step by step, with the lines of files, and the
// bytes of BDAT as they are.
func TestRelayFromAFile(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"EHLO x\nMAIL FROM:<a@b>\nDATA\nhello\n..\n.\nQUIT\n":    "EHLO x|MAIL FROM:<a@b>|DATA|hello|..|.|QUIT|",
		"EHLO x\r\nDATA\r\nhello\r\n.\r\nNOOP":                   "EHLO x|DATA|hello|.|NOOP|",
		"DATA\n" + strings.Repeat("x", 100_000) + ".\n.\nQUIT\n": "DATA|" + strings.Repeat("x", 100_000) + ".|.|QUIT|",
		"BDAT 6 LAST\r\na\r\n.\r\nQUIT\r\n":                      "BDAT 6 LAST|a|.|QUIT|",
		"DATA\ncut off":                                          "DATA|",
		"QUIT\nNOOP\n":                                           "QUIT|",
		"":                                                       "",
	} {
		socket, heard := play(t, nil)
		err := Relay(t.Context(), socket, strings.NewReader(in), io.Discard)
		if said := strings.ReplaceAll(heard(), "\n", "|"); err != nil || said != want {
			t.Errorf("%.60q: %v, said %.60q", in, err, said)
		}
	}
}

// -bs is the server's own dialogue, and a server that is down says so in it.
func TestRelay(t *testing.T) {
	t.Parallel()
	socket, _ := play(t, nil)
	var out bytes.Buffer
	if err := Relay(t.Context(), socket, strings.NewReader("NOOP\r\n"), &out); err != nil || out.String() != "220 mail.example.org\r\n250 2.0.0 Ok\r\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	err := Relay(t.Context(), filepath.Join(t.TempDir(), "absent"), strings.NewReader("QUIT\r\n"), &out)
	if StatusOf(err) != TempFail || !strings.HasPrefix(out.String(), "421 4.3.2 the mail system is down") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
