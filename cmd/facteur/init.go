package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/app/records"
	"facteur/internal/mail/address"
)

// birth is what "facteur init" is told.
type birth struct {
	path, domain, hostname, dataDir, account string
	stdin                                    *bool
}

func (c *command) initCommand() *cobra.Command {
	b := &birth{}
	cmd := &cobra.Command{
		Use:   "init DOMAIN",
		Short: "Write a settings file and make the first account",
		Long: "Write the smallest settings file for a domain (./facteur.toml, or where -c says),\n" +
			"make the data directory and the first account, and print the DNS records that\n" +
			"the world needs to see. What exists is never overwritten.",
		Example: "  facteur init example.org",
		Args:    takes("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := b.complete(c.settings, args[0]); err != nil {
				return err
			}
			return c.found(cmd.Context(), b)
		},
	}
	b.stdin = passwordFlag(cmd)
	cmd.Flags().StringVar(&b.hostname, "hostname", "", "full `name` of this machine (default mail.DOMAIN)")
	cmd.Flags().StringVar(&b.dataDir, "data-dir", "", "`directory` for all that is kept (default /var/lib/facteur for root, else ./data)")
	cmd.Flags().StringVar(&b.account, "account", "", "`address` of the first account (default postmaster@DOMAIN)")
	return cmd
}

// complete fills in what the command line leaves open.
func (b *birth) complete(path, domain string) (err error) {
	if b.domain, err = address.CanonicalDomain(domain); err != nil {
		return fmt.Errorf("%s: %w", domain, err)
	}
	for _, missing := range []struct {
		to    *string
		value string
	}{
		{&b.hostname, "mail." + b.domain},
		{&b.account, "postmaster@" + b.domain},
		{&b.dataDir, defaultDataDir()},
		{&path, "facteur.toml"},
	} {
		if *missing.to == "" {
			*missing.to = missing.value
		}
	}
	b.path, err = filepath.Abs(path)
	return err
}

func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/facteur"
	}
	return "data"
}

// found asks for the password before it writes anything, and leaves no half-made
// settings file behind.
func (c *command) found(ctx context.Context, b *birth) error {
	if _, err := os.Lstat(b.path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already; it is not overwritten", b.path)
	}
	password, err := c.password(*b.stdin)
	if err != nil {
		return err
	}
	if err := b.write(); err != nil {
		return err
	}
	c.settings = b.path
	err = c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		return o.AddAccount(ctx, control.NewAccount{Address: b.account, Password: password})
	})
	if err != nil {
		return errors.Join(err, os.Remove(b.path))
	}
	if err := c.firstKeys(ctx, b.domain); err != nil {
		return err
	}
	return c.congratulate(b)
}

// congratulate tells what there is now, and what is still to be done.
func (c *command) congratulate(b *birth) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, afterwards, b.path, b.account, records.Placeholder)
	if err := records.Write(c.out, records.Of(records.For(cfg, b.domain))); err != nil {
		return err
	}
	fmt.Fprintf(c.out, thenStart, b.path, b.hostname)
	return nil
}

func (b *birth) write() error {
	text := fmt.Sprintf(firstFile, b.hostname, b.dataDir, b.domain)
	if cfg, err := config.Parse(b.path, []byte(text)); err != nil {
		return err
	} else if errs := cfg.Check(); len(errs) > 0 {
		return errors.Join(errs...)
	}
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// firstFile is small on purpose: every default is safe, and what stands here is
// what somebody has decided.
const firstFile = `# Settings of facteur. "facteur config defaults" explains all there are,
# "facteur check" finds mistakes in this file.

hostname = %q
data_dir = %q

[[domain]]
name = %q

# Without [[listen]], the usual ports are used: smtp 25, submission 587,
# submissions 465, imap 143, imaps 993.

# A certificate that the world trusts; without one, a self-signed one is made.
#[tls]
#certificate = ["/etc/letsencrypt/live/mail.example.org/fullchain.pem"]
#key = ["/etc/letsencrypt/live/mail.example.org/privkey.pem"]
`

const afterwards = `%[1]s is written and the account %[2]s is made.

Publish these DNS records (%[3]s is the public address of this machine):

`

const thenStart = `
Ask whoever gives you the address to name it %[2]s (its PTR record), start the server,
and let it tell what the world sees of it:

  facteur serve -c %[1]s
  facteur doctor -c %[1]s
`
