package message

import (
	"strings"
	"testing"
)

var wordTests = []struct{ in, want string }{
	{"plain text", "plain text"},
	{"=?ISO-8859-1?Q?a?=", "a"}, // RFC 2047 §8
	{"=?ISO-8859-1?Q?a?= b", "a b"},
	{"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
	{"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"},
	{"=?ISO-8859-1?Q?a_b?=", "a b"},
	{"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"},
	{"=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"},
	{"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"},
	{"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=", "If you can read this you understand the example."},
	{"=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "םולש ןב ילטפנ"},
	{"=?utf-8*en?q?a?=", "a"}, // RFC 2231 §5
	{"=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=", "テスト"},
	{"=?koi8-r?B?9MXT1A==?=", "Тест"},
	{"=?gb2312?B?suLK1A==?=", "测试"},
	{"=?utf-8?q?=e2=82?= =?utf-8?q?=ac?=", "€"}, // MIME-009: a character split across words
	{"=?utf-8?b?4oI?= =?UTF-8?b?rA?=", "€"},     // no padding
	{"=?utf-8?q?=e2=82?= x =?utf-8?q?=ac?=", "\uFFFD x \uFFFD"},
	{"x=?utf-8?q?a?=y", "xay"}, // glued, as broken mailers do
	{"=?utf-8?q?a b?=", "a b"}, // spaces inside, the same
	{"=?x?q?a?= =?utf-7?q?+AGE-?= =?hz-gb-2312?q?~?=", "=?x?q?a?= =?utf-7?q?+AGE-?= =?hz-gb-2312?q?~?="},
	{"=?utf-8?x?a?= =?utf-8?q?a", "=?utf-8?x?a?= =?utf-8?q?a"},
	{"=?utf-8?q?=ZZ=4?=", "=ZZ=4"},
	{"=?utf-8?b?!!!?=", ""},
	{"=?utf-8?q?=0d=0aBcc:?= =?utf-8?q?_x=00y=1b?=", "  Bcc: x\uFFFDy\uFFFD"},
	{"=?utf-8?q?=3D=3Futf-8=3Fq=3Fa=3F=3D?=", "=?utf-8?q?a?="}, // not decoded twice
	{"=?utf-8?q?=?utf-8?q?a?=?=", "=?utf-8?q?a?="},
	{"a\r\n b\x00\xff\u0085", "a   b\uFFFD\uFFFD\uFFFD"},
	{"=??q?a?= =?", "=??q?a?= =?"},
}

func TestDecodeText(t *testing.T) {
	for _, tt := range wordTests {
		t.Run("MIME-009 "+tt.in, func(t *testing.T) {
			if got := DecodeText(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := DecodeText(strings.Repeat("=?", 50_000)); len(got) != 100_000 {
		t.Errorf("MIME-009: %d bytes", len(got))
	}
}
