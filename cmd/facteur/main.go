// Facteur is a post office in one program: it takes mail, keeps it, hands it to
// those who read it and carries it to other servers. Each subcommand is one file
// here; "facteur help" lists them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"facteur/internal/app/sendmail"
	"facteur/internal/net/helper"
)

func main() {
	// Mail, keys and passwords are nobody else's, whatever the admin's shell says.
	syscall.Umask(0o077)
	if len(os.Args) > 2 && os.Args[1] == "helper" { // a process of a Unix user's: nothing else happens in it
		os.Exit(helper.Main(os.Args[2:]))
	}
	c := &command{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(c.runAs(context.Background(), os.Args))
}

// command is one call of the program: where it reads and writes, and what all
// subcommands share.
type command struct {
	in       io.Reader
	out, err io.Writer
	settings string // the value of --config
	json     bool   // the value of --json
	dns      string // the value of --dns
}

// run does what args say and gives the exit status. An error is one line on the
// standard error for each thing that is wrong, and nothing else.
func (c *command) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if told := (*toolError)(nil); errors.As(err, &told) {
		return told.status
	}
	if status := c.exit("facteur", err); errors.As(err, new(*sendmail.Error)) {
		return status
	}
	return 1
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "facteur",
		Short:         "A mail server in one program",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVarP(&c.settings, "config", "c", "", "settings `file` (default ./facteur.toml, else /etc/facteur/facteur.toml)")
	root.AddCommand(
		c.demoCommand(), c.initCommand(), c.serveCommand(), c.checkCommand(), c.configCommand(),
		c.accountCommand(), c.authCommand(), c.mailboxCommand(), c.domainCommand(), c.aliasCommand(), c.addressCommand(), c.queueCommand(), c.filterCommand(), c.quarantineCommand(), c.tlsCommand(), c.learnCommand(), c.reportsCommand(), c.reputationCommand(), c.dkimCommand(), c.spfCommand(), c.dmarcCommand(), c.autopsyCommand(), c.mimeCommand(), c.arcCommand(), c.explainCommand(),
		c.sendmailCommand(), c.mailqCommand(), c.listCommand(), c.doctorCommand(), c.versionCommand(), c.importCommand(), c.exportCommand(), c.backupCommand(), c.restoreCommand(),
		c.greylistCommand(), c.brakeCommand(),
	)
	for _, name := range []string{"postqueue", "postsuper", "postcat", "qshape", "postconf", "postmap", "postalias", "testsaslauthd", "spfquery", "amavisd-release"} {
		root.AddCommand(c.toolCommand(name))
	}
	return root
}

// group is a command that only holds others.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q; \"%s --help\" lists what there is", args[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	g.AddCommand(sub...)
	return g
}

// takes is the check of a command that takes exactly the arguments named.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return fmt.Errorf("%s: expected %s after it, found %d arguments", cmd.CommandPath(), strings.Join(names, " "), len(args))
	}
}
