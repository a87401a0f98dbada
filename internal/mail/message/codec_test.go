package message

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func TestCodec(t *testing.T) {
	for name, letter := range map[string]string{
		"plain": string(plainLetter(4096)), "deep": nested(150), "many": letterOf("x", string(bytes.Repeat([]byte("--x\n\n"), 300))),
		"envelope": "From: a <b@c>\r\nTo: g: d@e;\r\nSubject: s\r\nContent-Language: de\r\nContent-Disposition: inline; x=y\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n",
	} {
		root := mustParse(t, letter)
		encoded := root.Append([]byte("prefix"))
		back, err := Decode(encoded[6:])
		if err != nil || !reflect.DeepEqual(root, back) {
			t.Errorf("%s: %v\n%s", name, err, sketch(back))
		}
		for n := range len(encoded) - 6 {
			if _, err := Decode(encoded[6 : 6+n]); !errors.Is(err, ErrBadEncoding) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
		if _, err := Decode(append(encoded[6:], 0)); err == nil {
			t.Errorf("%s: a byte too many", name)
		}
	}
	if n := len(mustParse(t, string(plainLetter(4096))).Append(nil)); n > 250 {
		t.Errorf("a plain letter takes %d bytes", n)
	}
}

func TestDecodeHostile(t *testing.T) {
	huge := []byte{codecVersion, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}
	deep := []byte{codecVersion}
	for range 100_000 {
		deep = append(deep, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
	}
	for name, b := range map[string][]byte{"empty": nil, "other version": {codecVersion + 1}, "huge count": huge, "deep": deep} {
		allocated := testing.AllocsPerRun(1, func() {
			if _, err := Decode(b); !errors.Is(err, ErrBadEncoding) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if allocated > 1000 {
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}
