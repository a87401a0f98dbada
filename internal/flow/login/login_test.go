package login_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/login"
	"facteur/internal/mail/address"
	"facteur/internal/mail/sasl"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/test/people"
)

const alice, secret = "alice@example.org", "canary secret"

var here = login.Peer{Addr: netip.MustParseAddr("192.0.2.7"), Loopback: true}

// gate knows alice.
func gate(changes ...func(*login.Rules)) *login.Gate {
	return people.Gate(map[string]string{alice: secret}, func(r *login.Rules) {
		r.Delay, r.Mechanisms = 0, sasl.Mechanisms()
		for _, change := range changes {
			change(r)
		}
	})
}

// talk runs an exchange. next answers challenges.
func talk(t *testing.T, g *login.Gate, p login.Peer, mechanism string, response []byte, next func([]byte) ([]byte, error)) (*login.Exchange, *login.Refusal) {
	t.Helper()
	x, refusal := g.Begin(t.Context(), p, mechanism)
	if refusal != nil {
		return nil, refusal
	}
	defer x.Close()
	for range 5 {
		challenge, done, refusal := x.Next(response)
		if done || refusal != nil {
			return x, refusal
		}
		var err error
		if response, err = next(challenge); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no end")
	return nil, nil
}

func scram(t *testing.T, g *login.Gate, user, password string) *login.Refusal {
	c := sasl.NewSCRAM(sasl.SHA256, sasl.Credentials{User: user, Password: password}, nil, false)
	_, r := talk(t, g, here, sasl.SCRAMSHA256, c.Start(), c.Next)
	return r
}

func cram(t *testing.T, g *login.Gate, user, password string) *login.Refusal {
	_, r := talk(t, g, here, sasl.CRAMMD5, nil, func(challenge []byte) ([]byte, error) {
		return sasl.CRAM(sasl.Credentials{User: user, Password: password}, challenge), nil
	})
	return r
}

func plain(t *testing.T, g *login.Gate, user, password string) *login.Refusal {
	_, r := talk(t, g, here, sasl.PLAIN, sasl.Plain(sasl.Credentials{User: user, Password: password}), nil)
	return r
}

func loginCommand(t *testing.T, g *login.Gate, user, password string) *login.Refusal {
	_, r := g.Password(t.Context(), here, user, password)
	return r
}

func reason(r *login.Refusal) login.Reason {
	if r == nil {
		return 0
	}
	return r.Reason
}

// ABU-012: who is wrong learns the same whoever he says he is, and nothing turns
// "nobody knows" into "wrong".
func TestABU012EveryWay(t *testing.T) {
	for name, way := range map[string]func(*testing.T, *login.Gate, string, string) *login.Refusal{
		"SCRAM": scram, "CRAM-MD5": cram, "PLAIN": plain, "LOGIN command": loginCommand,
	} {
		t.Run(name, func(t *testing.T) {
			g := gate()
			if r := way(t, g, alice, secret); r != nil {
				t.Error("right:", r)
			}
			for _, try := range []struct{ user, password string }{{alice, "wrong"}, {"nobody@example.org", secret}, {"nobody", secret}} {
				if r := way(t, g, try.user, try.password); reason(r) != login.Wrong || r.Err != nil || r.User != try.user {
					t.Errorf("%v: %+v", try, r)
				}
			}
			if name == "CRAM-MD5" {
				return
			}
			if r := way(t, g, "later@example.org", secret); reason(r) != login.Later || strings.Contains(r.Error(), "canary") {
				t.Errorf("INV-08: %+v", r)
			}
		})
	}
}

// TestWhatIsOffered: rows 67 (only where it is protected), 68 and 69 (which mechanisms).
func TestWhatIsOffered(t *testing.T) {
	tls13, _ := handshake(t)
	usual := []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"}
	bound := []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "CRAM-MD5"}
	for _, c := range []struct {
		name string
		peer login.Peer
		want []string
	}{
		{"SMTP-037 in the clear", login.Peer{Addr: here.Addr}, nil},
		{"this machine", here, usual},
		{"TLS 1.2", login.Peer{TLS: &tls.ConnectionState{Version: tls.VersionTLS12}}, usual},
		{"TLS 1.3", login.Peer{TLS: tls13}, bound},
	} {
		g := gate()
		if got := g.Mechanisms(c.peer); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		for _, m := range sasl.Mechanisms() {
			x, r := g.Begin(t.Context(), c.peer, strings.ToLower(m))
			if (x != nil) != slices.Contains(c.want, m) || r != nil && r.Reason == login.NeedsTLS != (c.want == nil) {
				t.Errorf("%s: %s: %v", c.name, m, r)
			}
		}
	}
	none := gate(func(r *login.Rules) { r.Mechanisms = []string{sasl.SCRAMSHA256} })
	if r := loginCommand(t, none, alice, secret); none.TakesPasswords(here) || reason(r) != login.Unknown {
		t.Error("a password was taken where none is wanted:", r)
	}
}

// A client that could bind the channel, and was made to believe that we can not, is
// not let in with the right password.
func TestDowngrade(t *testing.T) {
	state, far := handshake(t)
	peer := login.Peer{Addr: here.Addr, TLS: state}
	exported, ok := sasl.Exporter(far)
	if !ok {
		t.Fatal("no binding by the exporter")
	}
	g := login.New(login.House{
		Rules: func() *login.Rules {
			return &login.Rules{Mechanisms: sasl.Mechanisms(), Limits: limit.LoginRules{PerClient: 9, PerAccount: 9}}
		},
		Accounts: people.Accounts(map[string]string{alice: secret}), Logins: limit.NewLogins(time.Hour),
		EndPoints: func() []sasl.Binding { return []sasl.Binding{{Type: sasl.TLSServerEndPoint, Data: []byte("ours")}} },
	})
	for _, c := range []struct {
		name, mechanism string
		bound           *sasl.Binding
		may             bool
		want            login.Reason
	}{
		{"bound", sasl.SCRAMSHA256Plus, &sasl.Binding{Type: sasl.TLSServerEndPoint, Data: []byte("ours")}, true, 0},
		{"bound by the exporter", sasl.SCRAMSHA256Plus, &exported, true, 0},
		{"somebody in between", sasl.SCRAMSHA256Plus, &sasl.Binding{Type: sasl.TLSServerEndPoint, Data: []byte("his")}, true, login.Binding},
		{"downgraded", sasl.SCRAMSHA256, nil, true, login.Binding},
		{"can not bind", sasl.SCRAMSHA256, nil, false, 0},
	} {
		client := sasl.NewSCRAM(sasl.SHA256, sasl.Credentials{User: alice, Password: secret}, c.bound, c.may)
		if _, r := talk(t, g, peer, c.mechanism, client.Start(), client.Next); reason(r) != c.want {
			t.Errorf("%s: %v", c.name, r)
		}
	}
}

// Over the limit no password is looked at, and the answer is not "wrong".
func TestLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked := 0
		accounts := people.Accounts(map[string]string{alice: secret})
		check := accounts.Password
		accounts.Password = func(ctx context.Context, service, user, password string) lookup.Answer[directory.Account] {
			looked++
			return check(ctx, service, user, password)
		}
		g := login.New(login.House{Accounts: accounts, Logins: limit.NewLogins(time.Hour), Rules: func() *login.Rules {
			return &login.Rules{Mechanisms: sasl.Mechanisms(), Delay: 2 * time.Second, Limits: limit.LoginRules{PerClient: 3, PerAccount: 9}}
		}})
		start := time.Now()
		for _, password := range []string{"a", "b", "c"} {
			if r := plain(t, g, alice, password); reason(r) != login.Wrong {
				t.Error(r)
			}
		}
		for _, way := range []func(*testing.T, *login.Gate, string, string) *login.Refusal{plain, scram, cram, loginCommand} {
			if r := way(t, g, alice, secret); reason(r) != login.Limited || !strings.Contains(r.Error(), "192.0.2.7/32") {
				t.Error("limited:", r)
			}
		}
		if looked != 3 || time.Since(start) != 7*2*time.Second {
			t.Errorf("%d passwords were looked at, in %v", looked, time.Since(start))
		}
		time.Sleep(2 * time.Hour)
		if r := plain(t, g, alice, secret); r != nil {
			t.Error("for ever:", r)
		}
	})
}

// Exchanges that begin before any has failed end as if they had come one after another:
// beyond the limit nobody learns from SCRAM's last challenge that his guess was right.
func TestABU020GuessesAtOnce(t *testing.T) {
	g := gate(func(r *login.Rules) { r.Limits = limit.LoginRules{PerClient: 3, PerAccount: 100} })
	var finals [][]byte
	var under []*login.Exchange
	for _, password := range []string{"a", "b", "c", "d", secret} {
		c := sasl.NewSCRAM(sasl.SHA256, sasl.Credentials{User: alice, Password: password}, nil, false)
		x, r := g.Begin(t.Context(), here, sasl.SCRAMSHA256)
		if r != nil {
			t.Fatal(r)
		}
		defer x.Close()
		challenge, _, r := x.Next(c.Start())
		if r != nil {
			t.Fatal(r)
		}
		final, err := c.Next(challenge)
		if err != nil {
			t.Fatal(err)
		}
		under, finals = append(under, x), append(finals, final)
	}
	for i, want := range []login.Reason{login.Wrong, login.Wrong, login.Wrong, login.Limited, login.Limited} {
		if challenge, done, r := under[i].Next(finals[i]); reason(r) != want || challenge != nil || done {
			t.Errorf("%d: %q %v %v", i, challenge, done, r)
		}
	}
}

func TestTokens(t *testing.T) {
	g := gate(func(r *login.Rules) {
		r.Token = func(_ context.Context, token string) lookup.Answer[string] {
			switch token {
			case "alices":
				return lookup.Yes(alice)
			case "nobodys":
				return lookup.Yes("nobody@example.org")
			case "unknown":
				return lookup.Later[string](errors.New("down"))
			}
			return lookup.No[string](nil)
		}
	})
	for _, c := range []struct {
		user, token string
		want        login.Reason
	}{
		{alice, "alices", 0}, {"Alice@EXAMPLE.org", "alices", 0}, {"bob@example.org", "alices", login.Wrong},
		{"nobody@example.org", "nobodys", login.Wrong}, {alice, "dead", login.Wrong}, {alice, "unknown", login.Later},
	} {
		x, r := talk(t, g, here, sasl.OAUTHBEARER, sasl.OAuthBearer(c.user, c.token), func(json []byte) ([]byte, error) {
			if !strings.Contains(string(json), "invalid_token") {
				t.Errorf("the client hears %s", json)
			}
			return []byte("\x01"), nil
		})
		if reason(r) != c.want || r == nil && x.Account().Address != alice {
			t.Errorf("%v: %v", c, r)
		}
	}
}

// handshake is both ends of a TLS 1.3 connection.
func handshake(t *testing.T) (server, client *tls.ConnectionState) {
	t.Helper()
	c, key := certificate(t, "", nil, nil)
	near, far := net.Pipe()
	s := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{c.Raw}, PrivateKey: key}}})
	done := make(chan error, 1)
	go func() { done <- s.HandshakeContext(t.Context()) }()
	l := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	if err := l.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	go l.Read(make([]byte, 1)) // the tickets
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	one, two := s.ConnectionState(), l.ConnectionState()
	return &one, &two
}

// certificate is one of a client, signed by parent or by itself.
func certificate(t *testing.T, mail string, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	if mail != "" {
		tmpl.EmailAddresses = []string{mail}
	} else {
		tmpl.IsCA, tmpl.KeyUsage = true, x509.KeyUsageCertSign
	}
	if parent == nil {
		parent, by = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestCertificates(t *testing.T) {
	ca, key := certificate(t, "", nil, nil)
	other, otherKey := certificate(t, "", nil, nil)
	good, _ := certificate(t, alice, ca, key)
	forged, _ := certificate(t, alice, other, otherKey)
	nobody, _ := certificate(t, "nobody@example.org", ca, key)
	pinned, _ := certificate(t, "whoever@example.net", nil, nil)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	g := gate(func(r *login.Rules) {
		r.Certificates = login.Certificates{Roots: roots, Owners: map[login.Fingerprint]string{sha256.Sum256(pinned.Raw): alice}}
	})
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		user string
		want login.Reason
	}{
		{"signed", good, "", 0}, {"signed, named", good, alice, 0}, {"as somebody else", good, "bob@example.org", login.Wrong},
		{"forged", forged, "", login.Unknown}, {"of nobody", nobody, "", login.Wrong}, {"pinned", pinned, "", 0},
		{"pinned, by its own name", pinned, "whoever@example.net", login.Wrong},
	} {
		peer := login.Peer{Addr: here.Addr, TLS: &tls.ConnectionState{Version: tls.VersionTLS12, PeerCertificates: []*x509.Certificate{c.cert}}}
		x, r := talk(t, g, peer, sasl.EXTERNAL, []byte(c.user), nil)
		if reason(r) != c.want || r == nil && x.Account().Address != alice {
			t.Errorf("%s: %v", c.name, r)
		}
	}
	for n, want := range map[int]login.Reason{3: 0, 4: login.Unknown} { // a chain that is work, and no use
		chain := append([]*x509.Certificate{good}, slices.Repeat([]*x509.Certificate{other}, n)...)
		if _, r := talk(t, g, login.Peer{Addr: here.Addr, TLS: &tls.ConnectionState{PeerCertificates: chain}}, sasl.EXTERNAL, []byte{}, nil); reason(r) != want {
			t.Errorf("with %d more certificates: %v", n, r)
		}
	}
}

// The gate over a real directory: keys are those of the password, a new password
// ends them, and who came in from where outlasts a restart.
func TestRealDirectory(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	database, err := db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	d := directory.New(database, []string{"example.org"}, dir, 0)
	d.Keep(directory.Kinds{SCRAMSHA256: true, CRAMMD5: true})
	a, err := address.Parse(alice)
	if err == nil {
		err = d.AddAccount(ctx, a, secret, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	g := login.New(login.House{Accounts: login.AccountsOf(d), Logins: limit.NewLogins(time.Hour), Rules: func() *login.Rules {
		return &login.Rules{Mechanisms: sasl.Mechanisms(), Limits: limit.LoginRules{PerClient: 100, PerAccount: 100}}
	}})
	ways := map[string]func(*testing.T, *login.Gate, string, string) *login.Refusal{"SCRAM": scram, "CRAM": cram, "PLAIN": plain}
	for name, way := range ways {
		if r := way(t, g, alice, secret); r != nil {
			t.Error(name, r)
		}
		if r := way(t, g, alice, "wrong"); reason(r) != login.Wrong {
			t.Error(name, r)
		}
	}
	seen := ""
	d.Networks(ctx, time.Now(), func(account string, network netip.Prefix) { seen += account + " " + network.String() })
	if seen != alice+" 192.0.2.7/32" {
		t.Errorf("remembered: %q", seen)
	}
	if err := d.SetPassword(ctx, a, "another"); err != nil {
		t.Fatal(err)
	}
	for name, way := range ways {
		if r := way(t, g, alice, secret); reason(r) != login.Wrong {
			t.Error("the old password,", name, r)
		}
		if r := way(t, g, alice, "another"); r != nil {
			t.Error("the new password,", name, r)
		}
	}
	database.Close()
	for name, way := range ways {
		if r := way(t, g, alice, "another"); reason(r) != login.Later {
			t.Error("INV-08", name, r)
		}
	}
}

// ABU-012: however long a look took, a refusal comes a whole number of delays after the
// question. And whoever may only come from some networks comes from no others.
func TestRefusalsTakeTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := map[string]time.Duration{"far@example.org": 300 * time.Millisecond, "near@example.org": time.Millisecond, "queued@example.org": 2500 * time.Millisecond}
		g := login.New(login.House{Logins: limit.NewLogins(time.Hour),
			Rules: func() *login.Rules {
				return &login.Rules{Mechanisms: []string{sasl.PLAIN}, Delay: time.Second, Limits: limit.LoginRules{PerClient: 100, PerAccount: 100}}
			},
			Accounts: login.Accounts{
				Password: func(_ context.Context, _, user, _ string) lookup.Answer[directory.Account] {
					time.Sleep(slow[user])
					if user == "home@example.org" {
						return lookup.Yes(directory.Account{Address: user, Nets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
					}
					return lookup.No[directory.Account](nil)
				},
				Remember: func(context.Context, string, netip.Prefix, time.Time) error { return nil },
			}})
		for user, want := range map[string]time.Duration{"far@example.org": time.Second, "near@example.org": time.Second, "queued@example.org": 3 * time.Second, "home@example.org": time.Second} {
			began := time.Now()
			if r := loginCommand(t, g, user, "wrong"); reason(r) != login.Wrong || time.Since(began) != want {
				t.Errorf("%s: %v after %v", user, r, time.Since(began))
			}
		}
		for from, want := range map[string]login.Reason{"10.1.2.3": 0, "::ffff:10.1.2.3": 0, "192.0.2.7": login.Wrong} {
			_, r := g.Password(t.Context(), login.Peer{Addr: netip.MustParseAddr(from), Loopback: true}, "home@example.org", "right")
			if reason(r) != want {
				t.Errorf("from %s: %v", from, r)
			}
		}
	})
}
