package main

import (
	"fmt"

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
			_, err := fmt.Fprintf(c.out, "facteur %s %s %s\n", b.Version, b.Revision, b.Go)
			return err
		},
	})
}
