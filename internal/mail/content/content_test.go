package content_test

import (
	"strings"
	"testing"

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
