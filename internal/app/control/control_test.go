package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func settings(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Parse(filepath.Join(t.TempDir(), "facteur.toml"), []byte("hostname = 'mx.example.org'\ndata_dir = 'data'\n[[domain]]\nname = 'example.org'"))
	must(t, err)
	return c
}

// running is a server's half: the claim, the stores and the socket.
func running(t *testing.T, cfg *config.Config) *Stores {
	t.Helper()
	claim, err := NewClaim(t.Context(), cfg.DataDir)
	must(t, err)
	stores, closeStores, err := openStores(cfg)
	must(t, err)
	server, err := Serve(cfg.DataDir, stores, event.Discard)
	must(t, err)
	t.Cleanup(func() {
		must(t, errors.Join(server.Close(context.Background()), closeStores(), claim.Release()))
	})
	return stores
}

// office opens an office and closes it at the end of the test.
func office(t *testing.T, cfg *config.Config) Office {
	t.Helper()
	o, done, err := Open(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { must(t, done()) })
	return o
}

// The contract of Office, held by both ways to it.
func TestOffice(t *testing.T) {
	t.Parallel()
	t.Run("stopped", func(t *testing.T) {
		o := office(t, settings(t))
		if _, ok := o.(*Stores); !ok {
			t.Fatalf("%T", o)
		}
		testOffice(t, o, o.(*Stores))
	})
	t.Run("running", func(t *testing.T) {
		cfg := settings(t)
		stores := running(t, cfg)
		o := office(t, cfg)
		if _, ok := o.(*client); !ok {
			t.Fatalf("%T", o)
		}
		testOffice(t, o, stores)
	})
}

func testOffice(t *testing.T, o Office, stores *Stores) {
	ctx := t.Context()
	must(t, o.AddAccount(ctx, NewAccount{Address: "alice@example.org", Password: "secret", Quota: 5 << 20}))
	must(t, o.AddDomain(ctx, NewDomain{Name: "example.net"}))
	must(t, o.SetPassword(ctx, NewPassword{Address: "ALICE@example.org", Password: "other"}))
	accounts, err := o.Accounts(ctx)
	must(t, err)
	if len(accounts) != 1 || accounts[0].Address != "alice@example.org" || accounts[0].Quota != 5<<20 {
		t.Errorf("%+v", accounts)
	}
	must(t, o.Grant(ctx, Permission{"Alice@example.org", "Sales@example.org"}))
	must(t, o.Grant(ctx, Permission{"alice@example.org", "@shop.example"}))
	must(t, o.Revoke(ctx, Permission{"alice@example.org", "@SHOP.example"}))
	for _, name := range []string{"", "alice@example.org"} {
		grants, err := o.Grants(ctx, AccountName{name})
		if must(t, err); fmt.Sprint(grants) != "[{alice@example.org sales@example.org}]" {
			t.Errorf("grants of %q: %v", name, grants)
		}
	}
	domains, err := o.Domains(ctx)
	must(t, err)
	if got := fmt.Sprint(domains); got != "[{example.net database mailbox   false} {example.org file mailbox   false}]" {
		t.Error(got)
	}
	for want, err := range map[string]error{
		"alice@example.org: the account exists already":                             o.AddAccount(ctx, NewAccount{Address: "alice@example.org", Password: "x"}),
		`bob@example.com: there is no such domain here: "example.com"`:              o.AddAccount(ctx, NewAccount{Address: "bob@example.com", Password: "x"}),
		`"bob" is not an address: bad address syntax: no domain`:                    o.AddAccount(ctx, NewAccount{Address: "bob", Password: "x"}),
		"bob@example.org: a password has 1 to 1024 bytes and no control characters": o.AddAccount(ctx, NewAccount{Address: "bob@example.org"}),
		"bob@example.org: there is no such account":                                 o.SetPassword(ctx, NewPassword{Address: "bob@example.org", Password: "x"}),
		"example.org: the domain is declared in the settings file; remove it there": o.RemoveDomain(ctx, DomainName{"example.org"}),
		"carol@example.org: there is no such account":                               o.RemoveAccount(ctx, Removal{Address: "carol@example.org"}),
		`"x" is not a queue ID (hexadecimal digits are expected)`:                   second(o.Entry(ctx, ItemID{"x"})),
		"ABC: no such item in the queue":                                            second(o.Entry(ctx, ItemID{"ABC"})),
		"nobody@example.org: there is no such account":                              o.Grant(ctx, Permission{"nobody@example.org", "x@example.org"}),
		"alice@example.org: the account has no such grant":                          o.Revoke(ctx, Permission{"alice@example.org", "x@example.org"}),
		"ABD: no such item in the queue":                                            second(o.Message(ctx, ItemID{"ABD"})),
	} {
		if got := fmt.Sprint(err); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	must(t, o.AddAccount(ctx, NewAccount{Address: "bob@example.org", Password: "secret"}))
	must(t, o.SetMailboxRights(ctx, MailboxRights{"bob@example.org", "INBOX", "alice@example.org", "lrs"}))
	must(t, o.RemoveAccount(ctx, Removal{"alice@example.org", true}))
	rights, err := o.MailboxRights(ctx, MailboxName{Address: "bob@example.org", Mailbox: "INBOX"})
	must(t, err)
	if len(rights) != 1 || rights[0].Who != "bob@example.org" {
		t.Errorf("IMAP-021 the next owner of the address inherits rights: %+v", rights)
	}
	must(t, o.RemoveAccount(ctx, Removal{"bob@example.org", true}))
	must(t, o.RemoveDomain(ctx, DomainName{"example.net"}))
	testQueue(t, o, stores.queue)
}

func second[T any](_ T, err error) error { return err }

func testQueue(t *testing.T, o Office, q *queue.Queue) {
	ctx := t.Context()
	letter := "Subject: x\r\n\r\n" + strings.Repeat("hello\r\n", 30000) // larger than what stays in a row
	var ids []string
	for range 3 {
		spool := q.Spool()
		if _, err := spool.Write([]byte(letter)); err != nil {
			t.Fatal(err)
		}
		bob := address.Address{Local: "bob", Domain: "remote.example"}
		it := &queue.Item{ID: q.NextID(), Sender: address.Address{Local: "alice", Domain: "example.org"}, Recipients: []queue.Recipient{{Address: bob, Original: bob}}}
		must(t, q.Commit(ctx, queue.Draft{Item: it, Spool: spool}))
		ids = append(ids, it.ID.String())
	}
	var listed []string
	must(t, o.Queue(ctx, Selection{}, func(e Entry) error { listed = append(listed, e.ID); return nil }))
	if fmt.Sprint(listed) != fmt.Sprint(ids) {
		t.Errorf("listed %v, want %v", listed, ids)
	}
	enough := errors.New("enough")
	if err := o.Queue(ctx, Selection{}, func(Entry) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the reader's error is lost: %v", err)
	}
	e, err := o.Entry(ctx, ItemID{ids[1]})
	must(t, err)
	if e.ID != ids[1] || e.Sender != "alice@example.org" || e.Size != int64(len(letter)) || len(e.Recipients) != 1 || e.Recipients[0].Address != "bob@remote.example" {
		t.Errorf("%+v", e)
	}
	body, err := o.Message(ctx, ItemID{ids[1]})
	must(t, err)
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || string(got) != letter {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// FLT-011: one process at a time works on a data directory.
func TestFLT011SecondClaimIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first, err := tryClaim(dir)
	must(t, err)
	_, err = tryClaim(dir)
	if want := fmt.Sprintf("data directory %s is in use by process %d", dir, os.Getpid()); !errors.Is(err, ErrInUse) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("MAP-011: %v, %v", info.Mode(), err)
	}
	// A server that starts while a command works waits for it.
	time.AfterFunc(50*time.Millisecond, func() { first.Release() })
	again, err := NewClaim(t.Context(), dir)
	must(t, err)
	must(t, again.Release())
}

func TestMAP011DataDirectoryOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o770))
	if _, err := tryClaim(dir); err == nil || !strings.Contains(err.Error(), "can be written by others") {
		t.Error(err)
	}
	must(t, os.Chmod(dir, 0o700))
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	must(t, os.Chown(dir, 12345, 12345))
	if _, err := tryClaim(dir); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
		t.Error(err)
	}
}

func TestSocketIsPrivateAndGoesAway(t *testing.T) {
	t.Parallel()
	// The name is longer than a socket's address may be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	claim, err := NewClaim(t.Context(), dir)
	must(t, err)
	must(t, syscall.Mknod(filepath.Join(dir, socketName), syscall.S_IFSOCK|0o600, 0)) // what a crash left
	server, err := Serve(dir, &Stores{}, event.Discard)
	must(t, err)
	info, err := os.Stat(filepath.Join(dir, socketName))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v", info.Mode())
	}
	conn, err := dialSocket(t.Context(), dir)
	must(t, err)
	conn.Close()
	must(t, server.Close(t.Context()))
	if _, err := os.Stat(filepath.Join(dir, socketName)); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
	must(t, claim.Release())
}

// LOC-013: noise, half requests and idle connections hurt nobody.
func TestLOC013NoiseOnTheSocket(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	running(t, cfg)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	noise := make([]byte, 10000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for _, bytes := range [][]byte{
		noise,
		[]byte("POST /accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n{"),
		[]byte("POST /accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"),
		[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		nil,
	} {
		conn, err := dialSocket(t.Context(), cfg.DataDir)
		must(t, err)
		conn.Write(bytes)
		conn.(*net.UnixConn).CloseWrite()
		defer conn.Close()
	}
	_, err := office(t, cfg).Domains(t.Context())
	must(t, err)
}

// LOC-013: connections that say nothing hold nobody up for long.
func TestLOC013IdleConnections(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	running(t, cfg)
	for range 2 * maxConnections {
		conn, err := dialSocket(t.Context(), cfg.DataDir)
		must(t, err)
		defer conn.Close()
	}
	_, err := office(t, cfg).Domains(t.Context())
	must(t, err)
}

func TestRequestsAreStrict(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	running(t, cfg)
	c := newClient(cfg.DataDir)
	for name, in := range map[string]any{
		"unknown key": map[string]string{"address": "a@example.org", "pasword": "x"},
		"wrong type":  []int{1},
		"too large":   NewAccount{Password: strings.Repeat("x", maxRequest)},
	} {
		if err := c.call(t.Context(), "/accounts/add", in, nil); err == nil || !strings.HasPrefix(err.Error(), "request: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An alias may have thousands of targets, and who sends too much is told the limit.
func TestALargeAlias(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	running(t, cfg)
	c := newClient(cfg.DataDir)
	n := NewAlias{Address: "all@example.org"}
	for i := range 5000 {
		n.Targets = append(n.Targets, fmt.Sprintf("somebody-%d@far.example", i))
	}
	must(t, c.AddAlias(t.Context(), n))
	if list, err := c.Aliases(t.Context()); err != nil || len(list) != 1 || len(list[0].Targets) != len(n.Targets) {
		t.Errorf("%d aliases, %v", len(list), err)
	}
	err := c.AddAlias(t.Context(), NewAlias{Address: strings.Repeat("x", maxAlias)})
	if err == nil || !strings.Contains(err.Error(), "larger than 4096 KiB") {
		t.Error(err)
	}
}

// INV-21: what the log is told of a new password is not the password.
func TestPasswordsStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	claim, err := NewClaim(t.Context(), cfg.DataDir)
	must(t, err)
	stores, closeStores, err := openStores(cfg)
	must(t, err)
	var log recorder
	server, err := Serve(cfg.DataDir, stores, &log)
	must(t, err)
	c := newClient(cfg.DataDir)
	must(t, c.AddAccount(t.Context(), NewAccount{Address: "alice@example.org", Password: "canary-secret"}))
	must(t, errors.Join(server.Close(t.Context()), closeStores(), claim.Release()))
	if !strings.Contains(log.String(), "alice@example.org") || strings.Contains(log.String(), "canary") {
		t.Error(log.String())
	}
}

type recorder struct{ bytes.Buffer }

func (r *recorder) Emit(e event.Event) { fmt.Fprintf(&r.Buffer, "%+v\n", e) }
