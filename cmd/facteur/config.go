package main

import (
	"github.com/spf13/cobra"

	"facteur/internal/app/config"
)

func (c *command) configCommand() *cobra.Command {
	return group("config", "Settings: what there is, and what is set",
		&cobra.Command{
			Use:   "defaults",
			Short: "Print every setting with its meaning and default",
			Args:  cobra.NoArgs,
			RunE:  func(*cobra.Command, []string) error { return config.WriteDefaults(c.out) },
		},
		&cobra.Command{
			Use:   "show",
			Short: "Print every setting as it is in force",
			Args:  cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				cfg, err := c.load()
				if err != nil {
					return err
				}
				return cfg.WriteShow(c.out)
			},
		},
		&cobra.Command{
			Use:   "diff",
			Short: "Print the settings that are not the default",
			Args:  cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				cfg, err := c.load()
				if err != nil {
					return err
				}
				return cfg.WriteDiff(c.out)
			},
		})
}
