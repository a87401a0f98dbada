package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"facteur/internal/app/takeover"
	"facteur/internal/app/takeover/amavis"
	"facteur/internal/app/takeover/dovecot"
	"facteur/internal/app/takeover/postfix"
)

func (c *command) importPostfix() *cobra.Command {
	dovecot := ""
	cmd := c.takeoverCommand("postfix", "Write a facteur.toml of Postfix's main.cf and master.cf, and a report", "/etc/postfix",
		func(t *takeover.Takeover, dir, settings string) error {
			if dovecot != "" {
				if err := readDovecot(t, dovecot, settings); err != nil {
					return err
				}
			}
			return readPostfix(t, dir, settings)
		})
	cmd.Flags().StringVar(&dovecot, "dovecot", "", "`directory` of the Dovecot that has the mailboxes, to be taken over into the same file")
	cmd.Example = "  facteur import postfix --dovecot /etc/dovecot -o /etc/facteur/facteur.toml --report report"
	return cmd
}

// takeoverCommand is an import of a configuration: read fills a Takeover from a
// directory, for settings that go to the directory settings ("": to the screen).
func (c *command) takeoverCommand(name, short, usual string, read func(t *takeover.Takeover, dir, settings string) error) *cobra.Command {
	o := takeover.Output{Stdout: c.out, Stderr: c.err}
	cmd := &cobra.Command{
		Use:   name + " [DIRECTORY]",
		Short: short,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := usual
			if len(args) > 0 {
				dir = args[0]
			}
			o.JSON = c.json
			return takeOver(o, name, dir, read)
		},
	}
	cmd.Flags().StringVarP(&o.Settings, "output", "o", "facteur.toml", "`file` to write the settings to; \"-\": the screen")
	cmd.Flags().StringVar(&o.Report, "report", "", "`file` to write the report to (default: the screen)")
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace files that are there")
	cmd.Flags().BoolVar(&c.json, "json", false, "the report as JSON, one object a line")
	return cmd
}

func takeOver(o takeover.Output, name, dir string, read func(t *takeover.Takeover, dir, settings string) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if o.Settings != "-" {
		if o.Settings, err = filepath.Abs(o.Settings); err != nil {
			return err
		}
	}
	t := takeover.New(dir, fmt.Sprintf("Made by \"facteur import %s\" of %s. The report of that command says what became of each line.\n"+
		"Everything else is as \"facteur config defaults\" prints it. \"facteur check\" looks for mistakes.", name, dir))
	if err := read(t, dir, o.Dir()); err != nil {
		return err
	}
	return t.Write(o)
}

func readPostfix(t *takeover.Takeover, dir, settings string) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	return postfix.Import(t, postfix.Options{Dir: dir, Settings: settings, Hostname: host, Networks: ownNetworks()})
}

func (c *command) importDovecot() *cobra.Command {
	cmd := c.takeoverCommand("dovecot", "Write a facteur.toml of Dovecot's configuration, and a report", "/etc/dovecot", readDovecot)
	cmd.Use = "dovecot [DIRECTORY|FILE|-]"
	cmd.Example = "  facteur import dovecot\n  doveconf -nP | facteur import dovecot -"
	return cmd
}

func (c *command) importAmavis() *cobra.Command {
	tables := ""
	cmd := c.takeoverCommand("amavis", "Write what an amavisd-new was told as tables for facteur.toml, and a report", "/etc/amavis",
		func(t *takeover.Takeover, dir, _ string) error {
			host, err := os.Hostname()
			if err != nil {
				return err
			}
			return amavis.Import(t, amavis.Options{Path: dir, Tables: tables, Hostname: host})
		})
	cmd.Use = "amavis [DIRECTORY|FILE]"
	cmd.Long = "Write what an amavisd-new was told as [filter], [[filter_policy]] and [[filter_list]], to be put\n" +
		"into facteur.toml, and a report of what became of each line. --tables takes over policies and\n" +
		"lists of users: files as \"mysql --batch -e 'SELECT * FROM policy' > policy.tsv\" makes them, of the\n" +
		"tables policy, users, mailaddr and wblist, or spamfilter_policy, spamfilter_users and\n" +
		"spamfilter_wblist of ISPConfig."
	cmd.Example = "  facteur import amavis /etc/amavis --tables /root/tables -o amavis.toml"
	cmd.Flags().StringVar(&tables, "tables", "", "`directory` with tables of amavis' database as text")
	out := cmd.Flags().Lookup("output")
	out.DefValue = "-"
	out.Value.Set("-") //nolint:errcheck // it takes any text
	return cmd
}

// readDovecot reads a directory, a file, or for "-" what stands on the standard input.
func readDovecot(t *takeover.Takeover, path, settings string) (err error) {
	o := dovecot.Options{Path: path, Settings: settings}
	if o.Hostname, err = os.Hostname(); err != nil {
		return err
	}
	if filepath.Base(path) == "-" {
		o.Path = "/etc/dovecot/dovecot.conf" // what it is told of counts from there
		if o.Text, err = io.ReadAll(io.LimitReader(os.Stdin, 16<<20)); err != nil {
			return err
		}
	}
	return dovecot.Import(t, o)
}

// ownNetworks are the addresses of this machine, with the networks that they are in.
func ownNetworks() (out []netip.Prefix) {
	addresses, _ := net.InterfaceAddrs() // without them, only loopback is trusted
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p)
		}
	}
	return out
}
