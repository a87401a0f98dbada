package message

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAgainstDovecot compares ENVELOPE and BODYSTRUCTURE with what Debian's
// Dovecot says of the same letters. It needs no server: the imap process is run
// on a Maildir with a dialogue on its standard input.
func TestAgainstDovecot(t *testing.T) {
	const program = "/usr/lib/dovecot/imap"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("FACTEUR_TEST_REQUIRE") == "1" {
			t.Fatal("dovecot is missing")
		}
		t.Skip("dovecot is not installed")
	}
	letters := dovecotLetters(t)
	answers := askDovecot(t, program, letters)
	if len(answers) != len(letters) {
		t.Fatalf("%d answers to %d letters", len(answers), len(letters))
	}
	for i, l := range letters {
		t.Run(l.name, func(t *testing.T) {
			root := mustParse(t, l.text)
			got := dovecotAnswer{imapEnvelope(root.Envelope), imapStructure(root)}
			reason := differsFromDovecot[l.name]
			switch same := got == answers[i]; {
			case same && reason != "":
				t.Errorf("no longer differs: %s", reason)
			case !same && reason == "":
				t.Errorf("ours    %s\n%s\ndovecot %s\n%s", got.envelope, got.structure, answers[i].envelope, answers[i].structure)
			}
		})
	}
}

// differsFromDovecot lists the letters that we read differently, and why.
var differsFromDovecot = map[string]string{
	"feedback-report.txt": "To: <Undisclosed Recipients> has no address; Dovecot invents the domain SYNTAX_ERROR",
	"issue358.txt":        "From: an unquoted address as a name before the <address>: we take the one in brackets",
	"missing-subtype.txt": "no subtype: text/plain (RFC 2045 §5.2); Dovecot says empty type and subtype",
	"rfc2060.txt":         "a message that ends in its own last delimiter: the CRLF after it belongs to the outer delimiter (RFC 2046 §5.1.1); Dovecot counts it to the message",
	"folded":              "Subject: a fold and two spaces; we keep both (RFC 5322 §2.2.3), Dovecot makes them one",
	"words":               "From: root; Dovecot writes NIL and MISSING_DOMAIN where the header has nothing",
	"stack-overflow.txt":  "To: hostile; Dovecot stops at the first fault",
}

type dovecotLetter struct{ name, text string }

// dovecotLetters are the mimekit letters and some small ones.
func dovecotLetters(t *testing.T) []dovecotLetter {
	var letters []dovecotLetter
	files, _ := filepath.Glob("../../../../shared/suites/mimekit/*.*")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, dovecotLetter{name: filepath.Base(file), text: crlf(strings.ReplaceAll(string(text), "\r\n", "\n"))})
	}
	for name, text := range map[string]string{
		"offsets":        "From: a@b\nContent-Type: multipart/mixed; boundary=x\n\npreamble\n--x\nContent-Type: text/plain\n\none\ntwo\n--x \n\nno header\n--x\nContent-Type: text/html\n\n--x\nContent-Type: image/png\n\n\n--x--\nepilogue\n",
		"outer closes":   letterOf("o", "--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--o\n\ny\n--o--\n"),
		"headers cut":    letterOf("x", "--x\nContent-Type: text/html\n--x\nContent-Type: message/rfc822\n\nSubject: a\n--x\n\n--x--\n"),
		"digest":         "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: a\nFrom: b@c\n\nb\n--x\nContent-Type: text/plain\n\nc\n--x--\n",
		"no final line":  "Content-Type: text/plain; charset=utf-8\n\na\nb",
		"empty":          "Subject: x\n\n",
		"addresses":      "From: \"A \\\"B\\\" C\" <a@b>, d@e (F)\nTo: g: h@i, J K <l@m>;, undisclosed:;\nCc: =?utf-8?q?x?= <@r:y@z>\nSubject: =?utf-8?q?a?=\n b\nMessage-ID: <1@x>\nIn-Reply-To: <2@y> <3@z>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n\nx\n",
		"fields":         "Content-Type: application/pdf; name=\"a b.pdf\"\nContent-ID: <1@x>\nContent-Description: A file\nContent-Transfer-Encoding: base64\nContent-MD5: Q2hlY2s=\nContent-Disposition: attachment; filename=\"a b.pdf\"; size=12\nContent-Language: de, en\nContent-Location: http://x/y\n\nx\n",
		"rfc 2231":       "Content-Type: text/plain; charset=utf-8; name*0=\"a\"; name*1=\"b\"\nContent-Disposition: attachment; filename*0*=utf-8''%e2%82; filename*1*=%ac\n\nx\n",
		"same boundary":  letterOf("x", "--x\nContent-Type: multipart/alternative; boundary=x\n\n--x\n\n1\n--x--\n--x\n\n2\n--x--\n"),
		"prefix":         letterOf("ab", "--ab\nContent-Type: multipart/mixed; boundary=abc\n\n--abc\n\nx\n--abc--\n--ab--\n"),
		"other prefix":   letterOf("abc", "--abc\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\nx\n--ab--\n\n--abc--\n"),
		"two types":      "Content-Type: text/html\nContent-Type: text/plain\n\nx\n",
		"no boundary":    "Content-Type: multipart/mixed\n\n--\n\nx\n",
		"unterminated":   letterOf("x", "--x\n\na\n--x\n\nb\n"),
		"encoded":        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQp5DQo=\n",
		"two To":         "To: a@b\nTo: c@d\n\nx",
		"folded":         "To: a@b,\n\tc@d\nSubject: a\n b\n\tc\n  d\n\nx",
		"words":          "From: root\nTo: a b c@d\nCc: joe@x (a (b) c)\nBcc: \"a b\"@x\n\nx",
		"nested message": "Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n\nFrom: a@b\n\nbody\n--x--\n",
	} {
		letters = append(letters, dovecotLetter{name: name, text: crlf(strings.ReplaceAll(text, "\r\n", "\n"))})
	}
	return letters
}

type dovecotAnswer struct{ envelope, structure string }

// askDovecot stores the letters and fetches what Dovecot thinks of them.
func askDovecot(t *testing.T, program string, letters []dovecotLetter) []dovecotAnswer {
	home := t.TempDir()
	for _, dir := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(home, "Maildir", dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i, l := range letters {
		name := filepath.Join(home, "Maildir", "cur", fmt.Sprintf("%d.M%d.x:2,S", 1_700_000_000+i, i))
		if err := os.WriteFile(name, []byte(l.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(home, "dovecot.conf")
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // Dovecot refuses to read mail as root
		uid, gid = 65534, 65534
		giveAway(t, home, uid, gid)
	}
	text := fmt.Sprintf("mail_location = maildir:%s/Maildir\nlog_path = %s/log\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_uid = %d\nmail_gid = %d\n", home, home, uid, gid)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-c", conf)
	cmd.Env = append(os.Environ(), "HOME="+home, "USER=test")
	cmd.Stdin = strings.NewReader("a SELECT INBOX\r\nb FETCH 1:* (ENVELOPE)\r\nc FETCH 1:* (BODYSTRUCTURE)\r\nd LOGOUT\r\n")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dovecot: %v\n%s%s", err, out, stderr.String())
	}
	return readAnswers(quoteLiterals(string(out)))
}

// giveAway makes everything under dir another user's.
func giveAway(t *testing.T, dir string, uid, gid int) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { // the way there
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// quoteLiterals turns {n} literals into quoted strings.
func quoteLiterals(s string) string {
	literal := regexp.MustCompile(`\{(\d+)\}\r\n`)
	var b strings.Builder
	for {
		at := literal.FindStringSubmatchIndex(s)
		if at == nil {
			b.WriteString(s)
			return b.String()
		}
		n, _ := strconv.Atoi(s[at[2]:at[3]])
		b.WriteString(s[:at[0]] + imapString(s[at[1]:at[1]+n]))
		s = s[at[1]+n:]
	}
}

func readAnswers(out string) []dovecotAnswer {
	var envelopes, structures []string
	for line := range strings.SplitSeq(out, "\r\n") {
		if _, rest, ok := strings.Cut(line, "FETCH (ENVELOPE "); ok {
			envelopes = append(envelopes, strings.TrimSuffix(rest, ")"))
		}
		if _, rest, ok := strings.Cut(line, "FETCH (BODYSTRUCTURE "); ok {
			structures = append(structures, strings.ToLower(strings.TrimSuffix(rest, ")")))
		}
	}
	var answers []dovecotAnswer
	for i := range min(len(envelopes), len(structures)) {
		answers = append(answers, dovecotAnswer{envelopes[i], structures[i]})
	}
	return answers
}

func imapString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func imapNString(s string) string {
	if s == "" {
		return "NIL"
	}
	return imapString(s)
}

// imapStructure writes BODYSTRUCTURE as Dovecot does, in small letters.
func imapStructure(p *Part) string { return strings.ToLower(imapPart(p)) }

func imapPart(p *Part) string {
	tail := " " + imapDisposition(p) + " " + imapLanguages(p.Language) + " " + imapNString(p.Location) + ")"
	if p.Multipart() {
		children := ""
		for _, c := range p.Children {
			children += imapPart(c)
		}
		if children == "" {
			children = `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)`
		}
		return "(" + children + " " + imapString(p.Subtype) + " " + imapParams(p.Params) + tail
	}
	params := p.Params
	if p.Type == "text" && p.Param("charset") == "" {
		params = append(params[:len(params):len(params)], Param{"charset", "us-ascii"})
	}
	s := fmt.Sprintf("(%s %s %s %s %s %s %d", imapString(p.Type), imapString(p.Subtype), imapParams(params), imapNString(p.ID), imapNString(p.Description), imapString(p.Encoding), p.End-p.Body)
	switch {
	case p.Message():
		s += fmt.Sprintf(" %s %s %d", imapEnvelope(p.Children[0].Envelope), imapPart(p.Children[0]), p.Lines)
	case p.Type == "text":
		s += fmt.Sprintf(" %d", p.Lines)
	}
	return s + " " + imapNString(p.MD5) + tail
}

func imapParams(params []Param) string {
	var list []string
	for _, p := range params {
		list = append(list, imapString(p.Name)+" "+imapString(p.Value))
	}
	if list == nil {
		return "NIL"
	}
	return "(" + strings.Join(list, " ") + ")"
}

func imapDisposition(p *Part) string {
	if p.Disposition == "" {
		return "NIL"
	}
	return "(" + imapString(p.Disposition) + " " + imapParams(p.DispParams) + ")"
}

func imapLanguages(tags []string) string {
	var list []string
	for _, tag := range tags {
		list = append(list, imapString(tag))
	}
	if list == nil {
		return "NIL"
	}
	return "(" + strings.Join(list, " ") + ")"
}

func imapEnvelope(e *Envelope) string {
	sender, replyTo := e.Sender, e.ReplyTo
	if len(sender) == 0 {
		sender = e.From
	}
	if len(replyTo) == 0 {
		replyTo = e.From
	}
	return fmt.Sprintf("(%s %s %s %s %s %s %s %s %s %s)", imapNString(e.Date), imapNString(e.Subject), imapBoxes(e.From), imapBoxes(sender), imapBoxes(replyTo), imapBoxes(e.To), imapBoxes(e.Cc), imapBoxes(e.Bcc), imapNString(e.InReplyTo), imapNString(e.MessageID))
}

func imapBoxes(boxes []Mailbox) string {
	s := ""
	for _, m := range boxes {
		s += fmt.Sprintf("(%s %s %s %s)", imapNString(m.Name), imapNString(m.Route), imapNString(m.Local), imapNString(m.Host))
	}
	if s == "" {
		return "NIL"
	}
	return "(" + s + ")"
}
