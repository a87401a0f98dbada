package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"facteur/internal/app/demo"
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

func (c *command) demo(ctx context.Context, dir string) error {
	outliveReaders()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	return demo.Run(ctx, demo.Options{Dir: dir, Out: c.out, Log: c.err, Hangup: hangup})
}
