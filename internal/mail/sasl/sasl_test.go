package sasl

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// run feeds responses and returns the challenges, joined.
func run(mechanism string, responses ...[]byte) (Credentials, string, error) {
	s := NewServer(mechanism)
	var said []string
	for _, r := range responses {
		challenge, done, err := s.Next(r)
		if err != nil {
			return Credentials{}, strings.Join(said, ","), err
		}
		if done {
			return s.Credentials(), strings.Join(said, ","), nil
		}
		said = append(said, string(challenge))
	}
	return Credentials{}, strings.Join(said, ","), errors.New("not done")
}

func TestServer(t *testing.T) {
	good := Credentials{"tim", "tanstaaftanstaaf"} // RFC 4616 §4
	for _, c := range []struct {
		name, mechanism string
		in              [][]byte
		said            string
		ok              bool
	}{
		{"RFC 4616 initial", "PLAIN", [][]byte{[]byte("\x00tim\x00tanstaaftanstaaf")}, "", true},
		{"after challenge", "plain", [][]byte{nil, []byte("\x00tim\x00tanstaaftanstaaf")}, "", true},
		{"as oneself", "PLAIN", [][]byte{[]byte("tim\x00tim\x00tanstaaftanstaaf")}, "", true},
		{"as another", "PLAIN", [][]byte{[]byte("root\x00tim\x00tanstaaftanstaaf")}, "", false},
		{"no password", "PLAIN", [][]byte{[]byte("\x00tim\x00")}, "", false},
		{"no name", "PLAIN", [][]byte{[]byte("\x00\x00tanstaaftanstaaf")}, "", false},
		{"too few", "PLAIN", [][]byte{[]byte("tim\x00tanstaaftanstaaf")}, "", false},
		{"too many", "PLAIN", [][]byte{[]byte("\x00tim\x00tanstaaftanstaaf\x00")}, "", false},
		{"empty initial", "PLAIN", [][]byte{{}}, "", false},
		{"nothing twice", "PLAIN", [][]byte{nil, nil}, "", false},
		{"not UTF-8", "PLAIN", [][]byte{[]byte("\x00t\xffm\x00tanstaaftanstaaf")}, "", false},
		{"long", "PLAIN", [][]byte{[]byte("\x00tim\x00" + strings.Repeat("a", MaxField+1))}, "", false},
		{"login", "LOGIN", [][]byte{nil, []byte("tim"), []byte("tanstaaftanstaaf")}, "Username:,Password:", true},
		{"login initial", "LOGIN", [][]byte{[]byte("tim"), []byte("tanstaaftanstaaf")}, "Password:", true},
		{"login NUL", "LOGIN", [][]byte{[]byte("t\x00m"), []byte("tanstaaftanstaaf")}, "Password:", false},
		{"login empty", "LOGIN", [][]byte{nil, []byte("tim"), {}}, "Username:,Password:", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, said, err := run(c.mechanism, c.in...)
			if (err == nil) != c.ok || c.ok && got != good || strings.Trim(said, ",") != c.said {
				t.Errorf("got %v, said %q, %v", got, said, err)
			}
		})
	}
	if NewServer("CRAM-MD5") != nil {
		t.Error("a mechanism that is not there")
	}
}

func TestClientMeetsServer(t *testing.T) {
	cred := Credentials{"büro@example.org", "pass word"}
	if got, _, err := run("PLAIN", Plain(cred)); err != nil || got != cred {
		t.Error("PLAIN", got, err)
	}
	server, client := NewServer("LOGIN"), Login{Credentials: cred}
	challenge, done, err := server.Next(nil)
	for !done && err == nil {
		var response []byte
		if response, err = client.Next(challenge); err == nil {
			challenge, done, err = server.Next(response)
		}
	}
	if err != nil || server.Credentials() != cred {
		t.Error("LOGIN", server.Credentials(), err)
	}
	if _, err := client.Next([]byte("More:")); err == nil {
		t.Error("the client answers for ever")
	}
}

func TestDecode(t *testing.T) {
	if _, err := Decode([]byte("*")); err != ErrCanceled {
		t.Error("cancel", err)
	}
	for _, in := range []string{"=", ""} {
		if b, err := Decode([]byte(in)); err != nil || b == nil || len(b) != 0 {
			t.Errorf("%q: %v %v", in, b, err)
		}
	}
	for _, in := range []string{"a", "AHRpbQB0\r\nYW5z", "!!!!", "AB=="} {
		if b, err := Decode([]byte(in)); err == nil {
			t.Errorf("%q: %q, want an error", in, b)
		}
	}
	if b, err := Decode([]byte(Encode([]byte("\x00a\x00b")))); err != nil || !bytes.Equal(b, []byte("\x00a\x00b")) {
		t.Error(b, err)
	}
}

func FuzzServer(f *testing.F) {
	f.Add("PLAIN", []byte("\x00a\x00b"), []byte(""))
	f.Add("LOGIN", []byte("a"), []byte("b"))
	f.Fuzz(func(t *testing.T, mechanism string, one, two []byte) {
		s := NewServer(mechanism)
		if s == nil {
			return
		}
		_, done, err := s.Next(one)
		if !done && err == nil {
			_, done, err = s.Next(two)
		}
		c := s.Credentials()
		if (done && err == nil) != (c.User != "" && c.Password != "") {
			t.Errorf("done %v, err %v, credentials %v", done, err, c)
		}
	})
}
