package message

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseContentType(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"text/plain; charset=us-ascii (Plain text)", `text/plain [{charset us-ascii}] true`}, // RFC 2045 §5.1
		{`text/plain; charset="us-ascii"`, `text/plain [{charset us-ascii}] true`},
		{`message/external-body; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"`, // RFC 2231 §3
			`message/external-body [{access-type URL} {url ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar}] true`},
		{"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", `application/x-stuff [{title* us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A}] true`}, // §4
		{"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"", // §4.1
			`application/x-stuff [{title* us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!}] true`},
		{"a/b; x*1=2; x*0=1; x*3=4", `a/b [{x 12}] true`},
		{"a/b; x*1=2", `a/b [{x }] true`},
		{"a/b; n=a b c; m=d", `a/b [{n a b c} {m d}] true`},
		{`a/b; n="a\"b\\c`, `a/b [{n a"b\c}] true`},
		{"a/b; n=x (c); =y; z; ;;; m = \"q\" junk \";\" ; o=p", `a/b [{n x} {m q} {o p}] true`},
		{"text", "text/ [] false"}, {"", "/ [] false"}, {"/plain; a=b", "/plain [{a b}] false"}, {"text/; a=b", "text/ [{a b}] false"},
		{"TEXT/HTML;CHARSET=X", "text/html [{charset X}] true"},
		{"a/b; ((((; n=x", "a/b [] true"},
	} {
		typ, subtype, params, ok := parseContentType(tt.in)
		if params == nil {
			params = []Param{}
		}
		if got := fmt.Sprint(typ+"/"+subtype, " ", params, " ", ok); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
	if _, _, params, _ := parseContentType("a/b" + strings.Repeat("; a=b", 100_000)); len(params) != maxParams {
		t.Errorf("%d parameters", len(params))
	}
}

func TestParamDecoding(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"filename=a.txt", "a.txt"},
		{"filename*=utf-8''%e2%82%ac.txt; filename=euro.txt", "€.txt"},
		{"filename=euro.txt; filename*=iso-8859-1'de'%e4.txt", "ä.txt"},
		{"filename*0*=utf-8''%e2%82; filename*1*=%ac", "€"},
		{`filename="=?utf-8?q?=e2=82=ac?="`, "€"},
		{"filename*=%41", "A"}, {"filename*=''%4", "%4"}, {"filename*=x'y'%ff", "\uFFFD"},
		{"filename=\"a\xffb\"", "a\uFFFDb"},
		{"filename*=utf-8''%0d%0ax%00", "  x\uFFFD"},
	} {
		_, params := parseDisposition("attachment; " + tt.in)
		if got := (&Part{DispParams: params}).FileName(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := (&Part{Params: []Param{{"name", "x"}}}).FileName(); got != "x" {
		t.Errorf("name: %q", got)
	}
}
