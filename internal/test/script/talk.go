package script

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"facteur/internal/test/interop"
)

// talk plays a dialogue.
func talk(ts *testscript.TestScript, args []string) {
	conn := dial(ts, args[0])
	defer conn.Close()
	r := bufio.NewReader(conn)
	skip := false
	for i, line := range strings.Split(ts.ReadFile(args[1]), "\n") {
		line = strings.TrimRight(line, "\r")
		sent, isClient := strings.CutPrefix(line, "C:")
		want, isServer := strings.CutPrefix(line, "S: ")
		switch {
		case isClient:
			_, err := fmt.Fprintf(conn, "%s\r\n", strings.TrimPrefix(sent, " "))
			ts.Check(err)
		case isServer && want == "...":
			skip = true
		case isServer:
			if err := hear(r, want, skip); err != nil {
				ts.Fatalf("%s:%d: want %q: %v", args[1], i+1, want, err)
			}
			skip = false
		case line != "":
			ts.Fatalf("%s:%d: neither C: nor S: in %q", args[1], i+1, line)
		}
	}
}

// hear reads the line that is wanted: the next one, or with skip any later one.
func hear(r *bufio.Reader, want string, skip bool) error {
	pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, ".*"))
	if strings.HasPrefix(want, "* ") { // IMAP's own star
		pattern = regexp.MustCompile(`^\* ` + strings.ReplaceAll(regexp.QuoteMeta(want[2:]), `\*`, ".*"))
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimRight(line, "\r\n")
		if pattern.MatchString(line) {
			return nil
		}
		if !skip {
			return fmt.Errorf("got %q", line)
		}
	}
}

// submit sends a letter as a user's mail program does.
func submit(ts *testscript.TestScript, args []string) {
	user, to, letter := args[0], args[1], ts.ReadFile(args[2])
	c, err := smtp.NewClient(dial(ts, ts.Getenv("SUBMISSION")), "localhost")
	ts.Check(err)
	defer c.Close()
	ts.Check(c.StartTLS(&tls.Config{InsecureSkipVerify: true})) // self-signed, on loopback
	ts.Check(c.Auth(smtp.PlainAuth("", user, interop.Password, "localhost")))
	ts.Check(c.Mail(user))
	ts.Check(c.Rcpt(to))
	w, err := c.Data()
	ts.Check(err)
	_, err = fmt.Fprint(w, strings.ReplaceAll(letter, "\n", "\r\n"))
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(c.Quit())
}

// bring hands over a letter as another server does, and looks at what becomes of it.
func bring(ts *testscript.TestScript, args []string) {
	stranger(ts, "", args)
}

// visit is bring by a client from anywhere, as XCLIENT tells it.
func visit(ts *testscript.TestScript, args []string) { stranger(ts, args[0], args[1:]) }

func stranger(ts *testscript.TestScript, client string, args []string) {
	from, to, letter, want := args[0], args[1], ts.ReadFile(args[2]), compile(ts, args[3])
	c, err := smtp.NewClient(dial(ts, ts.Getenv("SMTP")), "localhost")
	ts.Check(err)
	defer c.Close()
	helo := "mx.stranger.example"
	if client != "" {
		_, helo, _ = strings.Cut(client, "HELO=")
		ts.Check(c.Text.PrintfLine("XCLIENT %s", client))
		_, _, err := c.Text.ReadResponse(220)
		ts.Check(err)
	}
	ts.Check(c.Hello(helo))
	answer := handOver(c, from, to, letter)
	if !want.MatchString(answer) {
		ts.Fatalf("the answer is %q", answer)
	}
}

// handOver gives what was answered last.
func handOver(c *smtp.Client, from, to, letter string) string {
	err := errors.Join(c.Mail(from), c.Rcpt(to))
	if err == nil {
		err = data(c, letter)
	}
	if refused, ok := errors.AsType[*textproto.Error](err); ok {
		return fmt.Sprint(refused.Code, " ", strings.ReplaceAll(refused.Msg, "\n", " "))
	}
	if err != nil {
		return err.Error()
	}
	return "250"
}

func data(c *smtp.Client, letter string) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(w, strings.ReplaceAll(letter, "\n", "\r\n"))
	return errors.Join(err, w.Close())
}
