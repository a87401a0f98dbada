package message

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func previewOf(t *testing.T, text string) string {
	t.Helper()
	b := []byte(strings.ReplaceAll(text, "\n", "\r\n"))
	got, err := Preview(bytes.NewReader(b), ParseBytes(b, Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestPreview(t *testing.T) {
	const html = "Content-Type: text/html\n\n"
	for in, want := range map[string]string{
		"Subject: x\n\n  Hello,\n\n\tworld \n": "Hello, world",
		"Subject: x\n\n":                       "",
		html + "<p>a<br>b</p>c":                "a b c",
		html + "<style>p{}</style><script>1<2</script><title>t</title>x &lt; y": "x < y",
		html + "<p title=\"a>b\">word":                                          "word",
		html + "zero\u200b width\ufeff \u034f end":                              "zero width end",
		"Content-Type: text/plain; charset=iso-8859-1\n\n\xe4pfel":              "äpfel",
		"Content-Type: image/png\n\nx":                                          "",
		"Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Disposition: attachment\n\nno\n--b\n\nyes\n--b--\n":          "yes",
		"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<b>rich\n--b\n\nplain\n--b--\n":               "plain",
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<b>rich\n--b\n\nplain\n--b--\n":                     "rich",
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\nforwarded\n--b\n\nmine\n--b--\n": "mine",
		"Content-Transfer-Encoding: base64\n\nSGVsbG8gd29ybGQ=\n":                                                                         "Hello world",
		"\n" + strings.Repeat("ab ", 500): strings.Repeat("ab ", 66) + "ab",
		"\n\x00\x01a\x1b[31m b":           "a[31m b",
	} {
		if got := previewOf(t, in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzPreview(f *testing.F) {
	f.Add("Content-Type: text/html; charset=utf-7\n\n<p>+ADw-<!--")
	f.Add("Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<b>rich\n--b\n\nplain\n--b--\n")
	f.Fuzz(func(t *testing.T, text string) {
		got := previewOf(t, text)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > MaxPreview || strings.ContainsAny(got, "\r\n\t\x00") {
			t.Errorf("%q", got)
		}
	})
}

// TestParseBytes: in memory a message is read as it is from a stream, lines longer
// than the window included.
func TestParseBytes(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	words := []string{"\r\n", "\n", "\r", "--b", "--b--", "--bb", "--bb--", " ", "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: message/rfc822\r\n",
		"Content-Type: multipart/digest; boundary=bb\r\n", "\r\n\r\n", "Subject: x\r\n", strings.Repeat("y", 1000), strings.Repeat(" ", sourceSize+10), strings.Repeat("z", sourceSize-3), "To: a@b\r\n"}
	for range 2000 {
		var b []byte
		for range rnd.IntN(30) {
			b = append(b, words[rnd.IntN(len(words))]...)
		}
		want, err := Parse(bytes.NewReader(b), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := ParseBytes(b, Limits{}); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %.300q", seed, b)
		}
	}
}
