package sasl

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

// court knows one user of each mechanism and remembers who got in.
type court struct {
	user, password string
	came           string
}

func (c *court) judge() Judge {
	return Judge{
		Password: func(got Credentials) error {
			if c.came = got.User; got != (Credentials{c.user, c.password}) {
				return ErrWrong
			}
			return nil
		},
		Keys: func(user string, h Hash) (Keys, error) {
			if c.came = user; user != c.user {
				return MakeKeys(h, "nobody's", []byte("salt of nobody"), 4096)
			}
			return MakeKeys(h, c.password, []byte("salt of somebody"), 4096)
		},
		Context: func(user string) (MD5Context, error) {
			if c.came = user; user != c.user {
				return MakeMD5Context("nobody's"), nil
			}
			return MakeMD5Context(c.password), nil
		},
		Token: func(user, token string) error {
			if c.came = user; token != c.password {
				return ErrWrong
			}
			return nil
		},
		Certificate: func(user string) error {
			if c.came = user; user != "" && user != c.user {
				return ErrProxy
			}
			return nil
		},
	}
}

// run feeds responses and returns the challenges, joined.
func run(s Server, responses ...[]byte) (string, error) {
	var said []string
	for _, r := range responses {
		challenge, done, err := s.Next(r)
		if err != nil || done {
			return strings.Join(said, ","), err
		}
		said = append(said, string(challenge))
	}
	return strings.Join(said, ","), errors.New("not done")
}

func TestPasswords(t *testing.T) {
	tim := court{user: "tim", password: "tanstaaftanstaaf"} // RFC 4616 §4
	for _, c := range []struct {
		name, mechanism string
		in              [][]byte
		said            string
		err             error
	}{
		{"RFC 4616 initial", "PLAIN", [][]byte{[]byte("\x00tim\x00tanstaaftanstaaf")}, "", nil},
		{"after challenge", "plain", [][]byte{nil, []byte("\x00tim\x00tanstaaftanstaaf")}, "", nil},
		{"as oneself", "PLAIN", [][]byte{[]byte("tim\x00tim\x00tanstaaftanstaaf")}, "", nil},
		{"as another", "PLAIN", [][]byte{[]byte("root\x00tim\x00tanstaaftanstaaf")}, "", ErrProxy},
		{"wrong", "PLAIN", [][]byte{[]byte("\x00tim\x00tanstaaf")}, "", ErrWrong},
		{"no password", "PLAIN", [][]byte{[]byte("\x00tim\x00")}, "", ErrSyntax},
		{"no name", "PLAIN", [][]byte{[]byte("\x00\x00tanstaaftanstaaf")}, "", ErrSyntax},
		{"too few", "PLAIN", [][]byte{[]byte("tim\x00tanstaaftanstaaf")}, "", ErrSyntax},
		{"too many", "PLAIN", [][]byte{[]byte("\x00tim\x00tanstaaftanstaaf\x00")}, "", ErrSyntax},
		{"empty initial", "PLAIN", [][]byte{{}}, "", ErrSyntax},
		{"nothing twice", "PLAIN", [][]byte{nil, nil}, "", ErrSyntax},
		{"not UTF-8", "PLAIN", [][]byte{[]byte("\x00t\xffm\x00tanstaaftanstaaf")}, "", ErrSyntax},
		{"long", "PLAIN", [][]byte{[]byte("\x00tim\x00" + strings.Repeat("a", MaxField+1))}, "", ErrSyntax},
		{"login", "LOGIN", [][]byte{nil, []byte("tim"), []byte("tanstaaftanstaaf")}, "Username:,Password:", nil},
		{"login initial", "LOGIN", [][]byte{[]byte("tim"), []byte("tanstaaftanstaaf")}, "Password:", nil},
		{"login wrong", "LOGIN", [][]byte{[]byte("tim"), []byte("tanstaaf")}, "Password:", ErrWrong},
		{"login NUL", "LOGIN", [][]byte{[]byte("t\x00m"), []byte("tanstaaftanstaaf")}, "Password:", ErrSyntax},
		{"login empty", "LOGIN", [][]byte{nil, []byte("tim"), {}}, "Username:,Password:", ErrSyntax},
		{"external", "EXTERNAL", [][]byte{{}}, "", nil},
		{"external asked", "EXTERNAL", [][]byte{nil, []byte("tim")}, "", nil},
		{"external as another", "EXTERNAL", [][]byte{[]byte("root")}, "", ErrProxy},
		{"external NUL", "EXTERNAL", [][]byte{[]byte("tim\x00")}, "", ErrSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			said, err := run(NewServer(c.mechanism, tim.judge()), c.in...)
			if !errors.Is(err, c.err) || strings.Trim(said, ",") != c.said {
				t.Errorf("said %q, %v; want %v", said, err, c.err)
			}
		})
	}
}

// A mechanism that nobody can judge does not exist.
func TestWhatIsNotThere(t *testing.T) {
	for _, m := range append(Mechanisms(), "DIGEST-MD5", "ANONYMOUS", "") {
		if NewServer(m, Judge{}) != nil {
			t.Errorf("%s without a judge", m)
		}
	}
	j := (&court{}).judge()
	for _, m := range Mechanisms() {
		if there := NewServer(strings.ToLower(m), j) != nil; there == strings.HasSuffix(m, "-PLUS") {
			t.Errorf("%s without a binding: %v", m, there)
		}
	}
	j.Bindings = []Binding{{TLSExporter, []byte("x")}}
	if NewServer(SCRAMSHA256Plus, j) == nil {
		t.Error("no -PLUS with a binding")
	}
}

func TestLoginClientMeetsServer(t *testing.T) {
	c := court{user: "büro@example.org", password: "pass word"}
	cred := Credentials{c.user, c.password}
	if _, err := run(NewServer("PLAIN", c.judge()), Plain(cred)); err != nil {
		t.Error("PLAIN", err)
	}
	server, client := NewServer("LOGIN", c.judge()), Login{Credentials: cred}
	challenge, done, err := server.Next(nil)
	for !done && err == nil {
		var response []byte
		if response, err = client.Next(challenge); err == nil {
			challenge, done, err = server.Next(response)
		}
	}
	if err != nil {
		t.Error("LOGIN", err)
	}
	if _, err := client.Next([]byte("More:")); err == nil {
		t.Error("the client answers for ever")
	}
}

func TestCRAM(t *testing.T) {
	c := court{user: "tim", password: "tanstaaftanstaaf"}
	j := c.judge()
	j.Nonce, j.Hostname = "1896.697170952", "postoffice.reston.mci.net" // RFC 2195 §2
	const good = "tim b913a602c7eda7a495b4e6e7334d3890"
	if got := CRAM(Credentials{c.user, c.password}, []byte("<1896.697170952@postoffice.reston.mci.net>")); string(got) != good {
		t.Errorf("RFC 2195: the client says %s", got)
	}
	for response, want := range map[string]error{
		good:                                   nil,
		"tim b913a602c7eda7a495b4e6e7334d3891": ErrWrong,
		"tom b913a602c7eda7a495b4e6e7334d3890": ErrWrong,
		"tim b913a602c7eda7a495b4e6e7334d389":  ErrSyntax,
		good + "00":                            ErrSyntax,
		"tim":                                  ErrSyntax,
		" b913a602c7eda7a495b4e6e7334d3890":    ErrSyntax,
		"":                                     ErrSyntax,
	} {
		s := NewServer("CRAM-MD5", j)
		said, err := run(s, nil, []byte(response))
		if !errors.Is(err, want) || said != "<1896.697170952@postoffice.reston.mci.net>" {
			t.Errorf("%q: said %q, %v; want %v", response, said, err, want)
		}
	}
	if _, err := run(NewServer("CRAM-MD5", c.judge()), []byte(good)); !errors.Is(err, ErrSyntax) {
		t.Error("an answer before the question:", err)
	}
	long := strings.Repeat("k", 100)
	for _, password := range []string{"x", long, long[:64], long[:65]} {
		kept, err := ParseMD5Context(MakeMD5Context(password).Encode())
		_, want, _ := bytes.Cut(CRAM(Credentials{"u", password}, []byte("text")), []byte(" "))
		if err != nil || fmt.Sprintf("%x", kept.mac([]byte("text"))) != string(want) {
			t.Errorf("a password of %d octets: %x, %v; want %s", len(password), kept.mac([]byte("text")), err, want)
		}
	}
}

func TestBearer(t *testing.T) {
	const token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
	for _, c := range []struct {
		name, mechanism, in string
		user                string
		said                string
		err                 error
	}{
		{"RFC 7628 §4.1", OAUTHBEARER, "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer " + token + "\x01\x01", "user@example.com", "", nil},
		{"our own client", OAUTHBEARER, string(OAuthBearer("user@example.com", token)), "user@example.com", "", nil},
		{"without a name", OAUTHBEARER, "n,,\x01auth=Bearer " + token + "\x01\x01", "", "", nil},
		{"scheme in any case", OAUTHBEARER, "n,,\x01auth=bearer " + token + "\x01\x01", "", "", nil},
		{"RFC 7628 §4.3 only asks", OAUTHBEARER, "n,a=user@example.com,\x01auth=\x01\x01", "", refusedJSON, ErrWrong},
		{"wrong token", OAUTHBEARER, "n,,\x01auth=Bearer dead\x01\x01", "", refusedJSON, ErrWrong},
		{"two tokens", OAUTHBEARER, "n,,\x01auth=Bearer " + token + "\x01auth=Bearer dead\x01\x01", "", "", ErrSyntax},
		{"another scheme", OAUTHBEARER, "n,,\x01auth=Basic " + token + "\x01\x01", "", "", ErrSyntax},
		{"with a binding", OAUTHBEARER, "p=tls-exporter,,\x01auth=Bearer " + token + "\x01\x01", "", "", ErrSyntax},
		{"without an end", OAUTHBEARER, "n,,\x01auth=Bearer " + token + "\x01", "", "", ErrSyntax},
		{"control", OAUTHBEARER, "n,,\x01auth=Bearer a\r\nb\x01\x01", "", "", ErrSyntax},
		{"empty", OAUTHBEARER, "", "", "", ErrSyntax},
		{"too long", OAUTHBEARER, "n,,\x01auth=Bearer " + strings.Repeat("a", MaxToken+1) + "\x01\x01", "", "", ErrSyntax},
		{"Google's example", XOAUTH2, "user=user@example.com\x01auth=Bearer " + token + "\x01\x01", "user@example.com", "", nil},
		{"XOAUTH2 without a name", XOAUTH2, "auth=Bearer " + token + "\x01\x01", "", "", ErrSyntax},
		{"XOAUTH2 wrong token", XOAUTH2, "user=x\x01auth=Bearer dead\x01\x01", "x", refusedOld, ErrWrong},
	} {
		t.Run(c.name, func(t *testing.T) {
			court := court{password: token}
			said, err := run(NewServer(c.mechanism, court.judge()), []byte(c.in), []byte("\x01"))
			if !errors.Is(err, c.err) || said != c.said || c.user != "" && court.came != c.user {
				t.Errorf("%q came, said %q, %v; want %q, %q, %v", court.came, said, err, c.user, c.said, c.err)
			}
		})
	}
	down := errors.New("the server that knows is down")
	s := NewServer(OAUTHBEARER, Judge{Token: func(string, string) error { return down }})
	if _, _, err := s.Next([]byte("n,,\x01auth=Bearer x\x01\x01")); err != down {
		t.Error("an outage was made a refusal:", err)
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

// SASLprep as in RFC 4013 §3, and what it refuses.
func TestPrep(t *testing.T) {
	for in, want := range map[string]string{
		"user": "user", "USER": "USER", "I\u00adX": "IX", "\u00aa": "a", "\u2168": "IX", "a\u00a0b": "a b",
		"\u0007": "\u0007", "\U0001f600": "\U0001f600", "\u00ad": "\u00ad", "": "",
	} {
		if got := Prep(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// MAP-010: nothing that holds a secret prints it, whatever verb it is printed with.
func TestMAP010SecretsDoNotPrint(t *testing.T) {
	const canary = "canary-3f9a"
	keys, err := MakeKeys(SHA256, canary, []byte(canary), 4096)
	if err != nil {
		t.Fatal(err)
	}
	context := MakeMD5Context(canary)
	for _, v := range []any{Credentials{"u", canary}, &Credentials{"u", canary}, keys, &keys, context, []any{keys, context}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			for _, secret := range []string{canary, Encode(keys.StoredKey), fmt.Sprintf("%x", keys.ServerKey), fmt.Sprint(keys.StoredKey), context.Encode()[:16]} {
				if strings.Contains(text, secret) {
					t.Errorf("%s of %T: %s", verb, v, text)
				}
			}
		}
	}
}

// FuzzServer: no machine runs on for ever, panics, or lets in somebody who showed
// nothing.
func FuzzServer(f *testing.F) {
	f.Add("PLAIN", []byte("\x00a\x00b"), []byte(""), []byte(""))
	f.Add("LOGIN", []byte("a"), []byte("b"), []byte(""))
	f.Add(SCRAMSHA256, []byte("n,,n=user,r=abc"), []byte("c=biws,r=abcN,p=dGVzdA=="), []byte(""))
	f.Add(SCRAMSHA1Plus, []byte("p=tls-exporter,a=u,n=u,r=abc"), []byte("c=cD10bHMtZXhwb3J0ZXIsLA==,r=abcN,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="), []byte(""))
	f.Add(CRAMMD5, []byte(""), []byte("tim b913a602c7eda7a495b4e6e7334d3890"), []byte(""))
	f.Add(EXTERNAL, []byte(""), []byte("tim"), []byte(""))
	f.Add(OAUTHBEARER, []byte("n,a=u=2Cv,\x01auth=Bearer x\x01\x01"), []byte("\x01"), []byte(""))
	f.Add(XOAUTH2, []byte("user=u\x01auth=Bearer x\x01\x01"), []byte(""), []byte(""))
	f.Fuzz(func(t *testing.T, mechanism string, one, two, three []byte) {
		c := court{user: "user", password: "a secret that no fuzzer finds"}
		j := c.judge()
		j.Nonce, j.Bindings = "N", []Binding{{TLSExporter, []byte("x")}}
		j.Certificate = func(string) error { return ErrWrong }
		s := NewServer(mechanism, j)
		if s == nil {
			return
		}
		for _, response := range [][]byte{one, two, three, {}} {
			challenge, done, err := s.Next(response)
			if done {
				t.Fatalf("%s let %q in", mechanism, c.came)
			}
			if err != nil {
				if len(challenge) > 0 {
					t.Errorf("a challenge with an error: %q", challenge)
				}
				return
			}
		}
		if strings.HasPrefix(mechanism, "SCRAM") {
			t.Error("still not over")
		}
	})
}

// Twice the input takes twice the time, for the longest things a client can send.
func TestDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes time")
	}
	for _, mechanism := range []string{SCRAMSHA256, OAUTHBEARER, CRAMMD5, PLAIN} {
		for _, unit := range []string{"a,", "=", "\x01", "\x00", "=2C"} {
			doubling.Check(t, mechanism+" "+unit, 2000, func(n int) func() {
				text := []byte("n,,n=u,r=" + strings.Repeat(unit, n))
				return func() {
					for range 50 {
						s := NewServer(mechanism, (&court{}).judge())
						if mechanism == CRAMMD5 {
							s.Next(nil)
						}
						s.Next(text)
					}
				}
			})
		}
	}
}
