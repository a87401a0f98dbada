package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/app/doctor"
	"facteur/internal/app/records"
	"facteur/internal/mail/address"
)

// examination is what "facteur doctor" is told.
type examination struct {
	before, hostname string
	all              bool
}

func (c *command) doctorCommand() *cobra.Command {
	x := &examination{}
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "doctor [DOMAIN]",
		Short: "Tell what the world sees of this server, and what to change",
		Long: "Look at what the world sees of this server and its domains, and tell what to change,\n" +
			"with records and settings ready to paste: name service, MX, addresses and their names,\n" +
			"SPF, DKIM, DMARC, TLS, block lists, the door, the disk, the clock. Nothing is changed and no\n" +
			"mail is sent. The exit code is 0 when all is well, 1 with warnings or where something\n" +
			"could not be told, 2 with failures. docs/DOCTOR.md explains each check.",
		Example: "  facteur doctor\n  facteur doctor example.org --json\n  facteur doctor --before example.org   # on a new machine",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := c.world(cmd.Context(), x, args)
			if err != nil {
				return c.exitWith(2, err)
			}
			return c.examine(cmd.Context(), w, x)
		},
	}))
	cmd.Flags().StringVar(&x.before, "before", "", "look at a machine that is to serve `domain`, before anything is installed")
	cmd.Flags().StringVar(&x.hostname, "hostname", "", "with --before, the full `name` of this machine (default mail.DOMAIN)")
	cmd.Flags().BoolVarP(&x.all, "verbose", "v", false, "tell of all that is well, too, with what it means")
	return cmd
}

// exitWith tells an error and ends with a status of its own.
func (c *command) exitWith(status int, err error) error {
	c.exit("facteur", err)
	return &toolError{status}
}

// world is what is to be looked at.
func (c *command) world(ctx context.Context, x *examination, args []string) (*doctor.World, error) {
	if x.before != "" {
		return c.newMachine(x, args)
	}
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	resolver, err := c.resolver()
	if err != nil {
		return nil, err
	}
	only := ""
	if len(args) > 0 {
		if only, err = address.CanonicalDomain(args[0]); err != nil {
			return nil, fmt.Errorf("%q is no domain: %w", args[0], err)
		}
	}
	visit := func(ctx context.Context, fn func(context.Context, control.Office) error) error {
		return c.withOffice(ctx, fn)
	}
	return doctor.New(ctx, cfg, resolver, visit, only)
}

// newMachine is one where nothing is installed yet.
func (c *command) newMachine(x *examination, args []string) (*doctor.World, error) {
	if len(args) > 0 {
		return nil, errors.New("--before has its own domain; expected no other")
	}
	domain, err := address.CanonicalDomain(x.before)
	if err != nil {
		return nil, fmt.Errorf("%q is no domain: %w", x.before, err)
	}
	cfg := config.Default()
	if cfg.Hostname = x.hostname; cfg.Hostname == "" {
		cfg.Hostname = "mail." + domain
	}
	cfg.DataDir = "/var/lib"
	if _, err := os.Stat(cfg.DataDir); err != nil || os.Geteuid() != 0 {
		cfg.DataDir = "."
	}
	resolver, err := c.resolver()
	if err != nil {
		return nil, err
	}
	return doctor.NewBefore(cfg, resolver, domain), nil
}

// examine looks, and tells.
func (c *command) examine(ctx context.Context, w *doctor.World, x *examination) error {
	list := doctor.Run(ctx, w)
	if c.json {
		if err := printJSON(c, list...); err != nil {
			return err
		}
	} else {
		page := doctor.Page{Findings: list, All: x.all, Color: isScreen(c.out)}
		if x.before != "" {
			page.Records = records.Of(w.House(x.before))
		}
		if err := page.Write(c.out); err != nil {
			return err
		}
	}
	if status := doctor.Exit(list); status != 0 {
		return &toolError{status}
	}
	return nil
}

// isScreen tells whether people look at it, and want colours.
func isScreen(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
