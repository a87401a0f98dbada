package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/base/lookup"
	storelist "facteur/internal/store/list"
)

func (c *command) listCommand() *cobra.Command {
	return group("list", "Ask the tables that rules and addresses are looked up in", c.listQueryCommand())
}

func (c *command) listQueryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "query NAME|SOURCE KEY",
		Short: "Ask a list of the settings, or a table such as hash:/etc/postfix/virtual, for a key",
		Long: "Ask a list of the settings, or a table such as hash:/etc/postfix/virtual, for one key as\n" +
			"it is: no parts of it are tried. The exit status is 1 if there is no such key, and 75 if\n" +
			"the table can't be asked now.",
		Args: takes("NAME|SOURCE", "KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sources, err := c.listSources(args[0])
			if err != nil {
				return err
			}
			set, err := storelist.Open(sources, warnings{c.err})
			if err != nil {
				return err
			}
			defer set.Close()
			return c.tellAnswer(args[1], set.Maps(args[:1]).Find(cmd.Context(), args[1]))
		},
	}
}

// listSources is the list of a name, or a table by its source.
func (c *command) listSources(name string) ([]storelist.Source, error) {
	if strings.Contains(name, ":") {
		return []storelist.Source{{Name: name, From: name}}, nil
	}
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	for _, s := range cfg.ListSources() {
		if s.Name == name {
			return []storelist.Source{s}, nil
		}
	}
	return nil, fmt.Errorf("there is no list %q; the settings have %s", name, strings.Join(cfg.ListNames(), ", "))
}

// tellAnswer writes a value, or says that there is none.
func (c *command) tellAnswer(key string, a lookup.Answer[string]) error {
	const later = 75 // EX_TEMPFAIL
	switch a.State() {
	case lookup.Found:
		fmt.Fprintln(c.out, printable(a.Value()))
		return nil
	case lookup.NotFound:
		fmt.Fprintf(c.err, "facteur: %s: not found\n", printable(key))
		return &toolError{1}
	}
	fmt.Fprintln(c.err, "facteur: "+printable(fmt.Sprintf("%s: try again: %v", key, a.Err())))
	return &toolError{later}
}
