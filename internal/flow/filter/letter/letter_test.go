package letter_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/letter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/content"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
)

// noon is when all letters come.
var noon = time.Date(2024, 5, 6, 12, 0, 0, 0, time.UTC)

var house = letter.House{
	Hostname: "mail.example.org",
	Ours:     func(domain string) bool { return domain == "dupont.example" },
	Person: func(name string) string {
		if strings.EqualFold(name, "Marie Curie") {
			return "marie@example.org"
		}
		return ""
	},
	Resembles: func(_ context.Context, _, domain string) bool { return domain == "boulangerle.example" },
	Languages: func(string) []string { return []string{"fr", "en"} },
}

// judge lets all checks see a letter written with LF.
func judge(t testing.TB, text string, rules *letter.Attachments, change ...func(*filter.Letter)) []filter.Remark {
	t.Helper()
	return judgeIn(t, &house, text, rules, change...)
}

func judgeIn(t testing.TB, house *letter.House, text string, rules *letter.Attachments, change ...func(*filter.Letter)) []filter.Remark {
	t.Helper()
	if rules == nil {
		rules = letter.DefaultAttachments()
	}
	raw := []byte(strings.ReplaceAll(text, "\n", "\r\n"))
	l := &filter.Letter{Now: noon, Message: bytes.NewReader(raw), Size: int64(len(raw)), Header: raw[:message.HeaderEnd(raw)], Evidence: &filter.Evidence{},
		Sender: address.Address{Local: "x", Domain: "somewhere.example"}, Recipients: []filter.Recipient{{Account: "marie@example.org"}}}
	l.Content = func() *content.Letter {
		return content.Read(l.Message, message.ParseBytes(raw, message.Limits{}), l.Header, content.Limits{})
	}
	for _, c := range change {
		c(l)
	}
	var all []filter.Remark
	for _, c := range letter.Checks(func() *letter.House { return house }, func() *letter.Attachments { return rules }) {
		for _, r := range c.Examine(context.Background(), l) {
			if r.Check != c.Name() || r.Name == "" || r.Sentence == "" || !strings.HasSuffix(r.Sentence, ".") || strings.ContainsAny(r.Sentence, "\r\n\x00") {
				t.Errorf("a bad remark of %s: %+v", c.Name(), r)
			}
			all = append(all, r)
		}
	}
	return all
}

func proven(l *filter.Letter) { l.Evidence.DMARC.Status = dmarc.Pass }

func names(remarks []filter.Remark) (s []string) {
	for _, r := range remarks {
		s = append(s, r.Name)
	}
	return s
}

func score(remarks []filter.Remark) (sum float64) {
	for _, r := range remarks {
		sum += r.Score
	}
	return sum
}

// ordinary is a header that nothing is wrong with.
const ordinary = "From: Jean Dupont <jean@voisin.example>\nTo: marie@example.org\nSubject: Le jardin\nDate: Mon, 6 May 2024 11:58:00 +0000\nMessage-ID: <1@voisin.example>\nMIME-Version: 1.0\n"

func attach(name, mime string, data []byte) string {
	return ordinary + "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nVoici.\n--x\nContent-Type: " + mime + message.FormatParam("name", name) +
		"\nContent-Disposition: attachment" + message.FormatParam("filename", name) + "\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString(data) + "\n--x--\n"
}

func zipOf(files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		w, _ := z.Create(files[i])
		w.Write([]byte(files[i+1]))
	}
	z.Close()
	return b.Bytes()
}

func program() string {
	b := make([]byte, 512)
	copy(b, "MZ\x90\x00")
	b[60] = 0x80
	copy(b[0x80:], "PE\x00\x00")
	return string(b)
}

const js = "var shell = new ActiveXObject('WScript.Shell');\n"

var locked = []byte("PK\x03\x04\x14\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x05\x00\x00\x00\x05\x00\x00\x00a.pdfxxxxx")

func TestAttachments(t *testing.T) {
	t.Parallel()
	pdf := []byte("%PDF-1.4\n1 0 obj\n")
	docm := zipOf("[Content_Types].xml", "<x/>", "word/vbaProject.bin", "x")
	for _, c := range []struct {
		name, file string
		data       []byte
		want       string
	}{
		{"row 179 the script of the seed, in a zip", "B1095_scan-invoice_0B0C3F.zip", zipOf("1940c09.js", js), "banned_script"},
		{"row 179 a program in an archive in an archive", "a.zip", zipOf("b.zip", string(zipOf("setup.exe", program()))), "banned_program"},
		{"a program", "setup.exe", []byte(program()), "banned_program"},
		{"MIME-010 the name alone", "setup.scr", []byte("x"), "banned_program"},
		{"MIME-010 dots and spaces behind the name", "setup.exe. . ", []byte("x"), "banned_program"},
		{"MIME-010 a path", `..\..\Startup\x.vbs`, []byte("x"), "banned_script"},
		{"MIME-010 a long name", strings.Repeat("a", 4000) + ".exe", []byte("x"), "banned_program"},
		{"MIME-010 right to left", "facture\u202efdp.exe", []byte("x"), "banned_turned_name"},
		{"MIME-010 right to left, nothing that runs", "facture\u202ecod.pdf", pdf, "attachment_turned_name"},
		{"MIME-010 a zero byte", "a.exe\x00.txt", []byte("x"), ""},
		{"two faces", "facture.pdf.exe", []byte("x"), "banned_double_extension"},
		{"a program called otherwise", "photo.jpg", []byte(program()), "banned_program attachment_mismatch"},
		{"a shortcut", "Facture.lnk", []byte("L\x00\x00\x00\x01\x14\x02\x00"), "banned_program"},
		{"a disk image", "facture.iso", make([]byte, 100), "banned_program"},
		{"macros", "a.docm", docm, "attachment_macros"},
		{"macros, whatever the name", "a.docx", docm, "attachment_macros"},
		{"locked", "a.zip", locked, "attachment_ambiguous attachment_encrypted"},
		{"MIME-013 a bomb", "a.zip", func() []byte {
			b := zipOf("0", strings.Repeat("\x00", 1<<20))
			for range 20 {
				b = zipOf("a.zip", string(b))
			}
			return b
		}(), "attachment_unscannable"},
		{"MIME-015 damaged", "a.7z", []byte("7z\xbc\xaf\x27\x1c\x00\x04" + strings.Repeat("\xff", 40)), "attachment_unscannable"},
		{"a web page that asks for a password", "facture.html", []byte("<!doctype html><form action=http://evil.example><input type=password></form><script>x</script>"), "attachment_page_password"},
		{"a page called a picture", "photo.png", []byte("<!doctype html><html>"), "attachment_mismatch"},
		{"a page called a recording", "message.wav.html", []byte("<!doctype html><html><p>Bonjour"), "attachment_mismatch"},
		{"honest: a page", "rapport.html", []byte("<!doctype html><html><p>Bonjour"), ""},
		{"a script of Unix", "backup.sh", []byte("#!/bin/sh\necho\n"), "attachment_script"},
		{"a document that starts a program", "a.pdf", []byte("%PDF-1.4\n/Launch"), "attachment_active_document"},
		{"honest: a document", "a.pdf", pdf, ""},
		{"honest: a letter of Word", "a.docx", zipOf("[Content_Types].xml", "<x/>", "word/document.xml", "<w/>"), ""},
		{"honest: a book", "livre.epub", zipOf("mimetype", "application/epub+zip", "META-INF/container.xml", "<x/>", "OEBPS/a.js", js), ""},
		{"a program in a book", "livre.epub", zipOf("META-INF/container.xml", "<x/>", "setup.exe", program()), "banned_program"},
		{"a book that is called an archive", "livre.zip", zipOf("META-INF/container.xml", "<x/>", "a.js", js), "banned_script"},
		{"honest: photos in an archive", "photos.zip", zipOf("1.jpg", "\xff\xd8\xff\xe0", "2.jpg", "\xff\xd8\xff\xe0"), ""},
		{"honest: a PNG called JPG", "a.jpg", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), ""},
		{"honest: a table that Excel writes as HTML", "a.xls", []byte("<html><table><tr><td>1</table>"), ""},
		{"honest: a calendar", "invite.ics", []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"), ""},
		{"honest: a signature", "signature.asc", []byte("-----BEGIN PGP SIGNATURE-----\n"), ""},
	} {
		got := names(judge(t, attach(c.file, "application/octet-stream", c.data), nil))
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// What the settings change.
func TestAttachmentRules(t *testing.T) {
	t.Parallel()
	docm := zipOf("[Content_Types].xml", "<x/>", "word/vbaProject.bin", "x")
	for _, c := range []struct {
		name   string
		change func(*letter.Attachments)
		file   string
		data   []byte
		want   string
	}{
		{"macros banned", func(r *letter.Attachments) { r.Macros = letter.Ban }, "a.docx", docm, "banned_macros"},
		{"macros pass", func(r *letter.Attachments) { r.Macros = letter.Pass }, "a.docx", docm, ""},
		{"locked files banned", func(r *letter.Attachments) { r.Encrypted = letter.Ban }, "a.zip", locked, "attachment_ambiguous banned_encrypted"},
		{"unscannable banned", func(r *letter.Attachments) { r.Unscannable = letter.Ban }, "a.7z", []byte("7z\xbc\xaf\x27\x1c\x00\x04" + strings.Repeat("\xff", 40)), "banned_unscannable"},
		{"programs are evidence", func(r *letter.Attachments) { r.Programs = letter.Score }, "a.exe", []byte(program()), "attachment_program"},
		{"programs pass", func(r *letter.Attachments) { r.Programs = letter.Pass }, "a.exe", []byte(program()), ""},
		{"one name is allowed", func(r *letter.Attachments) { r.Allow = []string{"facteur-*.exe"} }, "Facteur-1.0.exe", []byte(program()), "attachment_program"},
		{"a name is banned", func(r *letter.Attachments) { r.Names = []string{"*.one"} }, "a.ONE", []byte("x"), "banned_name"},
		{"a type is banned, in an archive", func(r *letter.Attachments) { r.Types = []string{"video/*"} }, "a.zip", zipOf("x", "\x1aE\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x23\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm"), "banned_name"},
		{"MIME-017 a pattern of many stars", func(r *letter.Attachments) { r.Names = []string{strings.Repeat("*a", 50) + "*b"} }, strings.Repeat("a", 4000), []byte("x"), ""},
	} {
		rules := letter.DefaultAttachments()
		c.change(rules)
		if got := names(judge(t, attach(c.file, "application/octet-stream", c.data), rules)); strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// replaced is the ordinary letter with another field.
func replaced(field, value, body string) string {
	var b strings.Builder
	for line := range strings.Lines(ordinary) {
		if strings.HasPrefix(line, field+":") {
			if value != "" {
				b.WriteString(field + ": " + value + "\n")
			}
			continue
		}
		b.WriteString(line)
	}
	if !strings.Contains(ordinary, field+":") && value != "" {
		b.WriteString(field + ": " + value + "\n")
	}
	return b.String() + "\n" + body
}

func TestHeader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, letter, want string }{
		{"nothing is wrong", ordinary + "\nBonjour\n", ""},
		{"no Date", replaced("Date", "", ""), "header_date_missing"},
		{"a Date that is none", replaced("Date", "yesterday", ""), "header_date_invalid"},
		{"a Date in the future", replaced("Date", "Mon, 6 May 2030 11:58:00 +0000", ""), "header_date_future"},
		{"a Date in the past", replaced("Date", "Mon, 6 May 2019 11:58:00 +0000", ""), "header_date_past"},
		{"a clock that is a day ahead", replaced("Date", "Tue, 7 May 2024 11:58:00 +0000", ""), ""},
		{"no Message-ID", replaced("Message-ID", "", ""), "header_message_id_missing"},
		{"a bad Message-ID", replaced("Message-ID", "12345", ""), "header_message_id_invalid"},
		{"to nobody", replaced("To", "", ""), "header_to_missing"},
		{"to undisclosed recipients", replaced("To", "undisclosed-recipients:;", ""), "header_to_missing"},
		{"no Subject", replaced("Subject", "", ""), "header_subject_missing"},
		{"capitals", replaced("Subject", "VOUS AVEZ GAGNÉ UN MILLION", ""), "header_subject_capitals"},
		{"a short cry", replaced("Subject", "URGENT", ""), ""},
		{"letters apart", replaced("Subject", "V I A G R A now", ""), "header_subject_spaced"},
		{"invisible characters", replaced("Subject", "Ac\u200bhe\u200btez m\u200bain", ""), "header_subject_invisible"},
		{"mixed scripts", replaced("Subject", "Your p\u0430yment", ""), "header_subject_invisible"},
		{"mixed scripts behind a hyphen", replaced("Subject", "Your e-p\u0430yment", ""), "header_subject_invisible"},
		{"words of two scripts", replaced("Subject", "Отчёт в PDF-формате, USB-кабель, 5 μm, 10kΩ", ""), ""},
		{"an answer to nothing", replaced("Subject", "Re: votre commande", ""), "header_fake_reply"},
		{"no author", replaced("From", "", ""), "header_from_missing bad_header"},
		{"two authors", "From: x@y.example\n" + ordinary + "\n", "header_duplicate bad_header"},
		{"a zero byte", replaced("X-Odd", "a\x00b", ""), "header_control_characters bad_header"},
		{"Latin-1 in the header", replaced("X-Odd", "caf\xe9", ""), "header_eight_bit"},
		{"UTF-7", replaced("Content-Type", "text/plain; charset=utf-7", "x"), "header_charset_unknown"},
		{"a Received line of ours", "Received: from x by mail.example.org with ESMTP; Mon, 6 May 2024 11:58:00 +0000\n" + ordinary + "\n", "header_received_forged"},
	} {
		if got := names(judge(t, c.letter, nil)); strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
	// A box for the home that knows nothing of headers.
	if s := score(judge(t, "From: NAS <nas@voisin.example>\nSubject: Disk full\n\nYour disk is full.\n", nil)); s > 2 {
		t.Errorf("an honest amateur pays %.1f", s)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, from, replyTo, want string }{
		{"another's address as a name", `"service@banque.example" <x@evil.example>`, "", "identity_name_address"},
		{"our address as a name", `"marie@example.org" <x@evil.example>`, "", "identity_name_ours"},
		{"our domain as a name", `"Support example.org" <x@evil.example>`, "", "identity_name_ours"},
		{"our user as a name", `Marie Curie <ceo1234@gmail.com>`, "", "identity_name_ours"},
		{"our user", `Marie Curie <marie@example.org>`, "", ""},
		{"his own address as a name", `"jean@voisin.example" <jean@mail.voisin.example>`, "", ""},
		{"a firm that is forged", `PayPal <x@secure-login.example>`, "", "identity_name_brand"},
		{"the firm", `PayPal <service@paypal.fr>`, "", ""},
		{"a person with such a first name", `Ameli Schmidt <ameli@schmidt.example>`, "", ""},
		{"an office", `Assurance Maladie - Ameli <x@cpanel.example>`, "", "identity_name_brand"},
		{"a firm with an accent", `Décathlon <no@gagnant.example>`, "", "identity_name_brand"},
		{"a service of a bank", `Crédit Mutuel Alerte <x@cpanel.example>`, "", "identity_name_brand"},
		{"a box for the power, not the carrier", `UPS on battery <ups@voisin.example>`, "", ""},
		{"who writes about a firm", `Aide aux clients de PayPal et autres <x@asso.example>`, "", ""},
		{"a name of two scripts", "ООО Ромашка-IT <info@romashka.example>", "", ""},
		{"scripts in a name", "P\u0430ypal <x@evil.example>", "", "identity_name_mixed"},
		{"a Russian", "Иван Петров <ivan@voisin.example>", "", ""},
		{"answers to a free mailbox", "Jean <jean@voisin.example>", "jean12@gmail.com", "identity_reply_freemail"},
		{"answers elsewhere", "Jean <jean@voisin.example>", "jean@ailleurs.example", "identity_reply_elsewhere"},
		{"answers to his own", "Jean <jean@voisin.example>", "jean@www.voisin.example", ""},
		{"a slip of the pen", "Direction <ceo@exampel.org>", "", "identity_lookalike_ours"},
		{"rn for m", "Direction <ceo@exarnple.org>", "", "identity_lookalike_ours"},
		{"one for l", "Direction <ceo@examp1e.org>", "", "identity_lookalike_ours"},
		{"Cyrillic", "Direction <ceo@ех\u0430mple.org>", "", "identity_mixed_domain identity_lookalike_ours"},
		{"an accent", "Direction <ceo@exámple.org>", "", "identity_lookalike_ours"},
		{"a cousin", "Direction <ceo@example-support.org>", "", "identity_cousin_ours"},
		{"below another", "Direction <ceo@example.org.evil.test>", "", "identity_cousin_ours"},
		{"a friend's domain, nearly", "Pain <x@boulangerle.example>", "", "identity_lookalike_known"},
		{"a friend", "Pain <x@boulangerie.example>", "", ""},
		{"short names are alike by chance", "Jean <x@fox.org>", "", ""},
	} {
		l := replaced("From", c.from, "Bonjour")
		if c.replyTo != "" {
			l = "Reply-To: " + c.replyTo + "\n" + l
		}
		if got := names(judge(t, l, nil)); strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

func TestHTML(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("hidden words that nobody sees ", 20)
	seen := "<p>Bonjour, voici une lettre assez longue pour que l'on puisse la lire sans que rien ne manque.</p>"
	for _, c := range []struct{ name, html, want string }{
		{"plain", seen, ""},
		{"hidden by colour", seen + "<font color=white>" + long + "</font>", "html_hidden_text"},
		{"hidden, a lot", seen + "<div style='display:none'>" + strings.Repeat(long, 10) + "</div>", "html_hidden_text html_hidden_much"},
		{"a first line for the list of letters", "<div style='display:none'>La lettre de mai est là !" + strings.Repeat("&zwnj;&nbsp;", 100) + "</div>" + seen, ""},
		{"a picture", "<a href=http://a.example><img src=http://a.example/x.png></a>", "html_image_only"},
		{"without width", seen + "V\u200bi\u200ba\u200bgra", "html_invisible"},
		{"soft hyphens where words are divided", seen + "Ein\u00adkom\u00admen\u00adsteu\u00ader\u00ader\u00adklä\u00adrung, Über\u00adse&shy;con&shy;tai&shy;ner", ""},
		{"soft hyphens between letters", seen + "V&shy;i&shy;a&shy;g&shy;ra", "html_invisible"},
		{"words split", strings.Repeat("vi<b></b>ag<i></i>ra ", 12), "html_split_words"},
		{"letters as numbers", seen + strings.Repeat("&#86;&#105;", 15), "html_escaped_letters"},
		{"a form", seen + "<form action=http://a.example><input type=text></form>", "html_form"},
		{"a password", seen + "<form action=http://a.example><input type=password></form>", "html_password html_form"},
		{"a script", seen + "<script>x</script>", "html_script"},
		{"frames", seen + "<iframe src=http://a.example></iframe>", "html_frame"},
		{"leads away", seen + "<meta http-equiv=refresh content='0;url=http://a.example'>", "html_refresh"},
		{"tags that are none", seen + strings.Repeat("<qwx>a</qwx> ", 20), "html_unknown_tags"},
	} {
		l := strings.Replace(ordinary, "MIME-Version", "Content-Type: text/html; charset=utf-8\nMIME-Version", 1) + "\n" + c.html
		if got := names(judge(t, l, nil)); strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
	two := ordinary + "Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain\n\n" + strings.Repeat("planets gravity telescope orbit ", 20) +
		"\n--x\nContent-Type: text/html\n\n<p>" + "Buy these wonderful pills today from our pharmacy because they will make your life so much better than before and cost less money than at any other shop around the corner.</p>\n--x--\n"
	if got := names(judge(t, two, nil)); strings.Join(got, " ") != "html_other_text" {
		t.Errorf("two texts: %v", got)
	}
	ambiguous := ordinary + "Content-Type: multipart/mixed; boundary=x; boundary=y\n\n--x\n\nBonjour\n--x--\n--y\nContent-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString(zipOf("1.js", js)) + "\n--y--\n"
	if got := names(judge(t, ambiguous, nil)); strings.Join(got, " ") != "attachment_ambiguous_letter banned_script html_ambiguous_letter" {
		t.Errorf("MIME-004 two letters in one: %v", got)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, link, want string }{
		{"plain", `<a href="https://voisin.example/x">le jardin</a>`, ""},
		{"shows another", `<a href="https://evil.example/x">https://www.example.net/</a>`, "link_mismatch"},
		{"shows the same house", `<a href="https://click.example.net/x">www.example.net</a>`, ""},
		{"a name before @", `<a href="https://www.banque.example@evil.example/x">ici</a>`, "link_user_info"},
		{"an address", `<a href="http://192.0.2.77/x">ici</a>`, "link_address"},
		{"an address at home", `<a href="http://192.168.1.1/x">ici</a>`, ""},
		{"an odd address", `<a href="http://0xc0000001/x">ici</a>`, "link_odd_address"},
		{"codes", `<a href="http://%65vil.example/x">ici</a>`, "link_escaped_host"},
		{"code", `<a href="javascript:alert(1)">ici</a>`, "html_script link_code"},
		{"mixed scripts", "<a href='http://p\u0430ypal.example/'>ici</a>", "link_mixed_script"},
		{"a short form", `<a href="https://bit.ly/x">ici</a>`, "link_shortener"},
		{"a search engine", `<a href="https://www.google.com/url?q=https://evil.example/">ici</a>`, "link_redirect"},
		{"the recipient behind #", `<a href="https://evil.example/k#marie@example.org">ici</a>`, "link_recipient"},
		{"the same, in codes", `<a href="https://evil.example/k#marie%40example.org">ici</a>`, "link_recipient"},
		{"the same, in base64", `<a href="https://evil.example/k/#bWFyaWVAZXhhbXBsZS5vcmc=">ici</a>`, "link_recipient"},
		{"the recipient where the host sees it", `<a href="https://voisin.example/quitter?de=marie@example.org#haut">ici</a>`, ""},
		{"like ours", `<a href="https://exarnple.org/">ici</a>`, "link_lookalike"},
		{"like its text", `<a href="https://www.exarnple.net/">www.example.net</a>`, "link_lookalike"},
		{"many", func() string {
			var b strings.Builder
			for i := range 25 {
				fmt.Fprintf(&b, "<a href='https://a%d.example/'>x</a> ", i)
			}
			return b.String()
		}(), "link_many_domains"},
	} {
		l := strings.Replace(ordinary, "MIME-Version", "Content-Type: text/html; charset=utf-8\nMIME-Version", 1) + "\n<p>Bonjour</p>" + c.link
		if got := names(judge(t, l, nil)); strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	spanish := "Gracias por su mensaje. Hemos recibido el pedido y se lo enviaremos a la dirección que nos dio en los próximos días, como siempre."
	remarks := judge(t, replaced("Content-Type", "text/plain; charset=utf-8", spanish), nil)
	if len(remarks) != 1 || remarks[0].Name != "language_unusual" || remarks[0].Of != "marie@example.org" {
		t.Errorf("%+v", remarks)
	}
	galician := house
	galician.Languages = func(string) []string { return []string{"gl"} }
	for _, r := range judgeIn(t, &galician, replaced("Content-Type", "text/plain; charset=utf-8", spanish), nil) {
		t.Errorf("what is taken for its sister: %s", r.Sentence)
	}
}

// Newsletters and other honest letters of today cost hardly anything.
func TestHonest(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("testdata")
	if err != nil || len(files) == 0 {
		t.Fatal("no letters", err)
	}
	for _, f := range files {
		text, err := os.ReadFile("testdata/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			of     string
			change []func(*filter.Letter)
			most   float64
		}{{"proven", []func(*filter.Letter){proven}, 1}, {"unproven", nil, 2.0}} {
			remarks := judge(t, strings.ReplaceAll(string(text), "\r\n", "\n"), nil, c.change...)
			for _, r := range remarks {
				if r.Category != "" {
					t.Errorf("%s: %s: %s", f.Name(), r.Name, r.Sentence)
				}
			}
			if s := score(remarks); s > c.most {
				t.Errorf("%s, %s: %.2f by %v", f.Name(), c.of, s, names(remarks))
			}
		}
	}
}

// Every remark has a row in docs/FILTER.md, with its score, and every row a remark.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../../docs/FILTER.md")
	if err != nil {
		t.Fatal(err)
	}
	var families []string
	for _, s := range letter.Symbols() {
		said := fmt.Sprintf("%.1f", s.Score)
		if s.Category != "" {
			said = string(s.Category)
		}
		if row := fmt.Sprintf("| `%s` | %s | %s |", s.Name, said, s.About); !strings.Contains(string(page), row) {
			t.Errorf("docs/FILTER.md lacks the row\n%s", row)
		}
		if !slices.Contains(families, s.Family) {
			families = append(families, s.Family)
		}
	}
	for _, c := range letter.Checks(func() *letter.House { return &letter.House{} }, letter.DefaultAttachments) {
		if !slices.Contains(families, c.Name()) {
			t.Errorf("the family %s has no remark", c.Name())
		}
	}
}

// MIME-022: a letter that makes a parser panic costs the checks that look into it, and is
// not read again and again: the second check gets the same panic without reading.
func TestPoison(t *testing.T) {
	t.Parallel()
	t.Run("MIME-022 a letter that can't be read is read once", func(t *testing.T) {
		raw := []byte(strings.ReplaceAll(attach("a.zip", "application/zip", zipOf("a", "b")), "\n", "\r\n"))
		reads := 0
		poison := readerAt(func(p []byte, off int64) (int, error) {
			reads++
			panic("poison")
		})
		l := &filter.Letter{Header: raw[:message.HeaderEnd(raw)], Message: poison, Size: int64(len(raw))}
		read := sync.OnceValue(func() *content.Letter {
			return content.Read(poison, message.ParseBytes(raw, message.Limits{}), l.Header, content.Limits{})
		})
		l.Content = read
		for _, c := range letter.Checks(func() *letter.House { return &house }, letter.DefaultAttachments) {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s looked at nothing and found it good", c.Name())
					}
				}()
				c.Examine(context.Background(), l)
			}()
		}
		if reads != 1 {
			t.Errorf("read %d times", reads)
		}
	})
}

type readerAt func(p []byte, off int64) (int, error)

func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r(p, off) }

// ordinary HTML of 5 KB, as people send it.
func BenchmarkRead(b *testing.B) {
	text, err := os.ReadFile("testdata/newsletter.eml")
	if err != nil {
		b.Fatal(err)
	}
	raw := bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		root := message.ParseBytes(raw, message.Limits{})
		content.Read(bytes.NewReader(raw), root, raw[:message.HeaderEnd(raw)], content.Limits{})
	}
}

func BenchmarkChecks(b *testing.B) {
	text, err := os.ReadFile("testdata/newsletter.eml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		judge(b, string(text), nil)
	}
}
