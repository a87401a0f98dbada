package main

import "github.com/spf13/cobra"

func (c *command) dkimCommand() *cobra.Command {
	return group("dkim", "Signatures of messages, and the keys that make them", c.dkimVerify(), c.dkimSign(),
		c.dkimList(), c.dkimShow(), c.dkimCheck(), c.dkimRotate(), c.dkimRetire(), c.dkimImport())
}
