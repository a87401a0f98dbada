package main

import "github.com/spf13/cobra"

func (c *command) importCommand() *cobra.Command {
	return group("import", "Take over what another server has", c.importPostfix(), c.importDovecot(), c.importAmavis(), c.importMaildir(), c.importMbox(), c.importIMAP())
}
