package simulate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/bounce"
	"facteur/internal/flow/deliver"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/route"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/dns"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
	"facteur/internal/test/ledger"
	"facteur/internal/test/sim"
)

const (
	hostname = "mail.example.org"
	alice    = "alice@example.org"
)

// schedule is that of the defaults.
var schedule = deliver.Schedule{
	MinimalBackoff: 5 * time.Minute, MaximalBackoff: 4 * time.Hour,
	Lifetime: 5 * 24 * time.Hour, BounceLifetime: 5 * 24 * time.Hour, DelayWarning: 4 * time.Hour,
}

// house is one life of the process, from the opening of its directory to its end.
type house struct {
	t       *testing.T
	dir     string
	machine *sim.Machine
	state   *db.DB
	queue   *queue.Queue
	desk    *intake.Desk
	stop    context.CancelFunc
	over    chan struct{}
	// disk is the one of the mailboxes, and same the file of the queue once more.
	disk *disk
	same *db.DB
}

// disk is a disk that is full at times.
type disk struct {
	vfs.OS
	full atomic.Bool
}

func (d *disk) Create(name string, perm fs.FileMode) (vfs.File, error) {
	if d.full.Load() {
		return nil, &fs.PathError{Op: "create", Path: name, Err: syscall.ENOSPC}
	}
	return d.OS.Create(name, perm)
}

var (
	ourIPv4 = netip.MustParseAddr("192.0.2.1")
	ourIPv6 = netip.MustParseAddr("2001:db8::1")
)

// open begins a life in a directory.
func open(t *testing.T, dir string, world *sim.Internet, events event.Sink) *house {
	t.Helper()
	h := &house{t: t, dir: dir, machine: world.Machine(ourIPv4, ourIPv6), over: make(chan struct{}), disk: new(disk)}
	var err error
	h.state, err = db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	check(t, err)
	accounts := directory.New(h.state, []string{"example.org"}, dir, 0)
	if _, err := os.Stat(filepath.Join(dir, "queue.db")); err != nil {
		check(t, accounts.AddHashed(t.Context(), parse(t, alice), "{PLAIN}secret", 0))
	}
	h.queue, err = queue.Open(dir)
	check(t, err)
	h.same, err = db.Open(filepath.Join(dir, "queue.db"), queue.Migrations())
	check(t, err)
	resolver, err := dns.New(dns.Config{Servers: world.Servers(), Dial: h.machine.DialContext})
	check(t, err)
	router := route.New(accounts, hostname, func() string { return "example.org" })
	rules := &intake.Rules{Hostname: hostname, SizeLimit: 1 << 20, Recipients: 100}
	h.desk = intake.New(func() *intake.Rules { return rules }, accounts, router, h.queue,
		func(context.Context, directory.Account, int64) (int64, error) { return 1 << 40, nil }, event.Discard)
	out := &deliver.Outbound{
		Port: 25, Helo: hostname, IPv4: true, IPv6: true, AllowPrivate: true,
		ReuseCount: 100, ReuseTime: 5 * time.Minute, IdleTime: 2 * time.Second,
		DestinationConcurrency: 20, Concurrency: 100,
		Self: dns.Self{Names: []string{hostname}}, Dial: h.machine.Dial, Ways: ways(t),
	}
	d := deliver.New(deliver.House{
		Hostname: hostname, FS: h.disk, Queue: h.queue, Directory: accounts, Resolver: resolver,
		Notices: bounce.New(hostname, func() string { return "en" }, h.queue, router), Notify: func(directory.Account, string, int64) {},
		Schedule: func() deliver.Schedule { return schedule }, Outbound: func() *deliver.Outbound { return out },
		Events: events,
	})
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	go func() {
		defer close(h.over)
		if err := d.Run(ctx, 5*time.Second); err != nil {
			t.Error(err)
		}
	}()
	return h
}

// ways sends mail for one domain by two relays, of which one is out of favour.
func ways(t *testing.T) *transport.Table {
	t.Helper()
	table, wrong := transport.NewTable(transport.Rules{
		Transports: []*transport.Transport{{Name: "pair", Kind: transport.SMTP, Relays: []transport.Relay{{Host: "r1.pair.test", Port: 25}, {Host: "r2.pair.test", Port: 25}}}},
		Entries:    []transport.Entry{{Recipients: []string{"pair.test"}, To: "pair:"}},
	})
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	return table
}

// end ends a life: what was begun is finished, and the files are closed.
func (h *house) end() {
	h.stop()
	<-h.over
	h.queue.Close()
	h.same.Close()
	h.state.Close()
}

// kill ends a life as kill -9 does, and gives a copy of the files as they are now. What
// is committed no more from here on was never committed, and nobody reads an answer
// after it: whatever is at work goes on until it needs either.
func (h *house) kill(world *sim.Internet) (dir string) {
	thaw := h.freeze()
	world.Fault()
	h.machine.Kill()
	dir = room(h.t)
	check(h.t, os.CopyFS(dir, os.DirFS(h.dir)))
	thaw()
	h.end() // what it still does, it does to files that nobody looks at any more
	check(h.t, os.RemoveAll(h.dir))
	return dir
}

// freeze lets nothing more be committed to the queue, as a disk that hangs, until thaw is
// called: its file and its log are those of one moment.
func (h *house) freeze() (thaw func()) {
	frozen, end, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		h.same.Write(context.Background(), func(*db.Tx) error {
			close(frozen)
			<-end
			return errors.New("nothing was to be written")
		})
	}()
	<-frozen
	return func() { close(end); <-over }
}

// room is a directory in memory, where there is one: this is not about the disk.
func room(t *testing.T) string {
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "facteur-simulate-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// post hands in a letter as Alice.
func (h *house) post(letter ledger.Letter, to []ledger.Recipient) error {
	ctx := context.Background()
	p := intake.Peer{Addr: netip.MustParseAddr("192.0.2.9"), Name: "unknown", Helo: "pc", Protocol: "ESMTPSA", Account: alice, Submission: true}
	tx, reply := h.desk.Begin(ctx, p, smtp.Mail{Sender: parse(h.t, letter.From)})
	for i := 0; reply == nil && i < len(to); i++ {
		reply = tx.Recipient(ctx, smtp.Rcpt{To: parse(h.t, to[i].Address)})
	}
	if reply == nil {
		reply = tx.Receive(ctx, strings.NewReader(string(letter.Bytes())))
	}
	if reply == nil {
		_, reply = tx.Commit(ctx)
	}
	if reply != nil {
		return fmt.Errorf("%s: %s", letter.ID, reply.Error())
	}
	return nil
}

// mailbox is where Alice's letters and notices are.
func (h *house) mailbox() string {
	return filepath.Join(h.dir, "mail", "example.org", "alice", "Maildir")
}

func parse(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	check(t, err)
	return a
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
