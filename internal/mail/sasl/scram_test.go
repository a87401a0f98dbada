package sasl

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// The examples of RFC 5802 §5 and RFC 7677 §3, from both ends.
func TestSCRAMExamples(t *testing.T) {
	for _, c := range []struct {
		hash                    Hash
		cnonce, snonce, salt    string
		first, challenge, final string
		signature               string
	}{
		{SHA1, "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
			"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{SHA256, "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
			"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		salt, err := Decode([]byte(c.salt))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := MakeKeys(c.hash, "pencil", salt, 4096)
		if err != nil {
			t.Fatal(err)
		}
		client := NewSCRAM(c.hash, Credentials{"user", "pencil"}, nil, false)
		client.nonce = c.cnonce
		server := NewServer(c.hash.String(), Judge{Nonce: c.snonce, Keys: func(string, Hash) (Keys, error) { return keys, nil }})
		said := []string{string(client.Start())}
		response := client.Start()
		for range 2 {
			challenge, _, err := server.Next(response)
			if err != nil {
				t.Fatal(c.hash, err)
			}
			if response, err = client.Next(challenge); err != nil {
				t.Fatal(c.hash, err)
			}
			said = append(said, string(challenge), string(response))
		}
		if want := []string{c.first, c.challenge, c.final, c.signature, ""}; !slices.Equal(said, want) {
			t.Errorf("%s: said\n%q\nwant\n%q", c.hash, said, want)
		}
		if _, done, err := server.Next(response); !done || err != nil || !client.Done() {
			t.Error(c.hash, done, err, client.Done())
		}
		kept, err := ParseKeys(keys.Encode())
		if err != nil || kept.Encode() != keys.Encode() {
			t.Error("kept as", kept.Encode(), err)
		}
	}
}

func TestParseKeys(t *testing.T) {
	good := "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE="
	keys, err := MakeKeys(SHA1, "pencil", []byte("A%\xc2G\xe4:\xb1\xe9<m\xffv"), 4096)
	if err != nil || keys.Encode() != good {
		t.Fatalf("got %s, %v", keys.Encode(), err)
	}
	for _, bad := range []string{"", "SCRAM-SHA-1", strings.Replace(good, "4096", "0", 1), strings.Replace(good, "4096", "-1", 1),
		strings.Replace(good, "4096", "99999999999999999999", 1), strings.Replace(good, "SHA-1", "SHA-256", 1), strings.Replace(good, "SHA-1$", "SHA-512$", 1),
		strings.Replace(good, "QSXC", "", 1)[:40], good + "$", strings.Replace(good, "=", "!", 1)} {
		if _, err := ParseKeys(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// talk runs an exchange of two ends.
func talk(server Server, start []byte, next func([]byte) ([]byte, error)) error {
	response := start
	for range 5 {
		challenge, done, err := server.Next(response)
		if done || err != nil {
			return err
		}
		if response, err = next(challenge); err != nil {
			return err
		}
	}
	return errors.New("not done")
}

// An independent client and an independent server understand us, with and without
// channel binding.
func TestSCRAMMeetsXDG(t *testing.T) {
	binding := Binding{TLSExporter, []byte("thirty-two octets of the exporter")}
	other := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: binding.Data}
	for _, cred := range []Credentials{{"user", "pencil"}, {"a,b=c@example.org", "p,=\u00e9"}, {"\u2168", "I\u00adX"}} {
		for _, h := range []struct {
			ours   Hash
			theirs scram.HashGeneratorFcn
		}{{SHA1, scram.SHA1}, {SHA256, scram.SHA256}} {
			for _, plus := range []bool{false, true} {
				name, bound := h.ours.String(), (*Binding)(nil)
				c := court{user: Prep(cred.User), password: cred.Password}
				j := c.judge()
				client, err := h.theirs.NewClient(cred.User, cred.Password, "")
				if err != nil {
					t.Fatal(err)
				}
				theirs := client.NewConversation()
				server, err := h.theirs.NewServer(func(user string) (scram.StoredCredentials, error) {
					k, err := j.Keys(user, h.ours)
					return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations},
						StoredKey: k.StoredKey, ServerKey: k.ServerKey}, err
				})
				if err != nil {
					t.Fatal(err)
				}
				answering := server.NewConversation()
				if plus {
					name, bound, j.Bindings = name+"-PLUS", &binding, []Binding{binding}
					theirs, answering = client.NewConversationWithChannelBinding(other), server.NewConversationWithChannelBindingRequired(other)
				}
				start, err := theirs.Step("")
				if err != nil {
					t.Fatal(err)
				}
				err = talk(NewServer(name, j), []byte(start), func(challenge []byte) ([]byte, error) {
					response, err := theirs.Step(string(challenge))
					return []byte(response), err
				})
				if err != nil || !theirs.Valid() {
					t.Errorf("%s, their client, %q: %v, %v", name, cred.User, err, theirs.Valid())
				}
				ours := NewSCRAM(h.ours, cred, bound, false)
				response := ours.Start()
				for !answering.Done() && err == nil {
					var challenge string
					if challenge, err = answering.Step(string(response)); err == nil {
						response, err = ours.Next([]byte(challenge))
					}
				}
				if err != nil || !answering.Valid() || !ours.Done() {
					t.Errorf("%s, their server, %q: %v, %v", name, cred.User, err, ours.Done())
				}
			}
		}
	}
}

// What a server refuses, and how.
func TestSCRAMRefusals(t *testing.T) {
	bound := []Binding{{TLSExporter, []byte("right")}, {TLSServerEndPoint, []byte("one")}, {TLSServerEndPoint, []byte("two")}}
	user := Credentials{"user", "pencil"}
	good := func(b *Binding, may bool) *SCRAM { return NewSCRAM(SHA256, user, b, may) }
	for _, c := range []struct {
		name, mechanism string
		bindings        []Binding
		client          *SCRAM
		err             error
	}{
		{"no binding", SCRAMSHA256, nil, good(nil, false), nil},
		{"none, though offered", SCRAMSHA256, bound, good(nil, false), nil},
		{"could, not offered", SCRAMSHA256, nil, good(nil, true), nil},
		{"downgrade: could, and it was offered", SCRAMSHA256, bound, good(nil, true), ErrBinding},
		{"bound", SCRAMSHA256Plus, bound, good(&bound[0], false), nil},
		{"bound to one certificate", SCRAMSHA256Plus, bound, good(&bound[1], false), nil},
		{"bound to the other", SCRAMSHA256Plus, bound, good(&bound[2], false), nil},
		{"another connection", SCRAMSHA256Plus, bound, good(&Binding{TLSExporter, []byte("wrong")}, false), ErrBinding},
		{"data of another type", SCRAMSHA256Plus, bound, good(&Binding{TLSExporter, []byte("one")}, false), ErrBinding},
		{"unknown type", SCRAMSHA256Plus, bound, good(&Binding{"tls-unique", []byte("right")}, false), ErrBinding},
		{"bound without -PLUS", SCRAMSHA256, bound, good(&bound[0], false), ErrSyntax},
		{"-PLUS without being bound", SCRAMSHA256Plus, bound, good(nil, false), ErrSyntax},
		{"wrong password", SCRAMSHA256, nil, NewSCRAM(SHA256, Credentials{"user", "pen"}, nil, false), ErrWrong},
		{"ABU-012 unknown user", SCRAMSHA256, nil, NewSCRAM(SHA256, Credentials{"nobody", "pencil"}, nil, false), ErrWrong},
		{"another hash", SCRAMSHA1, nil, good(nil, false), ErrSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			court := court{user: "user", password: "pencil"}
			j := court.judge()
			j.Bindings = c.bindings
			if err := talk(NewServer(c.mechanism, j), c.client.Start(), c.client.Next); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
		})
	}
	for first, want := range map[string]error{
		"":                          ErrSyntax,
		"n,,":                       ErrSyntax,
		"n,,n=user":                 ErrSyntax,
		"n,,n=user,r=":              ErrSyntax,
		"n,,n=,r=abc":               ErrSyntax,
		"n,,r=abc,n=user":           ErrSyntax,
		"n,,m=x,n=user,r=abc":       ErrSyntax,
		"n,,n=us=3Er,r=abc":         ErrSyntax,
		"n,,n=user=,r=abc":          ErrSyntax,
		"n,,n=user,r=a c":           ErrSyntax,
		"n,,n=us\x00er,r=abc":       ErrSyntax,
		"x,,n=user,r=abc":           ErrSyntax,
		"p=,,n=user,r=abc":          ErrSyntax,
		"n,user,n=user,r=abc":       ErrSyntax,
		"n,a=root,n=user,r=abc":     ErrProxy,
		strings.Repeat("n", 10_000): ErrSyntax,
	} {
		court := court{user: "user", password: "pencil"}
		s := NewServer(SCRAMSHA256, court.judge())
		if _, _, err := s.Next([]byte(first)); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", first, err, want)
		}
		if _, done, err := s.Next([]byte("n,,n=user,r=abc")); done || err == nil {
			t.Errorf("%.40q: the exchange went on", first)
		}
	}
	for final, want := range map[string]error{
		"c=biws,r=cS,p=AAAA":          ErrSyntax,
		"c=biws,r=cS":                 ErrSyntax,
		"r=cS,c=biws,p=" + zeroes:     ErrSyntax,
		"c=biws,r=cX,p=" + zeroes:     ErrWrong,
		"c=eSws,r=cS,p=" + zeroes:     ErrBinding,
		"c=biwseA==,r=cS,p=" + zeroes: ErrBinding,
		"c=biws,r=cS,p=" + zeroes:     ErrWrong,
	} {
		court := court{user: "user", password: "pencil"}
		j := court.judge()
		j.Nonce = "S"
		if _, err := run(NewServer(SCRAMSHA256, j), []byte("n,,n=user,r=c"), []byte(final), nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", final, err, want)
		}
	}
}

const zeroes = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// OUT-020: what a server can make our client do has bounds, and a server that does
// not know the password is found out.
func TestOUT020SCRAMClient(t *testing.T) {
	for name, c := range map[string]struct {
		challenge string
		want      error
	}{
		"OUT-020 too many iterations": {"r=cs,s=c2FsdA==,i=1000000000", ErrIterations},
		"OUT-020 more than fit":       {"r=cs,s=c2FsdA==,i=99999999999999999999999", ErrIterations},
		"too few iterations":          {"r=cs,s=c2FsdA==,i=1", ErrIterations},
		"another nonce":               {"r=xs,s=c2FsdA==,i=4096", ErrImpostor},
		"only our nonce":              {"r=c,s=c2FsdA==,i=4096", ErrImpostor},
		"no salt":                     {"r=cs,s=,i=4096", ErrSyntax},
		"extension":                   {"m=x,r=cs,s=c2FsdA==,i=4096", ErrSyntax},
		"garbage":                     {"e=other-error", ErrSyntax},
	} {
		client := NewSCRAM(SHA256, Credentials{"user", "pencil"}, nil, false)
		client.nonce = "c"
		client.Start()
		if _, err := client.Next([]byte(c.challenge)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	client := NewSCRAM(SHA256, Credentials{"user", "pencil"}, nil, false)
	client.nonce = "c"
	client.Start()
	if _, err := client.Next([]byte("r=cs,s=c2FsdA==,i=4096")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Next([]byte("v=" + zeroes)); !errors.Is(err, ErrImpostor) || client.Done() {
		t.Error("an impostor got through:", err)
	}
}

func FuzzSCRAMClient(f *testing.F) {
	f.Add("r=cs,s=c2FsdA==,i=4096", "v="+zeroes)
	f.Add("e=unknown-user", "")
	f.Fuzz(func(t *testing.T, one, two string) {
		client := NewSCRAM(SHA1, Credentials{"user", "pencil"}, nil, true)
		client.nonce = "c"
		client.Start()
		if strings.Contains(one, "i=") && !strings.HasSuffix(one, "i=4096") {
			one = "" // hashing is the slow part, and tested elsewhere
		}
		if _, err := client.Next([]byte(one)); err == nil {
			client.Next([]byte(two))
		}
		if client.Done() {
			t.Error("the server knows the password")
		}
	})
}

func TestEndPoint(t *testing.T) {
	for algorithm, size := range map[x509.SignatureAlgorithm]int{
		x509.SHA1WithRSA: 32, x509.ECDSAWithSHA256: 32, x509.ECDSAWithSHA384: 48, x509.SHA512WithRSA: 64, x509.PureEd25519: 32,
	} {
		if b := EndPoint(&x509.Certificate{Raw: []byte("x"), SignatureAlgorithm: algorithm}); len(b.Data) != size || b.Type != TLSServerEndPoint {
			t.Errorf("%v: %d octets", algorithm, len(b.Data))
		}
	}
	if _, ok := Exporter(nil); ok {
		t.Error("a binding without TLS")
	}
	if _, ok := Exporter(&tls.ConnectionState{Version: tls.VersionTLS12}); ok {
		t.Error("an exporter of TLS 1.2")
	}
}
