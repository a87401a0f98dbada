package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
)

func (c *command) queueRetry() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retry DOMAIN | --all",
		Short: "Try again now what waits for a domain, or all that waits",
		Long: "Try again now what waits, for recipients in a domain (.example.org: that domain\n" +
			"and all below it), or with --all for all. The server retries by itself; asking\n" +
			"for all at once costs it and the hosts that said \"later\" more than waiting does.",
		Args: cobra.MaximumNArgs(1),
	}
	all := cmd.Flags().Bool("all", false, "all that waits")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *all == (len(args) == 1) {
			return errors.New("expected a domain, or --all")
		}
		domain := ""
		if len(args) == 1 {
			domain = args[0]
		}
		return c.withOffice(cmd.Context(), c.retry(domain))
	}
	return cmd
}

func (c *command) retry(domain string) func(context.Context, control.Office) error {
	return func(ctx context.Context, o control.Office) error {
		n, err := o.Retry(ctx, control.Waiting{Domain: domain})
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%d recipient%s will be tried again now.\n", n, plural(int64(n)))
		return nil
	}
}
