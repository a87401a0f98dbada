package app

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"facteur/internal/mail/address"
	"facteur/internal/mail/sasl"
)

const (
	alice  = "alice@example.org"
	secret = "canary of alice"
)

// loginHouse is a house with alice, a door for submission and one for IMAP.
func loginHouse(t *testing.T, dir, auth string) (house *App, submission, imap string) {
	t.Helper()
	ports := freePorts(t, 2)
	submission, imap = fmt.Sprint("127.0.0.1:", ports[0]), fmt.Sprint("127.0.0.1:", ports[1])
	house, _ = run(t, settingsOf(t, dir, doorsOf(submission, imap)+auth))
	if err := house.directory.AddAccount(t.Context(), mailAddress(t, alice), secret, 0); err != nil {
		t.Fatal(err)
	}
	return house, submission, imap
}

func doorsOf(submission, imap string) string {
	return fmt.Sprintf("[[domain]]\nname = \"example.org\"\n[[listen]]\nservice = \"submission\"\naddress = %q\n[[listen]]\nservice = \"imap\"\naddress = %q\n",
		submission, imap)
}

func mailAddress(t *testing.T, text string) address.Address {
	t.Helper()
	a, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// client speaks line by line to a door.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	imap bool
}

// enter connects and, with a configuration, begins TLS.
func enter(t *testing.T, at string, imap bool, config *tls.Config) *client {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, conn, bufio.NewReader(conn), imap}
	t.Cleanup(func() { c.conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	c.line()
	if config == nil {
		return c
	}
	if imap {
		c.say("a STARTTLS")
	} else {
		c.say("EHLO client.example")
		c.say("STARTTLS")
	}
	s := tls.Client(conn, config)
	if err := s.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.conn, c.in = s, bufio.NewReader(s)
	return c
}

// line is the next line that ends an answer.
func (c *client) line() string {
	c.t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%q, %v", line, err)
		}
		more := len(line) > 3 && line[3] == '-'
		if c.imap {
			more = strings.HasPrefix(line, "* ") && !strings.HasPrefix(line, "* OK")
		}
		if !more {
			return strings.TrimSuffix(line, "\r\n")
		}
	}
}

func (c *client) say(line string) string {
	c.t.Helper()
	io.WriteString(c.conn, line+"\r\n")
	return c.line()
}

// offers is what the door says that it can do.
func (c *client) offers() string {
	c.t.Helper()
	if !c.imap {
		io.WriteString(c.conn, "EHLO client.example\r\n")
	} else {
		io.WriteString(c.conn, "b CAPABILITY\r\n")
	}
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		all.WriteString(line)
		if strings.HasPrefix(line, "250 ") || strings.HasPrefix(line, "b ") {
			return all.String()
		}
	}
}

// auth runs an exchange, with an initial response or nil, and gives the last answer.
// next answers challenges.
func (c *client) auth(mechanism string, initial []byte, next func([]byte) ([]byte, error)) string {
	c.t.Helper()
	ask, more := "AUTH ", "334 "
	if c.imap {
		ask, more = "c AUTHENTICATE ", "+ "
	}
	words := ask + mechanism
	if initial != nil {
		words += " " + cmp.Or(sasl.Encode(initial), "=")
	}
	answer := c.say(words)
	for range 5 {
		text, ok := strings.CutPrefix(answer, more)
		if !ok {
			break
		}
		challenge, err := sasl.Decode([]byte(text))
		if err != nil {
			c.t.Fatal(err)
		}
		response, err := next(challenge)
		if err != nil {
			c.t.Fatal(err)
		}
		answer = c.say(sasl.Encode(response))
	}
	return answer
}

// in tells whether an answer is a yes.
func in(answer string) bool {
	return strings.HasPrefix(answer, "235 2.7.0") || strings.HasPrefix(answer, "c OK")
}

// bothDoors runs a test at the door of submission and at that of IMAP.
func bothDoors(t *testing.T, submission, imap string, fn func(t *testing.T, enter func(*tls.Config) *client)) {
	for _, d := range []struct {
		name, at string
		imap     bool
	}{{"submission", submission, false}, {"imap", imap, true}} {
		t.Run(d.name, func(t *testing.T) {
			fn(t, func(c *tls.Config) *client { t.Helper(); return enter(t, d.at, d.imap, c) })
		})
	}
}

// From the settings to the mailbox: each mechanism at each door, and a wrong password
// at none.
func TestLogInEverywhere(t *testing.T) {
	t.Parallel()
	_, submission, imap := loginHouse(t, t.TempDir(), "[auth]\nfailure_delay = \"0s\"\n")
	bothDoors(t, submission, imap, func(t *testing.T, enter func(*tls.Config) *client) {
		for _, password := range []string{secret, "wrong"} {
			cred := sasl.Credentials{User: alice, Password: password}
			c := enter(nil)
			c.offers()
			if got := c.auth(sasl.PLAIN, sasl.Plain(cred), nil); in(got) != (password == secret) {
				t.Errorf("PLAIN: %s", got)
			}
			c, s := enter(nil), sasl.NewSCRAM(sasl.SHA256, cred, nil, false)
			c.offers()
			if got := c.auth(sasl.SCRAMSHA256, s.Start(), s.Next); in(got) != (password == secret) {
				t.Errorf("SCRAM: %s", got)
			}
		}
	})
	c := enter(t, imap, true, nil)
	if got := c.say("c LOGIN " + alice + " \"" + secret + "\""); !in(got) {
		t.Fatal(got)
	}
	if got := c.say("d NAMESPACE"); !strings.HasPrefix(got, "d OK") {
		t.Error("no mailboxes behind the log-in:", got)
	}
}

// Channel binding over real TLS, with a client that somebody else wrote; the binding of
// another connection is that of somebody in between.
func TestLogInWithChannelBinding(t *testing.T) {
	t.Parallel()
	_, submission, imap := loginHouse(t, t.TempDir(), "[auth]\nfailure_delay = \"0s\"\n")
	bothDoors(t, submission, imap, func(t *testing.T, enter func(*tls.Config) *client) {
		config := &tls.Config{InsecureSkipVerify: true}
		if c := enter(nil); strings.Contains(c.offers(), "-PLUS") {
			t.Error("-PLUS is offered without TLS")
		}
		if c := enter(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); strings.Contains(c.offers(), "-PLUS") {
			t.Error("-PLUS is offered in TLS 1.2")
		}
		stranger := enter(config).conn.(*tls.Conn).ConnectionState()
		for mechanism, hash := range map[string]scram.HashGeneratorFcn{sasl.SCRAMSHA256Plus: scram.SHA256, sasl.SCRAMSHA1Plus: scram.SHA1} {
			for _, kind := range []string{"tls-exporter", "tls-server-end-point", "between"} {
				c := enter(config)
				if !strings.Contains(c.offers(), mechanism) {
					t.Fatalf("%s is not offered", mechanism)
				}
				state := c.conn.(*tls.Conn).ConnectionState()
				b, err := scram.NewTLSExporterBinding(&state)
				switch kind {
				case "tls-server-end-point":
					b, err = scram.NewTLSServerEndpointBinding(&state)
				case "between":
					b, err = scram.NewTLSExporterBinding(&stranger)
				}
				if err != nil {
					t.Fatal(err)
				}
				got := c.auth(mechanism, nil, conversation(t, hash, b))
				if in(got) != (kind != "between") {
					t.Errorf("%s, %s: %s", mechanism, kind, got)
				}
			}
		}
		// "y": I could bind, had you offered it. It was offered, so somebody took it away.
		c, s := enter(config), sasl.NewSCRAM(sasl.SHA256, sasl.Credentials{User: alice, Password: secret}, nil, true)
		c.offers()
		if got := c.auth(sasl.SCRAMSHA256, s.Start(), s.Next); in(got) {
			t.Error("stripped:", got)
		}
	})
}

// conversation is the side of xdg-go's client, which begins when it is asked to.
func conversation(t *testing.T, hash scram.HashGeneratorFcn, b scram.ChannelBinding) func([]byte) ([]byte, error) {
	t.Helper()
	c, err := hash.NewClient(alice, secret, "")
	if err != nil {
		t.Fatal(err)
	}
	conv := c.NewConversationWithChannelBinding(b)
	return func(challenge []byte) ([]byte, error) {
		text, err := conv.Step(string(challenge))
		return []byte(text), err
	}
}

// authority is who signs the certificates of clients.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	made := a.sign(&x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)})
	a.cert, a.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a certificate; of the first, itself.
func (a *authority) sign(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore, template.BasicConstraintsValid = big.NewInt(time.Now().UnixNano()), time.Now().Add(-2*time.Hour), true
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// of is a certificate for addresses that is good for a time.
func (a *authority) of(good time.Duration, addresses ...string) tls.Certificate {
	a.t.Helper()
	return a.sign(&x509.Certificate{EmailAddresses: addresses, NotAfter: time.Now().Add(good),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// With a certificate that a named authority signed, or a named certificate, and no
// other, one gets in as who it says; a reload that no longer names it shuts the door,
// for a session of TLS that is resumed too.
func TestLogInWithCertificate(t *testing.T) {
	t.Parallel()
	dir, ours, theirs := t.TempDir(), newAuthority(t), newAuthority(t)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.cert.Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	own := newAuthority(t).of(time.Hour, "whoever@example.com") // signed by nobody we know
	named := fmt.Sprintf("[[client_certificate]]\nfingerprint = \"%x\"\naccount = %q\n", sha256.Sum256(own.Leaf.Raw), alice)
	const auth = "[auth]\nfailure_delay = \"0s\"\n"
	house, submission, imap := loginHouse(t, dir, named+auth+"client_ca = \"ca.pem\"\n")
	server := ours.sign(&x509.Certificate{EmailAddresses: []string{alice}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	bothDoors(t, submission, imap, func(t *testing.T, enter func(*tls.Config) *client) {
		for _, c := range []struct {
			name  string
			shows []tls.Certificate
			as    string
			want  bool
		}{
			{"signed", []tls.Certificate{ours.of(time.Hour, alice)}, "", true},
			{"signed, with a name", []tls.Certificate{ours.of(time.Hour, alice)}, "ALICE@example.org", true},
			{"several addresses", []tls.Certificate{ours.of(time.Hour, "bob@example.com", alice)}, "", true},
			{"named", []tls.Certificate{own}, "", true},
			{"AUT EXTERNAL: somebody else", []tls.Certificate{ours.of(time.Hour, "bob@example.org")}, alice, false},
			{"AUT EXTERNAL: of another authority", []tls.Certificate{theirs.of(time.Hour, alice)}, alice, false},
			{"AUT EXTERNAL: expired", []tls.Certificate{ours.of(-time.Hour, alice)}, alice, false},
			{"AUT EXTERNAL: of a server", []tls.Certificate{server}, alice, false},
			{"AUT EXTERNAL: none", nil, alice, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				client := enter(&tls.Config{InsecureSkipVerify: true, Certificates: c.shows})
				offered := strings.Contains(client.offers(), "EXTERNAL")
				got := client.auth(sasl.EXTERNAL, []byte(c.as), func([]byte) ([]byte, error) { return []byte(c.as), nil })
				if in(got) != c.want || c.want && !offered {
					t.Errorf("offered %v, %s", offered, got)
				}
			})
		}
	})
	config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{own}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	for _, there := range []bool{true, false} {
		c := enter(t, imap, true, config)
		c.offers()
		if got := c.auth(sasl.EXTERNAL, nil, func([]byte) ([]byte, error) { return nil, nil }); in(got) != there {
			t.Errorf("named %v: %s", there, got)
		}
		if err := house.Reload(settingsOf(t, dir, doorsOf(submission, imap)+auth+"client_ca = \"ca.pem\"\n")); err != nil {
			t.Fatal(err)
		}
	}
}

// Tokens are asked for at the server of the settings, are worth what it says, and only
// to whom they were given.
func TestLogInWithToken(t *testing.T) {
	t.Parallel()
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, password, _ := r.BasicAuth(); id != "facteur" || password != "canary-server" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.FormValue("token") {
		case "good":
			fmt.Fprintf(w, `{"active":true,"email":%q,"scope":"openid mail"}`, alice)
		case "game":
			fmt.Fprintf(w, `{"active":true,"email":%q,"scope":"openid"}`, alice)
		case "word":
			fmt.Fprintf(w, `{"active":"true","email":%q}`, alice)
		case "nobody":
			io.WriteString(w, `{"active":true,"email":"nobody@example.org","scope":"mail"}`)
		case "elsewhere":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		default:
			io.WriteString(w, `{"active":false}`)
		}
	}))
	t.Cleanup(issuer.Close)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("canary-server\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, submission, imap := loginHouse(t, dir, fmt.Sprintf("[auth]\nfailure_delay = \"0s\"\noauth2_introspection_url = %q\n"+
		"oauth2_client_id = \"facteur\"\noauth2_client_secret_file = \"secret\"\noauth2_scope = \"mail\"\n", issuer.URL))
	bothDoors(t, submission, imap, func(t *testing.T, enter func(*tls.Config) *client) {
		for _, c := range []struct {
			user, token string
			want        string // in the answer of either door
		}{
			{alice, "good", "235|OK"}, {alice, "bad", "535|NO"}, {alice, "game", "535|NO"}, {"bob@example.org", "good", "535|NO"},
			{"nobody@example.org", "nobody", "535|NO"}, {alice, "word", "454|[UNAVAILABLE]"}, {alice, "elsewhere", "454|[UNAVAILABLE]"},
		} {
			t.Run(c.user+" "+c.token, func(t *testing.T) {
				for mechanism, initial := range map[string][]byte{
					sasl.OAUTHBEARER: sasl.OAuthBearer(c.user, c.token),
					sasl.XOAUTH2:     []byte("user=" + c.user + "\x01auth=Bearer " + c.token + "\x01\x01"),
				} {
					client := enter(nil)
					if !strings.Contains(client.offers(), mechanism) {
						t.Errorf("%s is not offered", mechanism)
					}
					got := client.auth(mechanism, initial, func([]byte) ([]byte, error) { return []byte{1}, nil })
					smtp, imap, _ := strings.Cut(c.want, "|")
					if want := map[bool]string{false: smtp, true: imap}[client.imap]; !strings.Contains(got, want) {
						t.Errorf("%s: %s, want %s", mechanism, got, want)
					}
				}
			})
		}
	})
}

// INV-23: settings change all the time while people log in, and nobody with the right
// password is told that it is wrong, nobody with a wrong one let in.
func TestReloadUnderLogIns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	house, submission, imap := loginHouse(t, dir, "[auth]\nfailure_delay = \"0s\"\n")
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	var busy sync.WaitGroup
	defer busy.Wait()
	for i := range 4 {
		busy.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				password, at := secret, []string{submission, imap}[i%2]
				if n%4 == 3 {
					password = "wrong"
				}
				if err := logIn(at, i%2 == 1, password); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := 0; ctx.Err() == nil; n++ {
		text := doorsOf(submission, imap) + "[auth]\nfailure_delay = \"0s\"\n"
		if n%2 == 0 {
			text += "failures_per_client = 20\nmechanisms = [\"PLAIN\", \"SCRAM-SHA-256\"]\n[tls]\n"
		}
		if err := house.Reload(settingsOf(t, dir, text)); err != nil {
			t.Fatal(err)
		}
	}
}

// logIn logs in by PLAIN in a connection of its own, and says when the answer does not
// fit the password.
func logIn(at string, imap bool, password string) error {
	conn, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(conn)
	command, yes, no := "AUTH PLAIN ", "\r\n235 ", "\r\n535 "
	if imap {
		command, yes, no = "c AUTHENTICATE PLAIN ", "\r\nc OK ", "\r\nc NO [AUTHENTICATIONFAILED]"
	}
	all := "\r\n"
	hear := func(end string) error {
		for !strings.Contains(all, end) {
			line, err := in.ReadString('\n')
			if all += line; err != nil || strings.Contains(all, no) {
				return errors.Join(fmt.Errorf("%s: %q", password, all), err)
			}
		}
		return nil
	}
	if password != secret {
		yes, no = no, yes
	}
	if !imap {
		if err := hear("\r\n220 "); err != nil {
			return err
		}
		io.WriteString(conn, "EHLO client.example\r\n")
		if err := hear("\r\n250 "); err != nil {
			return err
		}
	}
	io.WriteString(conn, command+sasl.Encode(sasl.Plain(sasl.Credentials{User: alice, Password: password}))+"\r\n")
	return hear(yes)
}
