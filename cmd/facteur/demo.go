package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (c *command) demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything on loopback, with accounts and letters to try",
		Args:  cobra.NoArgs,
	}
	dir := cmd.Flags().String("dir", "", "data `directory` (default: a temporary one, removed at the end)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.demo(cmd.Context(), *dir) }
	return cmd
}

// demo is internal/app's to offer.
func (c *command) demo(context.Context, string) error {
	return errors.New("the demo is not built yet")
}
