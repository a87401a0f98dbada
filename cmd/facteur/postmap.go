package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	storelist "facteur/internal/store/list"
)

// tableTool is what differs between postmap and postalias.
type tableTool struct {
	usage string
	table func(name string) string // as the lists have it
	colon string                   // between a key and its value
}

var (
	postmapTool = tableTool{
		"postmap [-fNoprsuvw] [-c config_dir] [-q key] [map_type:]file...", ofHash, ""}
	postaliasTool = tableTool{
		"postalias [-fNoprsuvw] [-c config_dir] [-q key] [map_type:]file...", func(name string) string { return storelist.Aliases(ofHash(name)) }, ":"}
)

// ofHash is a table; one without a type is "hash:", as with Postfix.
func ofHash(name string) string {
	if strings.Contains(name, ":") {
		return name
	}
	return "hash:" + name
}

func (c *command) postmap(ctx context.Context, args []string) error {
	return c.tables(ctx, args, postmapTool)
}

func (c *command) postalias(ctx context.Context, args []string) error {
	return c.tables(ctx, args, postaliasTool)
}

// tables asks tables, lists them, or checks their texts.
func (c *command) tables(ctx context.Context, args []string, tool tableTool) error {
	options, operands, err := getopt(args, "bc:d:fFhimnNopq:rsuUvw")
	if err != nil {
		return &usageError{err.Error(), tool.usage}
	}
	var key *string
	list := false
	for _, o := range options {
		switch o.letter {
		case 'q':
			key = &o.value
		case 's':
			list = true
		case 'd', 'i':
			return errors.New("entries are changed in the text of the table; nothing is compiled here")
		case 'b', 'h', 'm', 'F':
			return fmt.Errorf("-%c is not known here", o.letter)
		}
	}
	switch {
	case len(operands) == 0 || list && key != nil:
		return &usageError{"", tool.usage}
	case list:
		return c.listTables(operands, tool)
	case key == nil:
		return c.checkTables(operands, tool)
	case *key == "-":
		return c.askTablesAll(ctx, operands, tool)
	}
	return c.askTables(ctx, *key, operands, tool)
}

// openTables opens tables by what people write. Warnings go to the standard error.
func (c *command) openTables(operands []string, tool tableTool) (*storelist.Set, storelist.Maps, error) {
	var names []string
	var sources []storelist.Source
	for _, o := range operands {
		name := tool.table(o)
		if !slices.Contains(names, name) {
			sources = append(sources, storelist.Source{Name: name, From: name})
		}
		names = append(names, name)
	}
	set, err := storelist.Open(sources, warnings{c.err})
	if err != nil {
		return nil, storelist.Maps{}, err
	}
	return set, set.Maps(names), nil
}

// warnings is a sink that tells people what a log would say.
type warnings struct{ out io.Writer }

// Emit implements event.Sink.
func (w warnings) Emit(e event.Event) {
	if n, ok := e.(event.Note); ok && n.Severity >= slog.LevelWarn {
		fmt.Fprintln(w.out, "warning: "+printable(n.Text))
	}
}

// askTables writes the value of one key.
func (c *command) askTables(ctx context.Context, key string, operands []string, tool tableTool) error {
	set, maps, err := c.openTables(operands, tool)
	if err != nil {
		return err
	}
	defer set.Close()
	a := maps.Find(ctx, key)
	switch a.State() {
	case lookup.TryAgain:
		return a.Err()
	case lookup.NotFound:
		return &toolError{1}
	}
	fmt.Fprintln(c.out, printable(a.Value()))
	return nil
}

// askTablesAll asks for each line of the standard input.
func (c *command) askTablesAll(ctx context.Context, operands []string, tool tableTool) error {
	set, maps, err := c.openTables(operands, tool)
	if err != nil {
		return err
	}
	defer set.Close()
	found := false
	keys := bufio.NewScanner(c.in)
	for keys.Scan() {
		a := maps.Find(ctx, keys.Text())
		switch a.State() {
		case lookup.TryAgain:
			return a.Err()
		case lookup.Found:
			found = true
			fmt.Fprintf(c.out, "%s%s\t%s\n", printable(keys.Text()), tool.colon, printable(a.Value()))
		}
	}
	if err := keys.Err(); err != nil || found {
		return err
	}
	return &toolError{1}
}

// listTables writes all entries.
func (c *command) listTables(operands []string, tool tableTool) error {
	for _, o := range operands {
		all, _, err := storelist.Elements(storelist.Source{From: tool.table(o)})
		if err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
		for _, e := range all {
			fmt.Fprintf(c.out, "%s%s\t%s\n", printable(e.Key), tool.colon, printable(e.Value))
		}
	}
	return nil
}

// checkTables reads the texts, and says that there is nothing else to do.
func (c *command) checkTables(operands []string, tool tableTool) error {
	for _, o := range operands {
		all, wrong, err := storelist.Elements(storelist.Source{From: tool.table(o)})
		if errors.Is(err, storelist.ErrNoElements) {
			set, _, err := c.openTables([]string{o}, tool)
			if err != nil {
				return err
			}
			set.Close()
			fmt.Fprintf(c.out, "%s: no mistakes found; nothing needs to be compiled here\n", printable(o))
			continue
		}
		if err != nil {
			return err
		}
		for _, w := range wrong {
			fmt.Fprintln(c.err, "warning: "+printable(w))
		}
		fmt.Fprintf(c.out, "%s: %d entries; nothing needs to be compiled here, the text is read when it changes\n", printable(o), len(all))
	}
	return nil
}

// checkAliases reads the tables of aliases that the settings name, as newaliases(1)
// would. Without settings that we may read there is nothing to do.
func (c *command) checkAliases() error {
	cfg, err := c.load()
	if err != nil {
		return nil
	}
	for _, name := range cfg.Addresses.AliasMaps {
		if !strings.Contains(name, ":") {
			continue // a [[list]], which "facteur check" reads
		}
		set, _, err := c.openTables([]string{name}, postaliasTool)
		if err != nil {
			return err
		}
		set.Close()
	}
	return nil
}
