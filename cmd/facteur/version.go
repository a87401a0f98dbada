package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/base/build"
)

func (c *command) versionCommand() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := build.This()
			if c.json {
				return printJSON(c, b)
			}
			words := []string{"facteur", b.Version, b.Revision, b.Go}
			words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
			_, err := fmt.Fprintln(c.out, strings.Join(words, " "))
			return err
		},
	})
}
