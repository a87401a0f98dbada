package message

import (
	"io"
	"strings"
	"testing"
)

func TestDecodeTransfer(t *testing.T) {
	for _, tt := range []struct{ encoding, in, want string }{
		{"base64", "aGFsbG8=", "hallo"}, {" BASE64 ", "aGFs\r\nbG8=\r\n", "hallo"},
		{"base64", "aGFsbG8", "hallo"}, {"base64", "a!G*F\x00s bG8", "hallo"}, {"base64", "aGFsbG8====aGFsbG8=", "hallohallo"},
		{"base64", "YQ==Yg==\r\n--\r\n", "ab"}, {"base64", "Y", ""}, {"base64", "====", ""}, {"base64", "", ""},
		{"quoted-printable", "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.", "Now's the time for all folk to come to the aid of their country."}, // RFC 2045 §6.7
		{"quoted-printable", "=3D=3d=C3=A9", "==é"}, {"quoted-printable", "a  \t\r\nb \n", "a\r\nb\n"},
		{"quoted-printable", "a= \t\r\nb=\nc", "abc"}, {"quoted-printable", "=ZZ =4 =", "=ZZ =4 "}, {"quoted-printable", "==41", "=A"},
		{"quoted-printable", "a b", "a b"}, {"quoted-printable", "a ", "a"}, {"quoted-printable", "a\rb", "a\rb"}, {"quoted-printable", "a=\r", "a"},
		{"quoted-printable", "a=4", "a=4"}, {"quoted-printable", "x=4=41", "x=4A"},
		{"quoted-printable", strings.Repeat(" ", 5000) + "x", strings.Repeat(" ", 5000) + "x"},
		{"7bit", "a=41", "a=41"}, {"8bit", "é", "é"}, {"binary", "\x00", "\x00"}, {"rot13", "x", "x"}, {"", "x", "x"},
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(tt.in), "bytes": &smallReader{[]byte(tt.in)}} {
			got, err := io.ReadAll(DecodeTransfer(tt.encoding, r))
			if err != nil || string(got) != tt.want {
				t.Errorf("MIME-005 %s %q (%s): %q %v, want %q", tt.encoding, tt.in, name, got, err, tt.want)
			}
		}
	}
}

func TestToUTF8(t *testing.T) {
	for _, tt := range []struct{ charset, in, want string }{
		{"iso-8859-1", "caf\xe9", "café"}, {"ISO-8859-15", "\xa4", "€"}, {"windows-1252", "\x80", "€"}, {"cp1252", "\x80", "€"},
		{"utf-8", "é", "é"}, {"utf-8", "caf\xe9", "caf\uFFFD"}, {"us-ascii", "é", "é"}, {"", "é\xff", "é\uFFFD"},
		{"iso-2022-jp", "\x1b$B%F\x1b(B!", "テ!"}, {"shift_jis", "\x83e", "テ"}, {"euc-kr", "\xb0\xa1", "가"}, {"big5", "\xa4\xa4", "中"}, {"cp936", "\xd6\xd0", "中"},
		{"utf-16", "\x00A", "A"}, {"utf-16", "\xff\xfeA\x00", "A"}, {"utf-16le", "A\x00", "A"}, {"utf-16be", "\xd8\x00\x00A", "\uFFFDA"},
		{"utf-7", "+ADw-", "+ADw-"}, {"hz-gb-2312", "~{VP~}", "~{VP~}"}, {"iso-2022-kr", "\x0e!!", "\x0e!!"}, {"utf-32", "A\xff", "A\uFFFD"},
		{"x-user-defined", "\xff", "\uFFFD"}, {strings.Repeat("x", 1024), "a", "a"}, {"ibm437", "\x82", "é"},
	} {
		got, err := io.ReadAll(ToUTF8(tt.charset, strings.NewReader(tt.in)))
		if err != nil || string(got) != tt.want {
			t.Errorf("MIME-011 %.20s %q: %q %v, want %q", tt.charset, tt.in, got, err, tt.want)
		}
	}
}

func TestPartText(t *testing.T) {
	letter := letterOf("x", "--x\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nCaf=E9 =\n=e0 la carte\n--x\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nSubject: =\n--x--\n")
	root := mustParse(t, letter)
	for i, want := range []string{"Café à la carte", "Subject: =\r\n"} {
		text, err := io.ReadAll(root.Children[i].Text(strings.NewReader(letter)))
		if err != nil || string(text) != want {
			t.Errorf("part %d: %q %v, want %q", i+1, text, err, want)
		}
	}
}
