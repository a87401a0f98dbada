package main

import "github.com/spf13/cobra"

func (c *command) dkimCommand() *cobra.Command {
	return group("dkim", "Signatures of messages", c.dkimVerify(), c.dkimSign())
}
