package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/app/sendmail"
)

// names are what the program does under the names that mail programs and fingers
// know; a link with such a name is all it takes.
var names = map[string]sendmail.Mode{
	"sendmail": sendmail.Send, "mailq": sendmail.ListQueue, "newaliases": sendmail.Aliases,
}

// runAs is the program under a name of its own, if it has one of those.
func (c *command) runAs(ctx context.Context, argv []string) int {
	if len(argv) == 0 {
		return int(sendmail.Usage)
	}
	name := filepath.Base(argv[0])
	if mode, known := names[name]; known {
		return c.exit(name, c.sendmail(ctx, mode, argv[1:]))
	}
	if _, known := tools[name]; known {
		return c.runTool(ctx, name, argv[1:])
	}
	return c.run(ctx, argv[1:])
}

// exit tells an error as the tools of its kind do.
func (c *command) exit(name string, err error) int {
	if err == nil {
		return 0
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(c.err, name+": "+printable(line))
	}
	return int(sendmail.StatusOf(err))
}

func (c *command) sendmailCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sendmail [OPTION]... [RECIPIENT]...",
		Short: "Hand over a message from the standard input, as sendmail(8) does",
		Long: "Hand over a message from the standard input, as sendmail(8) does. It speaks to the\n" +
			"server over a Unix socket: that of $FACTEUR_SENDMAIL_SOCKET, else that of the\n" +
			"listener \"local\" in the settings, else " + config.SendmailSocket + ".\n\n" +
			"  -t        recipients stand in To, Cc and Bcc, too\n" +
			"  -i, -oi   a line of one dot does not end the message\n" +
			"  -f, -r    the sender of the envelope; -f <> is none\n" +
			"  -F        the full name, for a From that is missing\n" +
			"  -N        when to send notices: never, or some of success,failure,delay\n" +
			"  -R        what they return: full or hdrs;  -V  the envelope's id for them\n" +
			"  -B        7BIT or 8BITMIME\n" +
			"  -bs       speak SMTP on standard input and output\n" +
			"  -bp       list the queue, as mailq does;  -bi  as newaliases does\n" +
			"  -bv       show where addresses lead, and send nothing (Postfix mails a report)\n" +
			"  -q        one more attempt for all that waits; -qI ID: for that message;\n" +
			"            -qR DOMAIN: for that domain\n" +
			"  -v        show what the server says\n\n" +
			"Exit codes are those of sysexits.h; 0 means that the message was accepted for\n" +
			"every recipient, any other that it was accepted for none, unless the error says\n" +
			"otherwise. 75: the server is down or says later.",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "--help" {
				return cmd.Help()
			}
			return c.sendmail(cmd.Context(), sendmail.Send, args)
		},
	}
}

func (c *command) mailqCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "mailq",
		Short:              "List the queue, as mailq(1) does",
		Long:               "List the queue, as mailq(1) does; with -q, ask for one more attempt for all that waits.",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "--help" {
				return cmd.Help()
			}
			return c.sendmail(cmd.Context(), sendmail.ListQueue, args)
		},
	}
}

// sendmail does what a command line of sendmail says; mode is what its name says.
func (c *command) sendmail(ctx context.Context, mode sendmail.Mode, args []string) error {
	o, err := sendmail.Parse(args)
	if err != nil {
		return err
	}
	if o.Mode == sendmail.Send {
		o.Mode = mode
	}
	switch o.Mode {
	case sendmail.ListQueue:
		return c.mailq(ctx)
	case sendmail.FlushQueue:
		return c.flush(ctx, o)
	case sendmail.Aliases:
		if err := c.checkAliases(); err != nil {
			return err
		}
		fmt.Fprintln(c.out, "Aliases need no compilation here: a change takes effect at once.")
		return nil
	case sendmail.Verify:
		return c.verify(ctx, o)
	case sendmail.Speak:
		return sendmail.Relay(ctx, c.sendmailSocket(), c.in, c.out)
	}
	return sendmail.Run(ctx, o, c.caller(o))
}

// caller is who calls, by the system's account.
func (c *command) caller(o sendmail.Options) sendmail.Caller {
	who := sendmail.Caller{Socket: c.sendmailSocket(), Login: "uid" + strconv.Itoa(os.Getuid()), In: c.in}
	if u, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		who.Login = u.Username
		who.Name, _, _ = strings.Cut(u.Name, ",")
	}
	if name := os.Getenv("NAME"); name != "" { // as sendmail(1) of Postfix has it
		who.Name = name
	}
	if o.Verbose {
		who.Told = c.out
	}
	return who
}

// sendmailSocket is where the server listens for programs of this machine. Most of
// them can't read the settings, and need not.
func (c *command) sendmailSocket() string {
	if path := os.Getenv("FACTEUR_SENDMAIL_SOCKET"); path != "" {
		return path
	}
	if cfg, err := c.load(); err == nil {
		if path := cfg.LocalSocket(); path != "" {
			return path
		}
	}
	return config.SendmailSocket
}

// mailq lists the queue for whoever may see it.
func (c *command) mailq(ctx context.Context) error {
	return asStatus(c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		return mailq(ctx, o, control.Selection{}, c.out)
	}))
}

// asStatus gives the errors of the admin's counter the codes that mailq has.
func asStatus(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return &sendmail.Error{Status: sendmail.NoPerm, Text: "only root and the user that the server runs as may see the queue (" + err.Error() + ")"}
	}
	return &sendmail.Error{Status: sendmail.Unavailable, Text: err.Error()}
}

// flush asks for one more attempt for what -q names.
func (c *command) flush(ctx context.Context, o sendmail.Options) error {
	what := option{letter: 'f'}
	switch {
	case o.QueueID != "":
		what = option{'i', o.QueueID}
	case o.QueueSite != "":
		what = option{'s', o.QueueSite}
	}
	return asStatus(c.withOffice(ctx, func(ctx context.Context, o control.Office) error { return c.doPostqueue(ctx, o, what) }))
}

// verify shows where addresses lead. Postfix mails a report of what a delivery would
// bring; here the answer is printed, and nothing is sent.
func (c *command) verify(ctx context.Context, o sendmail.Options) error {
	refused := 0
	for _, to := range o.Recipients {
		r, err := c.roadOf(ctx, control.AddressQuestion{Address: to, Sender: o.Sender})
		if err != nil {
			return asStatus(err)
		}
		if err := r.write(c.out); err != nil {
			return err
		}
		if r.Reply != "" {
			refused++
		}
	}
	if refused > 0 {
		return &sendmail.Error{Status: sendmail.NoUser, Text: fmt.Sprintf("%d of %d addresses would be refused", refused, len(o.Recipients))}
	}
	return nil
}
