package main

import "github.com/spf13/cobra"

func (c *command) dmarcCommand() *cobra.Command {
	return group("dmarc", "Whether the domain in From stands behind a letter", c.dmarcCheck(), c.dmarcShow())
}
