package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// The tools of Postfix's queue and of its tables, and a few of others, under the names that fingers and scripts know. Each
// works when called by that name and as "facteur NAME". Their output and exit codes
// are Postfix's; docs/QUEUE.md sets them beside ours.

// tool is one of them.
type tool struct {
	short string
	run   func(*command, context.Context, []string) error
	// failed is the exit code of an error.
	failed int
}

var tools = map[string]tool{
	"postqueue":       {"List the queue, or try it again, as postqueue(1) does", (*command).postqueue, 69},
	"postsuper":       {"Delete, hold, release, requeue and expire, as postsuper(1) does", (*command).postsuper, 1},
	"postcat":         {"Show a message of the queue, as postcat(1) does", (*command).postcat, 1},
	"postconf":        {"Tell settings by the names of main.cf, as postconf(1) does", (*command).postconf, 1},
	"postmap":         {"Ask a table, or check its text, as postmap(1) does", (*command).postmap, 1},
	"postalias":       {"Ask a table of aliases, or check its text, as postalias(1) does", (*command).postalias, 1},
	"qshape":          {"Show the queue by domain and age, as qshape(1) does", (*command).qshape, 1},
	"testsaslauthd":   {"Ask whether a password is right, as testsaslauthd(8) does", (*command).testsaslauthd, saslFailed},
	"amavisd-release": {"Release a letter from quarantine, as amavisd-release(8) does", (*command).amavisRelease, 1},
	"spfquery":        {"Check a sender by SPF, as spfquery(1) does", (*command).spfquery, spfPermError},
}

// runTool runs a tool and gives its exit code.
func (c *command) runTool(ctx context.Context, name string, args []string) int {
	t := tools[name]
	err := t.run(c, ctx, args)
	if err == nil {
		return 0
	}
	if told := (*toolError)(nil); errors.As(err, &told) {
		return told.status
	}
	var u *usageError
	if errors.As(err, &u) && u.said != "" {
		fmt.Fprintln(c.err, name+": "+printable(u.said))
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(c.err, name+": fatal: "+printable(line))
	}
	return t.failed
}

// usageError is a command line that a tool does not know.
type usageError struct{ said, usage string }

// Error implements error.
func (e *usageError) Error() string { return "usage: " + e.usage }

// toolError is the error of a tool that ran as "facteur NAME": it has been told.
type toolError struct{ status int }

// Error implements error.
func (e *toolError) Error() string { return fmt.Sprintf("status %d", e.status) }

func (c *command) toolCommand(name string) *cobra.Command {
	return &cobra.Command{
		Use:                name + " [OPTION]... [ARGUMENT]...",
		Short:              tools[name].short,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "--help" {
				return cmd.Help()
			}
			if status := c.runTool(cmd.Context(), name, args); status != 0 {
				return &toolError{status}
			}
			return nil
		},
	}
}

// useSettings takes the value of a tool's -c: a settings file of ours, or a directory
// with one. A directory of Postfix's has nothing to say here.
func (c *command) useSettings(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("-c: %w", err)
	}
	if info.IsDir() {
		path = filepath.Join(path, "facteur.toml")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	c.settings = path
	return nil
}
