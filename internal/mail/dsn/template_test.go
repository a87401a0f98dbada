package dsn

import (
	"errors"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/test/doubling"
)

// habit is a file as Postfix's admins write it.
const habit = `# our own words
failure_template = <<EOF
Charset: iso-8859-1
From: MAILER-DAEMON (Courrier d'ici)
Subject: Retour
Postmaster-Subject: Copie

Ici ${myhostname}, d` + "\xe9" + `sol` + "\xe9" + `.
EOF

delay_template=<< FIN
Charset: us-ascii
From: Mail <MAILER-DAEMON>
Subject: Late

#######
# WAIT #
#######

Not delivered for more than $delay_warning_time_hours hour(s).
Tried until it is $(maximal_queue_lifetime_days) day(s) old, at $$1.
FIN
`

// build makes a notice of a report and gives its subject, sender and text.
func build(t *testing.T, r Report) (subject, from, text string) {
	t.Helper()
	m, parts := open(t, Build(r))
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	sender, err := mail.ParseAddress(m.Header.Get("From"))
	if err != nil {
		t.Fatalf("From: %s: %v", m.Header.Get("From"), err)
	}
	return subject, sender.Name, strings.ReplaceAll(string(parts[0].Body), "\r\n", "\n")
}

func TestTemplates(t *testing.T) {
	own, err := ParseTemplates([]byte(habit))
	if err != nil {
		t.Fatal(err)
	}
	r := example()
	r.Templates, r.DelayWarning, r.Lifetime = own, 4*time.Hour, 5*24*time.Hour
	subject, from, text := build(t, r)
	if subject != "Retour" || from != "Courrier d'ici" || !strings.HasPrefix(text, "Ici mail.example.org, désolé.\n") || !strings.Contains(text, "<bob@example.net>") {
		t.Errorf("%q from %q:\n%s", subject, from, text)
	}
	r.Postmaster = true
	if subject, _, _ := build(t, r); subject != "Copie" {
		t.Errorf("the copy is called %q", subject)
	}
	r.Recipients[0].Action = Delayed
	subject, from, text = build(t, r)
	if subject != "Late" || from != "Mail" || !strings.HasPrefix(text, "#######\n# WAIT #\n#######\n\nNot delivered for more than 4 hour(s).\nTried until it is 5 day(s) old, at $1.\n") {
		t.Errorf("%q from %q:\n%s", subject, from, text)
	}
	r.Recipients[0].Action = Relayed
	if subject, _, _ = build(t, r); subject != "Your message was passed on" {
		t.Errorf("what the file does not have is not built in: %q", subject)
	}
}

func TestBrokenTemplates(t *testing.T) {
	const good = "Charset: utf-8\nFrom: A (B)\nSubject: C\n\ntext\n"
	for text, want := range map[string]string{
		"what\n":                      "line 1: expected a line such as",
		"\nfailure_template = text\n": "line 2: expected a line such as",
		"other_template = <<EOF\n" + good + "EOF\n":                                 `line 1: there is no template "other_template"`,
		"delay_template = <<EOF\n" + good:                                           "line 6: the text of delay_template does not end",
		"delay_template = <<EOF\nSubject: C\n\nx\nEOF\n":                            "line 2: the template needs the headers From and Subject",
		"delay_template = <<EOF\nTo: C\n\nx\nEOF\n":                                 `line 2: "To: C" is no header of a template`,
		"delay_template = <<EOF\nFrom: A\nSubject: C\n\n\nEOF\n":                    "line 5: delay_template has no text",
		"delay_template = <<EOF\nFrom: A\nSubject: C\n\nétat\nEOF\n":                "line 5: the line is not of the charset",
		"delay_template = <<EOF\nCharset: klingon\nFrom: A\nSubject: C\n\nx\nEOF\n": "line 2: the line is not of the charset",
		"delay_template = <<EOF\n" + good + "\nof $nothing\nEOF\n":                  "line 8: there is no $nothing",
		"verify_template = <<EOF\n" + good + "EOF\nverify_template = <<EOF\n":       "line 8: verify_template is there twice",
		strings.Repeat("#\n", MaxTemplates):                                         "line 1: the file has more than",
	} {
		_, err := ParseTemplates([]byte(text))
		var at *TemplateError
		if !errors.As(err, &at) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

// TestBuiltinTemplates: each language has all of them, and they tell the same.
func TestBuiltinTemplates(t *testing.T) {
	for _, language := range []string{"en", "fr"} {
		for _, name := range templateNames {
			tpl := builtin(language).byName[name]
			if tpl == nil {
				t.Fatalf("%s: %s is missing", language, name)
			}
			text := strings.Join(tpl.body, "\n")
			for _, variable := range []string{"$myhostname", "$recipients", "$queue_id", "$arrival_date"} {
				if !strings.Contains(text, variable) {
					t.Errorf("%s: %s does not say %s", language, name, variable)
				}
			}
		}
	}
	r := example()
	r.QueueID, r.Arrived = "", time.Time{}
	if _, _, text := build(t, r); strings.Contains(text, "known here") || strings.Contains(text, "arrived here") {
		t.Errorf("it tells what is not known:\n%s", text)
	}
}

func TestReturnedAsItCan(t *testing.T) {
	eight := []byte("Subject: x\r\n\r\n\xe9t\xe9\r\n")
	for name, x := range map[string]struct {
		set  func(*Report)
		kind string
	}{
		"8-bit where that is spoken":     {func(r *Report) { r.EightBit, r.Original = true, eight }, "message/rfc822"},
		"8-bit where it is not":          {func(r *Report) { r.Original = eight }, "text/rfc822-headers"},
		"8-bit with NUL":                 {func(r *Report) { r.EightBit, r.Original = true, []byte("a: b\r\n\r\n\x00\xe9") }, "text/rfc822-headers"},
		"internationalised":              {func(r *Report) { r.UTF8, r.Original = true, []byte("Subject: é\r\n\r\né\r\n") }, "message/global"},
		"internationalised, header only": {func(r *Report) { r.UTF8, r.Full, r.Original = true, false, []byte("Subject: é\r\n\r\né\r\n") }, "message/global-headers"},
		"a larger limit": {func(r *Report) {
			r.MaxReturn, r.Original = 100_000, append(r.Original, strings.Repeat("x\r\n", 20_000)...)
		}, "message/rfc822"},
		"a smaller limit": {func(r *Report) { r.MaxReturn = 10 }, "text/rfc822-headers"},
	} {
		r := example()
		r.Full = true
		x.set(&r)
		_, rest, _ := strings.Cut(string(Build(r)), "Undelivered message\r\nContent-Type: ")
		if kind, _, _ := strings.Cut(rest, "\r\n"); kind != x.kind {
			t.Errorf("%s: %s, want %s", name, kind, x.kind)
		}
	}
}

// TestGlobalStatus: the addresses come back as they went in, in the type of RFC 6533.
func TestGlobalStatus(t *testing.T) {
	for _, local := range []string{"jörg", "é+b", "用户", `é\b`} {
		r := global("en")
		r.Recipients[0].Final = address.Address{Local: local, Domain: "example.net"}
		_, parts := open(t, Build(r))
		if parts[1].Type != "message/global-delivery-status" {
			t.Errorf("%s", parts[1].Type)
		}
		if got, err := status(t, parts).Recipients[0].Address("Final-Recipient"); err != nil || got != r.Recipients[0].Final {
			t.Errorf("%q became %q (%v)", local, got, err)
		}
	}
	r := global("en")
	r.UTF8 = false
	if _, parts := open(t, Build(r)); parts[1].Type != "message/delivery-status" {
		t.Errorf("who does not know RFC 6533 gets %s", parts[1].Type)
	}
}

func TestTemplatesDoubling(t *testing.T) {
	for name, piece := range map[string]string{"dollars": "$$", "names": "$myhostname ", "open": "${", "lines": "x\n"} {
		doubling.Check(t, name, 10_000, func(n int) func() {
			text := "failure_template = <<EOF\nFrom: A\nSubject: B\n\nx\n" + strings.Repeat(piece, n/len(piece)) + "\nEOF\n"
			return func() {
				if own, err := ParseTemplates([]byte(text)); err == nil {
					r := example()
					r.Templates = own
					Build(r)
				}
			}
		})
	}
}

func FuzzTemplates(f *testing.F) {
	f.Add([]byte(habit))
	f.Add(frenchTexts)
	f.Add([]byte("delay_template = <<EOF\nFrom: (\nSubject: =?\n\n$\n${\nEOF\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		own, err := ParseTemplates(text)
		if err != nil {
			return
		}
		r := example()
		r.Templates = own
		open(t, Build(r))
	})
}
