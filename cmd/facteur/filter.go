package main

import (
	"github.com/spf13/cobra"

	"facteur/internal/store/policy"
)

func (c *command) filterCommand() *cobra.Command {
	return group("filter", "What the server thinks of letters, and why",
		c.filterTest(), c.filterPolicyCommand(), c.filterListCommand(policy.Allow), c.filterListCommand(policy.Block), c.filterLists(), c.filterScanners(), c.filterReplay())
}
