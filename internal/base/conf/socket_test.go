package conf

import (
	"strings"
	"testing"
)

func TestSocket(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1:25":                          "192.0.2.1:25",
		":25":                                   ":25",
		"[::1]":                                 "::1",
		"unix:/run/facteur/lmtp":                "unix:/run/facteur/lmtp",
		"unix:/run//a/../b":                     "unix:/run/b",
		"unix:lmtp":                             "",
		"unix:":                                 "",
		"unix:/a\nb":                            "",
		"unix:/" + strings.Repeat("x", pathMax): "",
		"/run/facteur/lmtp":                     "",
		"a b":                                   "",
	} {
		var s Socket
		err := s.UnmarshalText([]byte(text))
		if want == "" {
			if err == nil {
				t.Errorf("%q was taken as %s", text, s)
			}
			continue
		}
		if err != nil || s.String() != want {
			t.Errorf("%q: %s, %v", text, s, err)
		}
	}
	if got := (Socket{Path: "/x"}).WithPort(25); got.Port != 0 {
		t.Errorf("a path has the port %d", got.Port)
	}
}

func TestMode(t *testing.T) {
	for text, want := range map[string]Mode{"0660": 0o660, "600": 0o600, "0777": 0o777, "": 0} {
		var m Mode
		if err := m.UnmarshalText([]byte(text)); err != nil || m != want {
			t.Errorf("%q: %o, %v", text, m, err)
		}
	}
	for _, text := range []string{"0000", "6", "0o66", "0888", "1777", "-060", "00660"} {
		if err := new(Mode).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if b, _ := Mode(0o60).MarshalText(); string(b) != "0060" {
		t.Errorf("%s", b)
	}
}

func TestMappedPrefix(t *testing.T) {
	var p Prefix
	if err := p.UnmarshalText([]byte("::ffff:192.0.2.0/120")); err != nil || p.String() != "192.0.2.0/24" {
		t.Errorf("REL-017: %s, %v", p, err)
	}
}
