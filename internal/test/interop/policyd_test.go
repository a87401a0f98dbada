package interop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"
)

// asker is a Postfix that asks our brake, and the letters that it is given.
type asker struct {
	t *testing.T
	*Postfix
	sent int
}

// send gives a letter to a server of Postfix and tells its refusal, "" if it is taken. xclient
// is in whose name, such as "ADDR=192.0.2.7 LOGIN=alice@example.org"; "" is from here.
func (p *asker) send(addr, xclient, from string, recipients int) string {
	p.t.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	if err = c.Hello("client.test"); err == nil && xclient != "" {
		if err = c.Text.PrintfLine("XCLIENT %s", xclient); err == nil {
			if _, _, err = c.Text.ReadResponse(220); err == nil {
				if err = c.Text.PrintfLine("EHLO client.test"); err == nil {
					_, _, err = c.Text.ReadResponse(250)
				}
			}
		}
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if err := c.Mail(from); err != nil {
		return refusal(err)
	}
	for range recipients {
		p.sent++
		if err := c.Rcpt(fmt.Sprintf("u%d@remote.test", p.sent)); err != nil {
			return refusal(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return refusal(err)
	}
	fmt.Fprintf(w, "From: %s\nSubject: number %d\n\nHello\n", from, p.sent)
	if err := w.Close(); err != nil {
		return refusal(err)
	}
	return ""
}

// refusal is a reply as it was sent.
func refusal(err error) string {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return fmt.Sprint(reply.Code, " ", reply.Msg)
	}
	return err.Error()
}

func (p *asker) takes(what, addr, xclient, from string) {
	p.t.Helper()
	if refusal := p.send(addr, xclient, from, 1); refusal != "" {
		p.t.Errorf("%s: %s", what, refusal)
	}
}

// holds counts the letters that Postfix holds.
func (p *asker) holds() (n int) {
	files, err := os.ReadDir(p.path("spool/hold"))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(files)
}

// The row of policyd (cluebringer), ABU-016: a real Postfix asks the brake who may send. It
// passes on, holds and puts off as the limits say; a restart of facteur keeps the counts, a crash
// the brake, and who talks nonsense to the port hurts nobody.
func TestPostfixAsksTheBrake(t *testing.T) {
	t.Parallel()
	NeedRoot(t)
	const stranger, login = "ADDR=192.0.2.7 NAME=client.test", "ADDR=192.0.2.7 NAME=client.test LOGIN="
	var rules strings.Builder
	for _, verdict := range []string{"defer", "hold", "brake"} {
		fmt.Fprintf(&rules, "[[quota_rule]]\nname = %q\nmatch = [\"%[1]s@example.org\", \"%[1]s2@example.org\"]\nperiod = \"1h\"\nlimit = 2\ndata = \"slowly\"\nverdict = %[1]q\n", verdict)
	}
	f := NewFacteur(t, Setup{Accounts: []string{"brake@example.org"}, Services: []string{"smtp", "policy"}, Config: rules.String()})
	f.Start()
	ask, atTheEnd := "check_policy_service inet:"+f.Addr("policy"), Loopback(FreePort(t))
	p := &asker{t: t, Postfix: NewPostfix(t, PostfixSetup{
		Main: map[string]string{
			"smtpd_relay_restrictions": "permit_mynetworks, reject", "smtpd_recipient_restrictions": ask, "mynetworks": "127.0.0.0/8, 192.0.2.0/24",
			"smtpd_end_of_data_restrictions": ask, // and nobody counts twice
			"smtpd_authorized_xclient_hosts": "127.0.0.0/8", "defer_transports": "smtp",
			"smtpd_policy_service_retry_delay": "1s",
		},
		Master: atTheEnd + " inet n - n - - smtpd -o smtpd_recipient_restrictions=\n",
	})}
	p.Start()
	within := func(verdict string) {
		t.Helper()
		p.takes(verdict+", the sender", p.Addr(), "", verdict+"@example.org")
		p.takes(verdict+", a log-in", p.Addr(), login+verdict+"2@example.org", "x@example.org")
	}
	beyond := func(verdict, want string) {
		t.Helper()
		for from, xclient := range map[string]string{verdict + "@example.org": "", "x@example.org": login + verdict + "2@example.org"} {
			if refusal := p.send(p.Addr(), xclient, from, 1); !strings.HasSuffix(refusal, want) || (refusal == "") != (want == "") {
				t.Errorf("%s, beyond, %q: %q, want %q", verdict, xclient, refusal, want)
			}
		}
	}
	for _, verdict := range []string{"defer", "hold", "brake", "defer", "hold", "brake"} {
		within(verdict)
	}
	for range 3 {
		p.takes("a stranger with a sender of ours", p.Addr(), stranger, "defer@example.org")
	}
	if n := p.holds(); n != 0 {
		t.Errorf("%d letters are held within the limits", n)
	}

	defer talkNonsense(t, f.Addr("policy")).Close()
	f.Stop()
	if refusal := p.send(p.Addr(), "", "defer@example.org", 1); !strings.HasPrefix(refusal, "451 4.3.5 ") {
		t.Errorf("while facteur is down: %q", refusal)
	}
	f.Start()
	beyond("defer", ": Recipient address rejected: slowly")
	beyond("hold", "")
	beyond("brake", "")
	f.Kill()
	f.Start()
	beyond("brake", "")
	if n := p.holds(); n != 6 {
		t.Errorf("%d letters are held, want 6", n)
	}
	if list := f.Command("", "brake", "list"); !strings.Contains(list, "brake@example.org") || !strings.Contains(list, "brake2@example.org") || strings.Contains(list, "hold@example.org") {
		t.Errorf("braked are:\n%s", list)
	}
	if refusal := p.send(atTheEnd, "", "new@example.org", 3); refusal != "" {
		t.Errorf("at the end of data, no limit: %s", refusal)
	}
	if refusal := p.send(atTheEnd, "", "defer@example.org", 1); !strings.HasPrefix(refusal, "450 4.7.1 <END-OF-MESSAGE>: ") || !strings.HasSuffix(refusal, "slowly") {
		t.Errorf("at the end of data: %q", refusal)
	}
	story := ""
	WaitUntil(t, "the story of an account", func() bool {
		story = f.Command("", "explain", "brake2@example.org")
		return strings.Contains(story, "as the account brake2@example.org is braked")
	})
	if strings.Contains(story, " brake@example.org") {
		t.Errorf("the story of an account tells of another:\n%s", story)
	}
	Run(t, "", Need(t, "postsuper"), "-c", p.Config(), "-H", "ALL")
	if n := p.holds(); n != 0 {
		t.Errorf("%d letters are still held after postsuper -H", n)
	}
}

// talkNonsense says to a policy server what it has to hang up on, and leaves half a question.
func talkNonsense(t *testing.T, addr string) io.Closer {
	t.Helper()
	dial := func(text string) net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(StartWait))
		io.WriteString(c, text)
		return c
	}
	for _, text := range []string{"EHLO client.test\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\n", "=\n", strings.Repeat("x", 1<<16), strings.Repeat("a=b\n", 1<<14)} {
		c := dial(text)
		if got, err := io.ReadAll(c); len(got) > 0 || os.IsTimeout(err) {
			t.Errorf("%.20q is answered %q, %v", text, got, err)
		}
		c.Close()
	}
	for _, text := range []string{"\n", "request=junk\n\n", "request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=<<>\x00\nclient_address=x\n\n"} {
		c := dial(text)
		answer := make([]byte, 100)
		if n, err := c.Read(answer); string(answer[:n]) != "action=DUNNO\n\n" {
			t.Errorf("%q is answered %q, %v", text, answer[:n], err)
		}
		c.Close()
	}
	return dial("request=smtpd_access_policy\nsender=de")
}
