package dsn

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/refusal"
	"facteur/internal/test/doubling"
)

var update = flag.Bool("update", false, "write the golden files anew")

func mailbox(s string) address.Address {
	local, domain, _ := strings.Cut(s, "@")
	return address.Address{Local: local, Domain: domain}
}

const original = "Received: from a by b\r\nMessage-ID: <1@example.org>\r\nSubject: hello\r\nFrom: alice@example.org\r\n\r\nThe body.\r\n"

// example is a report of a failure with all there can be in it.
func example() Report {
	day := time.Date(2026, 11, 22, 8, 0, 0, 0, time.FixedZone("", 3600))
	return Report{
		Host: "mail.example.org", To: mailbox("alice@example.org"),
		Date: day, MessageID: "<dsn.1@mail.example.org>",
		QueueID: "5F3A", EnvelopeID: "QQ314159", Arrived: day.Add(-time.Hour),
		Recipients: []Recipient{{
			Final: mailbox("bob@example.net"), Original: mailbox("robert@example.org"), Action: Failed, Status: "5.1.1",
			RemoteMTA: "mx.example.net", Diagnostic: "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
			LastAttempt: day,
		}},
		Original: []byte(original),
	}
}

// delay is a report of a delay, in French.
func delay() Report {
	r := example()
	r.Language = "fr"
	to := &r.Recipients[0]
	to.Action, to.Status, to.RemoteMTA = Delayed, "4.4.1", ""
	to.Diagnostic = "connect to mx.example.net[192.0.2.1]:25: connection refused"
	to.RetryUntil = r.Date.Add(5 * 24 * time.Hour)
	return r
}

// success is the example of RFC 3461 §10.2 and §10.3, nearly.
func success(a Action, language string) Report {
	r := example()
	r.Language, r.Full, r.EnvelopeID = language, true, "QQ314159"
	r.Recipients = []Recipient{{Final: mailbox("bob@big-bucks.com"), ORcpt: Typed{"rfc822", "Bob@Big-Bucks.COM"}, Action: a, LastAttempt: r.Date}}
	if a == Relayed {
		r.Recipients[0].RemoteMTA, r.Recipients[0].Diagnostic = "mx.big-bucks.com", "250 2.0.0 Ok: queued as 4711"
	}
	return r
}

// refused is a failure whose refusal is known.
func refused(language string) Report {
	r := example()
	r.Language = language
	to := &r.Recipients[0]
	to.Original, to.Status, to.RemoteMTA = address.Address{}, "5.7.0", "gmail-smtp-in.l.google.com"
	to.Diagnostic = "552 5.7.0 This message was blocked because its content presents a potential security issue."
	reading, _ := refusal.Read(to.RemoteMTA, 552, "5.7.0", to.Diagnostic)
	to.Cause, to.Cure, to.Link = reading.Cause.In(language), reading.Cure.In(language), reading.Link
	return r
}

// global is a failure of an internationalised message, which goes back as a whole.
func global(language string) Report {
	r := example()
	r.Language, r.UTF8, r.Full = language, true, true
	to := &r.Recipients[0]
	to.Final, to.Original = mailbox("jörg@example.net"), address.Address{}
	to.ORcpt = Typed{"utf-8", "jörg@example.net"}
	to.Diagnostic = "550 5.1.1 <jörg@example.net>: unbekannt"
	r.Original = []byte("Message-ID: <1@example.org>\r\nSubject: Grüße\r\nFrom: jürgen@example.org\r\n\r\nSchöne Grüße.\r\n")
	return r
}

// postmasters is the postmaster's copy of a notice that could not be delivered.
func postmasters(language string) Report {
	r := example()
	r.Language, r.Postmaster = language, true
	r.To = mailbox("postmaster@example.org")
	return r
}

func TestGolden(t *testing.T) {
	mixed := example()
	mixed.Recipients = append(mixed.Recipients, delay().Recipients[0], Recipient{Final: mailbox("carol@example.net"), Action: Delivered, Status: "2.1.5"})
	mixed.Recipients[1].Final = mailbox("jörg@example.net")
	mixed.Full = true
	delayed := delay()
	delayed.Language = "en"
	failed := example()
	failed.Language = "fr"
	for name, r := range map[string]Report{"failure": example(), "echec": failed, "delay": delayed, "retard": delay(), "mixed": mixed,
		"delivered": success(Delivered, "en"), "remis": success(Delivered, "fr"), "relayed": success(Relayed, "en"), "transmis": success(Relayed, "fr"),
		"expanded": success(Expanded, "en"), "diffuse": success(Expanded, "fr"), "refused": refused("en"), "refuse": refused("fr"),
		"global": global("en"), "mondial": global("fr"), "postmaster": postmasters("en"), "administrateur": postmasters("fr")} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".eml")
			got := Build(r)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("it is not %s any more:\n%s", file, got)
			}
			_, parts := open(t, got)
			if s := status(t, parts); len(s.Recipients) != len(r.Recipients) || s.Recipients[0].Get("Action") != string(r.Recipients[0].Action) {
				t.Errorf("it is read back as %+v", s)
			}
		})
	}
}

// part is one part of a notice, decoded.
type part struct {
	Type, Encoding string
	Body           []byte
}

// open takes a notice apart with the standard library, and checks what holds for
// each notice: 7-bit text in short lines, three parts.
func open(t *testing.T, notice []byte) (*mail.Message, []part) {
	t.Helper()
	if !is7bit(notice) {
		t.Errorf("not 7-bit text in lines:\n%q", notice)
	}
	m, err := mail.ReadMessage(bytes.NewReader(notice))
	if err != nil {
		t.Fatalf("%v in\n%s", err, notice)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("Content-Type is %q %v (%v)", kind, params, err)
	}
	var parts []part
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		one := part{Encoding: p.Header.Get("Content-Transfer-Encoding")}
		one.Type, _, _ = mime.ParseMediaType(p.Header.Get("Content-Type"))
		var body io.Reader = p
		if one.Encoding == "quoted-printable" {
			body = quotedprintable.NewReader(p)
		}
		if one.Body, err = io.ReadAll(body); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, one)
	}
	if len(parts) != 3 || parts[0].Type != "text/plain" || parts[1].Type != "message/delivery-status" && parts[1].Type != "message/global-delivery-status" {
		t.Fatalf("parts: %q", parts)
	}
	return m, parts
}

func status(t *testing.T, parts []part) Status {
	t.Helper()
	s, err := ParseStatus(parts[1].Body)
	if err != nil {
		t.Fatalf("%v in\n%s", err, parts[1].Body)
	}
	return s
}

func TestBuild(t *testing.T) {
	m, parts := open(t, Build(example()))
	for name, want := range map[string]string{
		"To": "<alice@example.org>", "Auto-Submitted": "auto-replied", "Message-Id": "<dsn.1@mail.example.org>",
		"In-Reply-To": "<1@example.org>", "Date": "Sun, 22 Nov 2026 08:00:00 +0100", "Subject": "Your message could not be delivered",
		"From": "Mail delivery system <MAILER-DAEMON@mail.example.org>",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	s := status(t, parts)
	for name, want := range map[string]string{"Reporting-MTA": "dns; mail.example.org", "Original-Envelope-Id": "QQ314159",
		"X-Facteur-Queue-ID": "5F3A", "Arrival-Date": "Sun, 22 Nov 2026 07:00:00 +0100"} {
		if got := s.Message.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"Final-Recipient": "rfc822; bob@example.net", "Original-Recipient": "rfc822; robert@example.org",
		"Action": "failed", "Status": "5.1.1", "Remote-MTA": "dns; mx.example.net", "Will-Retry-Until": "", "Last-Attempt-Date": "Sun, 22 Nov 2026 08:00:00 +0100",
		"Diagnostic-Code": "smtp; 550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in virtual mailbox table"} {
		if got := s.Recipients[0].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if parts[2].Type != "text/rfc822-headers" || strings.Contains(string(parts[2].Body), "The body") || !strings.Contains(string(parts[2].Body), "Subject: hello") {
		t.Errorf("returned: %q", parts[2])
	}
}

func TestFrench(t *testing.T) {
	m, parts := open(t, Build(delay()))
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "Votre message est retardé" {
		t.Errorf("subject %q (%v)", subject, err)
	}
	if text := strings.Join(strings.Fields(string(parts[0].Body)), " "); !strings.Contains(text, "Le serveur n’a pas répondu.") || !strings.Contains(text, "connection refused") || !strings.Contains(text, "jusqu’au 27 novembre 2026 à 08:00 +0100") {
		t.Errorf("text:\n%s", text)
	}
	if s := status(t, parts).Recipients[0]; s.Get("Will-Retry-Until") == "" || s.Get("Action") != "delayed" || !strings.HasPrefix(s.Get("Diagnostic-Code"), "x-facteur;") {
		t.Errorf("status: %v", s)
	}
}

// TestLanguagesAreComplete: what one says, the other says.
func TestLanguagesAreComplete(t *testing.T) {
	en, fr := english(), french()
	for name, pair := range map[string][2]map[Action]string{"happens": {en.happens, fr.happens}} {
		for action := range pair[0] {
			if pair[1][action] == "" || len(pair[0]) != len(pair[1]) {
				t.Errorf("%s %s is missing", name, action)
			}
		}
	}
	for code := range en.reasons {
		if fr.reasons[code] == "" || len(en.reasons) != len(fr.reasons) {
			t.Errorf("reason %s is missing", code)
		}
	}
}

func TestReturned(t *testing.T) {
	large := original + strings.Repeat("x\r\n", 20_000)
	cases := []struct {
		name string
		set  func(*Report)
		kind string
	}{
		{"header by default", func(r *Report) {}, "text/rfc822-headers"},
		{"whole when asked for", func(r *Report) { r.Full = true }, "message/rfc822"},
		{"LOOP-008 header only of a large one", func(r *Report) { r.Full = true; r.Original = []byte(large) }, "text/rfc822-headers"},
		{"LOOP-008 header only when the rest is not at hand", func(r *Report) { r.Full = true; r.Size = 50 << 20 }, "text/rfc822-headers"},
		{"header only of an 8-bit one", func(r *Report) { r.Full = true; r.Original = append(r.Original, "é\r\n"...) }, "text/rfc822-headers"},
		{"header only with a bare LF", func(r *Report) { r.Full = true; r.Original = append(r.Original, "a\nb\r\n"...) }, "text/rfc822-headers"},
		{"header only with a long line", func(r *Report) { r.Full = true; r.Original = append(r.Original, strings.Repeat("x", 999)...) }, "text/rfc822-headers"},
		{"no message at all", func(r *Report) { r.Original = nil }, "text/rfc822-headers"},
		{"LOOP-008 an endless header", func(r *Report) {
			r.Original = []byte("Subject: " + strings.Repeat("x\r\n ", 100_000))
		}, "text/rfc822-headers"},
		{"LOOP-008 an endless line", func(r *Report) { r.Original = bytes.Repeat([]byte("é"), 1<<20) }, "text/rfc822-headers"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := example()
			tc.set(&r)
			notice := Build(r)
			_, parts := open(t, notice)
			if parts[2].Type != tc.kind {
				t.Errorf("%s", parts[2].Type)
			}
			if tc.kind == "message/rfc822" && !bytes.Equal(parts[2].Body, r.Original) {
				t.Errorf("returned %q", parts[2].Body)
			}
			if len(notice) > 4*DefaultReturn {
				t.Errorf("%d bytes", len(notice))
			}
		})
	}
}

// hostiles are texts that want out of where they are put.
var hostiles = []string{
	"550 no\r\n\r\nSubject: injected\r\n",
	"550 no\n--=_boundary--\nX: y",
	"550 \x1b[31mred\x1b[0m \x00 \x7f",
	"550 <script>alert(1)</script> %s%n %!d",
	"550 \xff\xfe \u202e \u2028 jörg",
	"550 " + strings.Repeat("x", 100_000),
	"550 " + strings.Repeat("é ", 10_000),
	"550 =?utf-8?q?=0d=0aX:_y?=",
	"\r\nAction: delivered",
	";;;;", " ", "",
}

func TestHostile(t *testing.T) {
	for i, text := range hostiles {
		t.Run(fmt.Sprintf("OUT-008 %d", i), func(t *testing.T) {
			r := example()
			r.EnvelopeID, r.QueueID = text, text
			r.Recipients[0].Diagnostic, r.Recipients[0].RemoteMTA = text, text
			r.Recipients[0].Status = text
			r.Recipients[0].Final = address.Address{Local: text, Domain: "example.net"}
			r.Original = []byte("Message-ID: <" + text + ">\r\nSubject: " + text + "\r\n\r\nbody")
			m, parts := open(t, Build(r))
			s := status(t, parts)
			if len(s.Recipients) != 1 || s.Recipients[0].Get("Action") != "failed" || s.Recipients[0].Get("Status") != "5.0.0" {
				t.Errorf("status:\n%s", parts[1].Body)
			}
			if m.Header.Get("Subject") != "Your message could not be delivered" || m.Header.Get("X") != "" {
				t.Errorf("header: %v", m.Header)
			}
			if strings.ContainsAny(string(parts[0].Body), "\x00\x1b\x7f\u202e\u2028") {
				t.Errorf("text: %q", parts[0].Body)
			}
		})
	}
}

func TestUTF8Address(t *testing.T) {
	for _, local := range []string{"jörg", "a+b=c", `back\slash`, "用户", "x\\x{41}y", "é b"} {
		t.Run(local, func(t *testing.T) {
			r := example()
			r.Recipients[0].Final = address.Address{Local: local, Domain: "example.net"}
			_, parts := open(t, Build(r))
			got, err := status(t, parts).Recipients[0].Address("Final-Recipient")
			if err != nil || got != r.Recipients[0].Final {
				t.Errorf("%q became %q (%v) in\n%s", local, got, err, parts[1].Body)
			}
		})
	}
}

// TestPython: the notice as another language's library reads it.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("FACTEUR_TEST_REQUIRE") == "1" {
			t.Fatal("python3 is required")
		}
		t.Skip("python3 is not here")
	}
	const program = `
import sys, json, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
p = list(m.iter_parts())
walk = [part.defects for part in m.walk()]
json.dump({
  "defects": [str(d) for ds in walk for d in ds],
  "types": [m.get_content_type()] + [x.get_content_type() for x in p],
  "subject": m["Subject"], "text": p[0].get_content(),
  "action": [g["Action"] for g in p[1].get_payload()[1:]],
  "final": [g["Final-Recipient"] for g in p[1].get_payload()[1:]],
}, sys.stdout)`
	hostile := delay()
	hostile.Recipients = append(hostile.Recipients, example().Recipients[0])
	hostile.Recipients[0].Diagnostic = strings.Join(hostiles, " ")
	full := example()
	full.Full = true
	for name, r := range map[string]Report{"failure": example(), "delay": delay(), "OUT-008 hostile": hostile, "full": full} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(python, "-c", program)
			cmd.Stdin = bytes.NewReader(Build(r))
			var complaint bytes.Buffer
			cmd.Stderr = &complaint
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, complaint.String())
			}
			var got struct {
				Defects, Types, Action, Final []string
				Subject, Text                 string
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			subject := r.title()
			if len(got.Defects) > 0 || len(got.Types) != 4 || got.Types[0] != "multipart/report" || got.Types[2] != "message/delivery-status" {
				t.Errorf("defects %q, types %q", got.Defects, got.Types)
			}
			if got.Subject != subject || len(got.Action) != len(r.Recipients) || got.Action[0] != string(r.Recipients[0].Action) || !strings.Contains(got.Text, "mail.example.org") {
				t.Errorf("read as %+v", got)
			}
		})
	}
}

func TestParseStatus(t *testing.T) {
	// The first example of RFC 3464, appendix E, with LF and folding.
	const text = "Reporting-MTA: dns; cs.utk.edu\n\nOriginal-Recipient: rfc822;louisl@larry.slip.umd.edu\n" +
		"Final-Recipient: rfc822;louisl@larry.slip.umd.edu\nAction: failed\nStatus: 4.0.0\n" +
		"Diagnostic-Code: smtp; 426 connection timed\n  out\nLast-Attempt-Date: Thu, 7 Jul 1994 17:15:49 -0400\n\n\n"
	s, err := ParseStatus([]byte(text))
	if err != nil || len(s.Recipients) != 1 {
		t.Fatalf("%+v (%v)", s, err)
	}
	to := s.Recipients[0]
	if a, err := to.Address("final-recipient"); err != nil || a != mailbox("louisl@larry.slip.umd.edu") {
		t.Errorf("%v (%v)", a, err)
	}
	if to.Typed("Diagnostic-Code") != "426 connection timed out" || s.Message.Typed("Reporting-MTA") != "cs.utk.edu" {
		t.Errorf("%q", to)
	}
	for _, bad := range []string{"", "\n\n\n", "Reporting-MTA: dns; x\n", strings.Repeat("a: b\n", MaxStatusFields+1), strings.Repeat("x", MaxStatusSize+1)} {
		if _, err := ParseStatus([]byte(bad)); err == nil {
			t.Errorf("%.20q was taken", bad)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	for _, s := range append(hostiles, "A: b\n\nFinal-Recipient: utf-8; \\x{e9}@x.example\n", ":\n\n \n", "a:\n\nb:\n c\n\td") {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseStatus(b)
		if err != nil {
			return
		}
		for _, to := range s.Recipients {
			to.Address("Final-Recipient")
		}
		if len(s.Message) == 0 || len(s.Recipients) == 0 {
			t.Errorf("%q has no groups", b)
		}
	})
}

func FuzzBuild(f *testing.F) {
	for _, s := range hostiles {
		f.Add(s, s, []byte(s), true)
	}
	f.Add("550 5.1.1 no", "bob", []byte(original), true)
	f.Fuzz(func(t *testing.T, diagnostic, local string, message []byte, full bool) {
		r := example()
		r.Full, r.Original = full, message
		r.Recipients[0].Diagnostic, r.Recipients[0].Final.Local = diagnostic, local
		_, parts := open(t, Build(r))
		if s := status(t, parts); len(s.Recipients) != 1 || s.Recipients[0].Get("Action") != "failed" {
			t.Errorf("status:\n%s", parts[1].Body)
		}
	})
}

// TestDoubling: twice the input, about twice the time.
func TestDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	inputs := map[string]func(n int) []byte{
		"folds":     func(n int) []byte { return []byte("A: b\n" + strings.Repeat(" c\n", n)) },
		"groups":    func(n int) []byte { return []byte(strings.Repeat("A: b\n\n", n/20)) },
		"addresses": func(n int) []byte { return []byte("A: b\n\nFinal-Recipient: utf-8; " + strings.Repeat(`\x{41}`, n)) },
	}
	parse := func(b []byte) {
		s, _ := ParseStatus(b)
		for _, to := range s.Recipients[:min(len(s.Recipients), 1)] {
			to.Address("Final-Recipient")
		}
	}
	for name, input := range inputs {
		doubling.Check(t, name, 100_000, func(n int) func() {
			in := input(n)
			return func() { parse(in) }
		})
	}
}

// RFC 6533 §4: a header in UTF-8 goes back by its own type to who reads it, and by the
// old one to the others; in 7 bits to both.
func TestHeaderInUTF8(t *testing.T) {
	for _, utf8 := range []bool{false, true} {
		r := example()
		r.UTF8, r.Original = utf8, []byte("Subject: déjà\r\n\r\nbody\r\n")
		_, parts := open(t, Build(r))
		want := map[bool]string{false: "text/rfc822-headers", true: "message/global-headers"}[utf8]
		if got := parts[2].Type; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	r := example()
	r.UTF8 = true
	if _, parts := open(t, Build(r)); parts[2].Type != "text/rfc822-headers" {
		t.Error("a header in ASCII needs no new type")
	}
}
