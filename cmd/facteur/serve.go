package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"facteur/internal/app"
	"facteur/internal/app/config"
)

func (c *command) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server in the foreground until SIGTERM or SIGINT, which let what is\n" +
			"under way finish; a second one ends it at once, and loses no mail either.\n" +
			"SIGHUP reads the settings file again, all of it or nothing, and opens a log\n" +
			"file anew.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			return c.serve(cmd.Context(), cfg)
		},
	}
}

func (c *command) serve(ctx context.Context, cfg *config.Config) error {
	outliveReaders()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	log, err := openLog(cfg, c.err)
	if err != nil {
		return err
	}
	defer log.close()
	house, err := app.New(cfg, log)
	if err != nil {
		return err
	}
	s := &served{house: house, log: log, path: cfg.Path()}
	watching := make(chan struct{})
	go func() { defer close(watching); s.watch(ctx, stop, hangup) }()
	tellSystemd(daemon.SdNotifyReady)
	err = house.Run(ctx)
	stop() // it may have ended by itself
	<-watching
	return err
}

// outliveReaders lets a server go on when nobody reads its standard error any more
// (a journal that was restarted, "2>&1 | head"): without this, Go ends the process
// at the next line of the log (FLT-021).
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }

// served is a server that runs, as its signals see it.
type served struct {
	house *app.App
	log   *serverLog
	path  string // of the settings file
}

// watch reloads at every SIGHUP until ctx ends. Then signals have their usual
// effect again, so that a second SIGTERM does not wait for anything.
func (s *served) watch(ctx context.Context, restore func(), hangup <-chan os.Signal) {
	for {
		select {
		case <-hangup:
			s.reload()
		case <-ctx.Done():
			restore()
			tellSystemd(daemon.SdNotifyStopping)
			return
		}
	}
}

// reload takes over the settings file, or tells why not and changes nothing. The
// log file is opened anew either way: log rotation waits for that.
func (s *served) reload() {
	tellSystemd(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	defer tellSystemd(daemon.SdNotifyReady)
	if err := s.log.reopen(); err != nil {
		s.log.warn(err)
	}
	cfg, err := config.Load(s.path)
	if err == nil {
		err = s.house.Reload(cfg)
	}
	if err != nil {
		s.log.warn(err)
		s.log.note("the settings are as before")
		return
	}
	if cfg.Log != s.log.settings {
		s.log.note("changes of [log] take effect at the next start")
	}
}

// tellSystemd is best effort: without systemd nobody listens.
func tellSystemd(state string) { daemon.SdNotify(false, state) }
