package interop

import (
	"path/filepath"
	"strings"
	"testing"
)

// What a sending peer hands over has to arrive byte for byte behind the headers
// that servers put in front.

// services of a server that peers send to.
var sendingServices = []string{"smtp", "submission", "imap"}

// arrives waits for the letter and compares everything from its From line on.
func arrives(t *testing.T, post Post, letter, id string) {
	t.Helper()
	got := string(WaitLetter(t, post.Addr("imap"), alice, "id "+id))
	if _, body, _ := cutBefore(got, "From: Bob"); body != letter {
		t.Errorf("read:\n%q\nsent:\n%q", body, letter)
	}
}

// unix is a letter as local programs hand it over.
func unix(letter string) string { return strings.ReplaceAll(letter, "\r\n", "\n") }

// Exim uses PIPELINING, CHUNKING (BDAT), SIZE, 8BITMIME and DSN as far as they
// are offered; over submission with STARTTLS and AUTH.
func TestLetterFromExim(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}, Services: sendingServices}, func(t *testing.T, post Post) {
		plain := NewExim(t, NextHop{Addr: post.Addr("smtp")})
		plain.Send("bob@example.net", []string{alice}, unix(difficult("exim-plain")))
		arrives(t, post, difficult("exim-plain"), "exim-plain")
		if offers(t, post, "CHUNKING") && !strings.Contains(plain.Log(), " K ") {
			t.Errorf("CHUNKING is offered, and Exim sent no BDAT:\n%s", plain.Log())
		}
		login := NewExim(t, NextHop{Addr: post.Addr("submission"), TLS: true, User: alice, Password: Password})
		login.Send(alice, []string{alice}, unix(difficult("exim-login")))
		arrives(t, post, difficult("exim-login"), "exim-login")
		for _, sign := range []string{"X=TLS1.3", "A=plain"} {
			if !strings.Contains(login.Log(), sign) {
				t.Errorf("no %s in Exim's log:\n%s", sign, login.Log())
			}
		}
	})
}

// offers tells whether an extension stands in the answer to EHLO.
func offers(t *testing.T, post Post, keyword string) bool {
	t.Helper()
	out := Run(t, "", Need(t, "python3"), "-c", `
import smtplib, sys
host, port = sys.argv[1].split(":")
with smtplib.SMTP(host, int(port), timeout=120) as s:
    s.ehlo("client.test"); print("yes" if s.has_extn(sys.argv[2]) else "no")
`, post.Addr("smtp"), keyword)
	return strings.TrimSpace(out) == "yes"
}

// OpenSMTPD sends each command by itself.
func TestLetterFromOpenSMTPD(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}, Services: sendingServices}, func(t *testing.T, post Post) {
		plain := NewOpenSMTPD(t, NextHop{Addr: post.Addr("smtp")})
		plain.Start()
		feed(t, plain.Addr(), "bob@example.net", alice, difficult("opensmtpd-plain"))
		arrives(t, post, difficult("opensmtpd-plain"), "opensmtpd-plain")
		login := NewOpenSMTPD(t, NextHop{Addr: post.Addr("submission"), TLS: true, User: alice, Password: Password})
		login.Start()
		feed(t, login.Addr(), alice, alice, difficult("opensmtpd-login"))
		arrives(t, post, difficult("opensmtpd-login"), "opensmtpd-login")
	})
}

// feed hands a letter over SMTP with curl, as it is.
func feed(t *testing.T, addr, from, to, letter string) {
	t.Helper()
	Run(t, letter, Need(t, "curl"), "-sS", "--max-time", "120", "smtp://"+addr+"/client.test", "--mail-from", from, "--mail-rcpt", to, "--upload-file", "-")
}

// Exim and OpenSMTPD are the next hop of mail that alice submits.
func TestReplyReachesExim(t *testing.T) {
	t.Parallel()
	peer := NewExim(t, NextHop{})
	peer.Start()
	reaches(t, peer.Addr(), "dave@"+eximDomain, peer.Maildir())
}

func TestReplyReachesOpenSMTPD(t *testing.T) {
	t.Parallel()
	peer := NewOpenSMTPD(t, NextHop{})
	peer.Start()
	reaches(t, peer.Addr(), "dave@"+opensmtpdDomain, peer.Maildir())
}

func reaches(t *testing.T, hop, to, maildir string) {
	t.Helper()
	eachPost(t, Setup{Accounts: []string{alice}, Services: sendingServices, Smarthost: hop}, func(t *testing.T, post Post) {
		id := "reply-" + filepath.Base(t.Name())
		letter := difficult(id)
		if out := submit(t, post, to, letter); !strings.Contains(out, "accepted") {
			t.Fatalf("submission: %s", out)
		}
		stored := waitFile(t, maildir, "id "+id)
		if _, body, _ := cutBefore(stored, "From: Bob"); body != unix(letter) {
			t.Errorf("arrived:\n%q\nsent:\n%q", body, unix(letter))
		}
	})
}

// msmtp pipes its standard input out; it logs in over STARTTLS.
func TestLetterFromMsmtp(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}, Services: sendingServices}, func(t *testing.T, post Post) {
		msmtp := Need(t, "msmtp")
		host, port, _ := strings.Cut(post.Addr("submission"), ":")
		letter := difficult("msmtp")
		Run(t, unix(letter), msmtp, "--file=/dev/null", "--host="+host, "--port="+port, "--tls=on", "--tls-starttls=on", "--tls-certcheck=off",
			"--auth=plain", "--user="+alice, "--passwordeval=echo "+Password, "--from="+alice, "--timeout=120", alice)
		arrives(t, post, letter, "msmtp")
	})
}

// A client that uses each extension to the letter: everything of one message in one
// segment (PIPELINING, CHUNKING), a sender in UTF-8, the parameters of DSN.
func TestPythonExtensions(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}, Services: sendingServices}, func(t *testing.T, post Post) {
		letter := difficult("python-bdat")
		out := Run(t, letter, Need(t, "python3"), "-c", pythonExtensions, post.Addr("smtp"), alice)
		if !strings.HasSuffix(out, "content\n") {
			t.Fatalf("python:\n%s", out)
		}
		arrives(t, post, letter, "python-bdat")
		got := string(WaitLetter(t, post.Addr("imap"), alice, "id python-utf8"))
		if !strings.Contains(got, "Return-Path: <jürgen@exämple.net>") && !strings.Contains(got, "Return-Path: <jürgen@xn--exmple-cua.net>") {
			t.Errorf("the sender is not as it was:\n%.300s", got)
		}
		if strings.Count(got, "id python-utf8") != 1 {
			t.Errorf("read:\n%s", got)
		}
	})
}

const pythonExtensions = `
import smtplib, sys
address, user = sys.argv[1:]
host, port = address.split(":")
letter = sys.stdin.buffer.read()
with smtplib.SMTP(host, int(port), timeout=120) as s:
    s.ehlo("client.test")
    for extension in "pipelining", "chunking", "8bitmime", "smtputf8", "size", "enhancedstatuscodes", "dsn":
        assert s.has_extn(extension), extension
    half = len(letter) // 2
    s.send(b"MAIL FROM:<bob@example.net> BODY=8BITMIME RET=HDRS ENVID=Q1+2B2 SIZE=%d\r\n" % len(letter)
        + b"RCPT TO:<%s> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b+2Bc@example.org\r\n" % user.encode()
        + b"BDAT %d\r\n" % half + letter[:half] + b"BDAT %d\r\n" % (len(letter) - half) + letter[half:] + b"BDAT 0 LAST\r\n")
    for n in range(5):
        code, text = s.getreply()
        assert code == 250, (n, code, text)
    # What is left over from one message is not there in the next.
    assert s.docmd("RCPT", "TO:<%s>" % user)[0] == 503
    assert s.docmd("BDAT", "0 LAST")[0] == 503
    utf8 = "From: Bob <jürgen@exämple.net>\r\nSubject: ünïcödé\r\n\r\nid python-utf8\r\n".encode()
    refused = s.sendmail("jürgen@exämple.net", [user], utf8, ["SMTPUTF8", "BODY=8BITMIME"], ["NOTIFY=NEVER"])
    assert not refused, refused
print("content")
`
