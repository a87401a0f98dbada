package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/flow/filter/scanner"
)

func (c *command) filterScanners() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "scanners",
		Short: "Show the programs that letters are shown to besides: whether they answer, and how they fare",
		Long: "Show the programs that letters are shown to besides ([[scanner]] of facteur.toml): whether they\n" +
			"answer now, when they last did and did not, and how many letters they looked at since the\n" +
			"server was started. \"resting\": it is there, but it failed letters, and is spared for a moment.\n" +
			"The running server asks them; without one, they are asked from here. The exit status is 1 if\n" +
			"one of them does not work.",
		Args: cobra.NoArgs,
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := c.knownScanners(cmd.Context())
		if err != nil {
			return err
		}
		if err := list(c, all, "NAME TYPE ADDRESS STATE WHEN_DOWN SCANNED VIRUSES SKIPPED FAILED ANSWERED WHY", scannerRow); err != nil {
			return err
		}
		for _, s := range all {
			if s.State != scanner.Working {
				return &toolError{1}
			}
		}
		return nil
	}
	return cmd
}

func scannerRow(s scanner.Status) []any {
	state, why, answered := string(s.State), s.Why, "never"
	if !s.Since.IsZero() {
		state += " since " + s.Since.Local().Format(time.DateTime)
	}
	if s.TestOnly {
		state += " (test only)"
	}
	if why == "" && s.LastError != "" {
		why = fmt.Sprintf("at %s: %s", s.FailedAt.Local().Format(time.DateTime), s.LastError)
	}
	if !s.Answered.IsZero() {
		answered = s.Answered.Local().Format(time.DateTime)
	}
	return []any{s.Name, s.Kind, s.Socket, state, s.WhenDown, s.Scanned, s.Viruses, s.Skipped, s.Failed, answered, why}
}

// knownScanners is what the server knows, or what they say when they are asked from here.
func (c *command) knownScanners(ctx context.Context) ([]scanner.Status, error) {
	var known control.Scanners
	err := c.withOffice(ctx, func(ctx context.Context, o control.Office) (err error) {
		known, err = o.Scanners(ctx)
		return err
	})
	if err != nil || !known.Closed {
		return known.Scanners, err
	}
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	configs, err := cfg.AskedScanners()
	if err != nil {
		return nil, err
	}
	return scanner.Ask(ctx, configs), nil
}
