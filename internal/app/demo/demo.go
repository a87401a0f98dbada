// Package demo is a whole post office to play with, on loopback and in one
// directory: two domains, three accounts and a postmaster, all doors, and a small outside world
// with a name server and a mail host of its own, so that mail can be sent out
// without the Internet.
//
// Nothing in it is special: it writes a facteur.toml like any other and runs the
// server that "facteur serve" runs. With a directory given it can be stopped and
// started again; else all is removed at the end.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"facteur/internal/app"
	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/base/event"
	"facteur/internal/test/sim"
)

// The ports of the demo, all on 127.0.0.1.
const (
	smtpPort        = 2525
	worldPort       = 2526
	dnsPort         = 2053
	submissionPort  = 2587
	submissionsPort = 2465
	imapPort        = 2143
	imapsPort       = 2993
	pop3Port        = 2110
	pop3sPort       = 2995
)

// socketPathMax is the longest path of a Unix socket.
const socketPathMax = 103

// password is that of all accounts: the demo listens on loopback only.
const password = "facteur"

var accounts = []string{"alice@example.org", "bob@example.org", "carol@example.net", "postmaster@example.org"}

// Options are what the command line says.
type Options struct {
	// Dir keeps everything; "" takes a temporary directory.
	Dir string
	// Out is for people, Log for the log.
	Out, Log io.Writer
	// Hangup has the SIGHUPs, at each of which the settings are read again; it may be nil.
	Hangup <-chan os.Signal
}

// Run runs the demo until ctx ends.
func Run(ctx context.Context, o Options) (err error) {
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "facteur-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.Dir)
	}
	world, err := sim.StartWorld(loopback(dnsPort), loopback(worldPort), sim.DemoBehaviours(), sim.DemoZone(), nil)
	if err != nil {
		return fmt.Errorf("the outside world can't start: %w", err)
	}
	defer world.Close()
	cfg, err := settings(o.Dir)
	if err != nil {
		return err
	}
	fresh, err := makeAccounts(ctx, cfg)
	if err != nil {
		return err
	}
	log := event.NewLog(o.Log, event.Traditional, slog.LevelInfo, "demo")
	defer log.Close()
	return serve(ctx, o, cfg, log, world, fresh)
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// settings writes facteur.toml, unless it is there from an earlier run, and reads it.
func settings(dir string) (*config.Config, error) {
	file := filepath.Join(dir, "facteur.toml")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, []byte(toml(dir)), 0o600); err != nil {
			return nil, err
		}
	}
	return config.Load(file)
}

func toml(dir string) string {
	var b strings.Builder
	b.WriteString(`# The settings of the demo. Try changing them: a SIGHUP makes the server read them again.
hostname = "mail.example.org"
dns_list = []                   # the DNS of the demo has none
data_dir = "data"

[[domain]]
name = "example.org"

[[domain]]
name = "example.net"
`)
	for _, l := range []struct {
		service config.Service
		port    int
	}{
		{config.SMTP, smtpPort}, {config.Submission, submissionPort}, {config.Submissions, submissionsPort},
		{config.IMAP, imapPort}, {config.IMAPS, imapsPort}, {config.POP3, pop3Port}, {config.POP3S, pop3sPort},
	} {
		fmt.Fprintf(&b, "\n[[listen]]\nservice = %q\naddress = %q\n", l.service, loopback(l.port))
	}
	if path, err := filepath.Abs(filepath.Join(dir, "sendmail.sock")); err == nil && len(path) <= socketPathMax {
		fmt.Fprintf(&b, "\n# For the command sendmail: FACTEUR_SENDMAIL_SOCKET=%[2]s.\n[[listen]]\nservice = %[1]q\naddress = \"unix:%[2]s\"\n", config.Local, path)
	}
	fmt.Fprintf(&b, `
# The outside world of the demo: its name server, and the port of its mail host.
[dns]
servers = [%q]

[outbound]
port = %d
allow_private = true

# Nobody outside sees the demo, and it is looked at only when you ask: facteur doctor.
[doctor]
daily = false

# So that there is something to see: retries come soon.
[queue]
minimal_backoff_time = "30s"
maximal_backoff_time = "5m"
`, loopback(dnsPort), worldPort)
	return b.String()
}

// makeAccounts tells whether they are new.
func makeAccounts(ctx context.Context, cfg *config.Config) (fresh bool, err error) {
	office, closeOffice, err := control.Open(ctx, cfg)
	if err != nil {
		return false, err
	}
	defer closeOffice()
	there, err := office.Accounts(ctx)
	if err != nil || len(there) > 0 {
		return false, err
	}
	for _, a := range accounts {
		if err := office.AddAccount(ctx, control.NewAccount{Address: a, Password: password}); err != nil {
			return false, err
		}
	}
	return true, nil
}

func serve(ctx context.Context, o Options, cfg *config.Config, log event.Sink, world *sim.World, fresh bool) error {
	house, err := app.New(cfg, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- house.Run(ctx) }()
	if fresh {
		if err := seed(ctx); err != nil {
			cancel()
			return errors.Join(err, <-done)
		}
	}
	fmt.Fprint(o.Out, welcome(o.Dir))
	go watch(ctx, world, o.Out)
	for {
		select {
		case <-o.Hangup:
			reload(house, cfg.Path(), log)
		case err := <-done:
			return err
		}
	}
}

// reload takes over the settings file, or tells why not and changes nothing.
func reload(house *app.App, file string, log event.Sink) {
	cfg, err := config.Load(file)
	if err == nil {
		err = house.Reload(cfg)
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			log.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/master", Text: strings.TrimSpace(line)})
		}
		log.Emit(event.Note{Severity: slog.LevelInfo, Program: "facteur/master", Text: "the settings are as before"})
	}
}

// watch tells of what arrives outside.
func watch(ctx context.Context, world *sim.World, out io.Writer) {
	for told := 0; ctx.Err() == nil; {
		taken := world.Sink.Await(told+1, time.Second)
		for ; told < len(taken); told++ {
			fmt.Fprintf(out, "The outside world took a letter for %s.\n", strings.Join(taken[told].Recipients, ", "))
		}
	}
}

func welcome(dir string) string {
	return fmt.Sprintf(`
facteur's demo is running, on this machine only. Everything is in %[1]s

  accounts   alice@example.org, bob@example.org, carol@example.net, postmaster@example.org;
             the password of each is %[2]q
  mail in    smtp 2525
  mail out   submission 2587 (STARTTLS), submissions 2465 (TLS)
  mailboxes  imap 2143 (STARTTLS), imaps 2993 (TLS), pop3 2110 (STLS), pop3s 2995 (TLS)
  outside    accept.example takes all mail, reject.example knows nobody,
             defer.example always says "later", slow.example takes its time

Try, in another terminal:

  curl -k --url imaps://127.0.0.1:2993/INBOX --user alice@example.org:%[2]s -X 'FETCH 1:* (FLAGS ENVELOPE)'
  printf 'From: alice@example.org\nTo: x@reject.example\nSubject: Is anybody there?\n\nHello.\n' | \
    curl -k --url smtps://127.0.0.1:2465 --user alice@example.org:%[2]s --mail-from alice@example.org --mail-rcpt x@reject.example -T -
  %[3]s queue list -c %[1]s/facteur.toml

Stop it with Ctrl-C.

`, dir, password, program())
}

// program is how the visitor can call us from another directory.
func program() string {
	if path, err := os.Executable(); err == nil {
		return path
	}
	return "facteur"
}
