package content_test

import (
	"encoding/base64"
	"facteur/internal/mail/archive"
	"facteur/internal/test/doubling"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// read is content.Read of a letter written with LF.
func read(t testing.TB, letter string) *content.Letter {
	t.Helper()
	return readRaw(strings.ReplaceAll(letter, "\n", "\r\n"))
}

func readRaw(letter string) *content.Letter {
	root := message.ParseBytes([]byte(letter), message.Limits{})
	h := message.Header(letter[:message.HeaderEnd([]byte(letter))])
	return content.Read(strings.NewReader(letter), root, h, content.Limits{})
}

// A letter in a file, with the line ends of Unix, is made of the same as when it came.
func TestLineEnds(t *testing.T) {
	letter := htmlHead + "<p>\n<b>See</b>\nyou\n</p>\n"
	if came, kept := read(t, letter).HTML, readRaw(letter).HTML; !reflect.DeepEqual(came, kept) {
		t.Errorf("%+v as it came, %+v in a file", came, kept)
	}
}

const htmlHead = "Subject: x\nContent-Type: text/html; charset=utf-8\n\n"

// What an eye sees of HTML, and what it does not.
func TestHTML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, html, text, hidden string }{
		{"blocks part words, tags do not", "<p>V<b></b>ia<!-- x -->gra<p>now<br>or never<table><tr><td>a<td>b<tr><td>c</table>", "Viagra\nnow\nor never\na b\nc", "x"},
		{"display", `a<div style="Display : NONE !important">b<span>c</span></div>d`, "a\nd", "b c"},
		{"visibility", `a<span style="visibility:hidden">b<i style="visibility:visible">c</i></span>d`, "acd", "b"},
		{"size", `a <font style="font-size:1px">b</font> <span style="font:0/0 a">c</span> <span style='font: bold 14px Arial'>d</span>`, "a d", "b c"},
		{"small outside, readable inside", `<td style="font-size:0"><span style="font-size:14px">a</span>b</td>`, "a", "b"},
		{"colour", `<body bgcolor="#FFFFFF"><font color="#FEFEFE">a</font><p style="color:white">b</p>c<div style="background:#000;color:#fff">d</div>`, "c\nd", "a b"},
		{"colour on a picture", `<td background="x.png"><span style="color:#fff">a</span></td>`, "a", ""},
		{"colour by a sheet", "<style>.w{color:#fff} @media (max-width:600px){.m{display:none}} #h , p.n { display:none }</style><p class='x w'>a</p><p class=m>b</p><p id=h>c</p><p class=n>d</p>e", "b\ne", "a c d"},
		{"out of the screen", `a<div style="position:absolute; left:-9999px">b</div><p style="text-indent:-5000px">c</p>d`, "a\nd", "b c"},
		{"no height", `<div style="max-height:0;overflow:hidden">b</div><div style="height:0">c</div>`, "c", "b"},
		{"opacity and attribute", `<p style="opacity:0">b</p><p hidden>c</p>d`, "d", "b c"},
		{"title, script, style", "<head><title>b</title><style>x{}</style></head><script>y</script>a", "a", "b"},
		{"alternate text", `<img src=cid:1 alt="Click here">`, "Click here", ""},
		{"entities", "a&#98;&nbsp;&lt;c&gt;&eacute;", "ab <c>é", ""},
		{"without width", "V\u200bi\u00adagra \u200b x", "Viagra x", ""},
		{"unclosed", "<p style='display:none'>a<p>b<li style='display:none'>c<li>d", "b\nd", "a c"},
		{"conditional comments", "<!--[if mso]><p>x</p><![endif]-->a", "a", ""},
		{"end of a small one reaches not beyond a table", "<span style='display:none'>h<table><tr><td></span>x</td></tr></table></span>y", "y", "h x"},
	} {
		l := read(t, htmlHead+c.html)
		if l.Text != c.text || l.Hidden != c.hidden {
			t.Errorf("%s:\n got %q, hidden %q\nwant %q, hidden %q", c.name, l.Text, l.Hidden, c.text, c.hidden)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url, host string
		tricks    content.Trick
	}{
		{"https://Www.Example.COM/a?b#c", "www.example.com", 0},
		{"//example.com/x", "example.com", 0},
		{"http://bank.example@evil.example/", "evil.example", content.UserInfo},
		{"https://git@evil.example/x", "evil.example", 0},
		{"http://anna:secret@nas.example/", "nas.example", 0},
		{"http://x:bank.example@evil.example/", "evil.example", content.UserInfo},
		{"http://bank%2eexample@evil.example/", "evil.example", content.UserInfo},
		{"http://192.0.2.1:8080/", "192.0.2.1", content.BareAddress},
		{"http://[2001:db8::1]/", "2001:db8::1", content.BareAddress},
		{"http://3221225985/", "192.0.2.1", content.BareAddress | content.OddAddress},
		{"http://0xC0.0.2.0x1/", "192.0.2.1", content.BareAddress | content.OddAddress},
		{"http://0300.0.01001", "192.0.2.1", content.BareAddress | content.OddAddress},
		{"http://%65vil.example/", "evil.example", content.EscapedHost},
		{"http://ｅｖｉｌ.example/", "evil.example", content.EscapedHost},
		{`http:\\evil.example\x`, "evil.example", content.BadForm},
		{"ht\ntp://ev\til.example/", "evil.example", 0},
		{"http:evil.example", "evil.example", content.BadForm},
		{"javascript:alert(1)", "", content.RunsCode},
		{"data:text/html;base64,xx", "", content.RunsCode},
		{"https://bit.ly/abc", "bit.ly", content.Shortener},
		{"https://müller.example/", "xn--mller-kva.example", content.International},
		{"https://рaypal.com/", "xn--aypal-uye.com", content.International | content.MixedScript},
		{"https://www.google.com/url?sa=t&url=https%3A%2F%2Fevil.example%2F", "www.google.com", content.Redirect},
		{"mailto:a@example.org", "", 0},
		{"http:///", "", content.BadForm},
	} {
		if l := content.ParseLink(c.url); l.Host != c.host || l.Tricks != c.tricks {
			t.Errorf("%s: %q %v; want %q %v", c.url, l.Host, l.Tricks.Words(), c.host, c.tricks.Words())
		}
	}
}

const zip = "UEsDBAoAAAAAAAAAIQBt5PHaAwAAAAMAAAAEAAAAYS5qc3g9MVBLAQIUAwoAAAAAAAAAIQBt5PHaAwAAAAMAAAAEAAAAAAAAAAAAAACkgQAAAABhLmpzUEsFBgAAAAABAAEAMgAAACUAAAAAAA=="

func fileNames(l *content.Letter) (names []string) {
	for i := range l.Files {
		l.Files[i].Walk(func(f *archive.File, _ []*archive.File) { names = append(names, f.Name) })
	}
	return names
}

// What is shown, what stands aside, what is a file.
func TestParts(t *testing.T) {
	t.Parallel()
	l := read(t, `Subject: =?iso-8859-1?Q?Vos_r=E9sultats?=
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Le caf=E9, voir http://example.org/a.
--a
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html; charset=utf-8

<p>Le <b>café</b>, <a href="http://example.net/b">www.example.org</a><img src="cid:1"><img src="https://example.com/p.gif" width=1 height=1>
--r
Content-Type: image/png
Content-ID: <1>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--r--
--a--
--m
Content-Type: application/pdf; name="scan.pdf"
Content-Disposition: attachment
Content-Transfer-Encoding: base64

`+zip+`
--m--
`)
	if l.Subject != "Vos résultats" || l.Text != "Le café, www.example.org" || l.Other != "Le café, voir http://example.org/a." || l.Hidden != "" {
		t.Errorf("%+v", l)
	}
	if got := strings.Join(fileNames(l), " "); got != " scan.pdf a.js" || l.Files[1].Declared != "application/pdf" || l.Files[1].Real != "application/zip" || l.Files[1].Part != "2" || !l.Files[0].Inline {
		t.Errorf("files %q: %+v", got, l.Files)
	}
	var links []string
	for _, k := range l.Links {
		links = append(links, string(k.Where)+" "+k.Host+" "+k.ShownHost+" "+strings.Join(k.Tricks.Words(), ","))
	}
	if got := strings.Join(links, "; "); got != "text example.org  ; anchor example.net www.example.org shows another host than it leads to; image example.com  " {
		t.Errorf("links: %s", got)
	}
	if h := l.HTML; h.Pages != 1 || h.Images != 2 || h.Remote != 1 || h.Tiny != 1 {
		t.Errorf("%+v", h)
	}
}

// In each of these letters another program may see a.js, or the word "secret": so does
// the filter.
func TestUnion(t *testing.T) {
	t.Parallel()
	const part = "Content-Type: application/zip; name=x.zip\nContent-Transfer-Encoding: base64\n\n" + zip + "\n"
	const head = "Subject: x\nMIME-Version: 1.0\n"
	for _, c := range []struct{ name, letter string }{
		{"plain", head + "Content-Type: multipart/mixed; boundary=x\n\n--x\n" + part + "--x--\n"},
		{"MIME-004 the boundary of the second parameter", head + "Content-Type: multipart/mixed; boundary=x; boundary=y\n\n--x\n\nhello\n--x--\n--y\n" + part + "--y--\n"},
		{"MIME-004 no boundary", head + "Content-Type: multipart/mixed\n\n--x\n" + part + "--x--\n"},
		{"MIME-004 a boundary that is the beginning of another", head + "Content-Type: multipart/mixed; boundary=abc; boundary=ab\n\n--abc\n\nhi\n--ab\n" + part + "--ab--\n--abc--\n"},
		{"MIME-004 after the last delimiter", head + "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhello\n--x--\n--x\n" + part + "--x--\n"},
		{"MIME-004 before the first delimiter", head + "Content-Type: multipart/mixed; boundary=x\n\n--y\n" + part + "--y--\n--x\n\nhello\n--x--\n"},
		{"MIME-004 a boundary too long", head + "Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 2049) + "\n\n--" + strings.Repeat("b", 2049) + "\n" + part + "--" + strings.Repeat("b", 2049) + "--\n"},
		{"MIME-004 the same boundary inside", head + "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x--\n--x\n" + part + "--x--\n--x--\n"},
		{"MIME-005 two types", head + "Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=x\n\n--x\n" + part + "--x--\n"},
		{"MIME-005 two encodings", head + "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: application/zip; name=x.zip\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\n" + zip + "\n--x--\n"},
		{"MIME-005 an unknown encoding", head + "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: application/zip; name=x.zip\nContent-Transfer-Encoding: base-64\n\n" + zip + "\n--x--\n"},
		{"MIME-005 an encoded message", head + "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + fold(base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(head+"Content-Type: multipart/mixed; boundary=x\n\n--x\n"+part+"--x--\n", "\n", "\r\n"))))},
		{"MIME-005 an encoded multipart", head + "Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n" + fold(base64.StdEncoding.EncodeToString([]byte("--x\r\n"+strings.ReplaceAll(part, "\n", "\r\n")+"--x--\r\n")))},
		{"MIME-005 junk in base64", head + "Content-Type: application/zip; name=x.zip\nContent-Transfer-Encoding: base64\n\n" + strings.ReplaceAll(zip, "A", "A!\n -")},
		{"MIME-005 = within base64", head + "Content-Type: application/zip; name=x.zip\nContent-Transfer-Encoding: base64\n\n" + zip[:10] + "=" + zip[10:]},
		{"MIME-005 no padding", head + "Content-Type: application/zip; name=x.zip\nContent-Transfer-Encoding: base64\n\n" + strings.TrimRight(zip, "=")},
	} {
		if l := read(t, c.letter); !slices.Contains(fileNames(l), "a.js") {
			t.Errorf("%s: %q, odd %b, text %q", c.name, fileNames(l), l.Odd, l.Text)
		}
	}
}

func fold(s string) string {
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + "\n")
		s = s[76:]
	}
	return b.String() + s + "\n"
}

// The end of one encoded word and the beginning of the next name no charset: base64 may end
// with "=", so that "=?=" stands there.
func TestCharsetsOfASubject(t *testing.T) {
	l := read(t, "Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\n\t=?UTF-8?Q?a=3F?= =?utf-8*en?q?b?=\nContent-Type: text/plain; charset=us-ascii\n\nx\n")
	if want := []string{"iso-2022-jp", "utf-8", "us-ascii"}; !slices.Equal(l.Charsets, want) {
		t.Errorf("%q, want %q", l.Charsets, want)
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ want, text string }{
		{"fr", "Bonjour, je vous remercie pour votre message. Nous avons bien reçu votre commande et elle sera livrée dans la semaine."},
		{"en", "Thank you for your letter. We have received your order and it will be delivered to you in the course of the week."},
		{"de", "Vielen Dank für Ihre Nachricht. Wir haben die Bestellung erhalten und sie wird in der nächsten Woche bei Ihnen sein."},
		{"es", "Gracias por su mensaje. Hemos recibido el pedido y se lo enviaremos a la dirección que nos dio en los próximos días, como siempre."},
		{"it", "Grazie per il messaggio. Abbiamo ricevuto il tuo ordine e sarà consegnato nel corso della settimana, non è necessario che tu sia in casa."},
		{"nl", "Dank u wel voor uw bericht. Wij hebben de bestelling ontvangen en het zal in de loop van de week bij u worden bezorgd."},
		{"pt", "Obrigado pela sua mensagem. Recebemos o pedido e ele será entregue no endereço que você nos deu, não é preciso fazer mais nada para isso."},
		{"ru", "Спасибо за ваше письмо. Мы получили ваш заказ."},
		{"uk", "Дякуємо за ваш лист. Ми отримали ваше замовлення і його буде доставлено."},
		{"zh", "感谢您的来信。我们已经收到您的订单，将在本周内送达您的地址。"},
		{"ja", "お手紙ありがとうございます。ご注文を承りました。今週中にお届けします。"},
		{"ko", "편지 감사합니다. 주문을 받았으며 이번 주에 배달됩니다."},
		{"ar", "شكرا على رسالتك. لقد تلقينا طلبك وسيتم تسليمه خلال الأسبوع."},
		{"", "ok 12345"},
	} {
		l := read(t, "Content-Type: text/plain; charset=utf-8\n\n"+c.text)
		got := ""
		if len(l.Languages) > 0 {
			got = l.Languages[0].Code
		}
		if got != c.want {
			t.Errorf("%s: %+v", c.want, l.Languages)
		}
	}
}

// The cost is linear in the letter, whatever is in it.
func TestDoubling(t *testing.T) {
	for _, c := range []struct {
		name, unit string
		n          int
	}{
		{"MIME-005 open tags", "<div><span style='color:#fff'>", 4000},
		{"MIME-005 end tags", "</p></table>", 8000},
		{"MIME-005 one style sheet", "<style>.a{color:red}</style>", 4000},
		{"MIME-005 attributes", "<p a=b c=d e=f class='a b c d e f g h i j' style='x:y;x:y'>", 3000},
		{"MIME-005 links", "<a href='http://example.org/?u=https%3A%2F%2Fa.example'>x</a>", 3000},
		{"MIME-005 texts of links", "<a href='http://a'>", 8000},
		{"MIME-005 comments", "<!--x", 8000},
		{"MIME-005 words without width", "a\u200b", 30000},
		{"MIME-005 numbers", "&#65;&#x;&", 20000},
		{"MIME-004 delimiters", "--x\r\nContent-Type: text/plain\r\n\r\n", 3000},
	} {
		doubling.Check(t, c.name, c.n, func(n int) func() {
			letter := "Content-Type: text/html\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n" + strings.Repeat(c.unit, n)
			return func() { readRaw(letter) }
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{htmlHead + "<p style='color:#fff'>a<a href=//b>c</a>", "Content-Type: multipart/mixed; boundary=x; boundary=y\n\n--y\nContent-Type: application/zip\nContent-Transfer-Encoding: base64\n\n" + zip + "\n--x--",
		"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nAAAA", "Subject: =?utf-8?q?a?=\n\nwww.example.org http://0x7f.1/%41"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, letter string) {
		l := readRaw(letter)
		for _, s := range []string{l.Subject, l.Text, l.Other, l.Hidden} {
			if !utf8.ValidString(s) {
				t.Errorf("not UTF-8: %q", s)
			}
		}
		if len(l.Text) > 256<<10 || len(l.Links) > 1000 || len(l.Files) > 1000 {
			t.Error("beyond the limits")
		}
		for _, k := range l.Links {
			if k.Host != "" && (strings.ContainsAny(k.Host, " /@\\%") || k.Host != strings.ToLower(k.Host)) || !utf8.ValidString(k.URL+k.Shown) {
				t.Errorf("host %q of %q", k.Host, k.URL)
			}
		}
	})
}

func TestIsLanguage(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"fr": true, "ja": true, "zu": true, "aa": true, "jp": false, "cz": false, "ua": false, "": false, "a": false, "f ": false, " f": false, "FR": false, "fra": false} {
		if content.IsLanguage(code) != want {
			t.Errorf("%q: %v", code, !want)
		}
	}
	for _, c := range []struct {
		guess, code string
		want        bool
	}{{"fr", "fr", true}, {"ar", "fa", true}, {"ru", "mk", true}, {"da", "no", true}, {"fa", "ar", false}, {"fr", "en", false}, {"ar", "", false}} {
		if content.MayBe(c.guess, c.code) != c.want {
			t.Errorf("%s may be %s: %v", c.guess, c.code, !c.want)
		}
	}
}
