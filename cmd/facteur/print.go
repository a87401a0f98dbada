package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
)

// withJSON gives a listing its --json.
func (c *command) withJSON(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.json, "json", false, "one JSON object a line")
	return cmd
}

// list prints values, as JSON or as rows of columns under a heading.
func list[T any](c *command, values []T, heading string, row func(T) []any) error {
	if c.json {
		return printJSON(c, values...)
	}
	if len(values) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(heading, " ", "\t"))
	for _, v := range values {
		cells := row(v)
		for i := range cells {
			cells[i] = printable(fmt.Sprint(cells[i]))
		}
		fmt.Fprintf(w, strings.Repeat("%v\t", len(cells)-1)+"%v\n", cells...)
	}
	return w.Flush()
}

func printJSON[T any](c *command, values ...T) error {
	out := json.NewEncoder(c.out)
	for _, v := range values {
		if err := out.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// printable keeps what strangers wrote from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, s)
}

// size is a number of bytes for people.
func size(n int64) string {
	const units = "KMGT"
	if n < 1024 {
		return fmt.Sprint(n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + units[i:i+1]
}
