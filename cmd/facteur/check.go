package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/net/certs"
	storelist "facteur/internal/store/list"
)

func (c *command) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the settings file and what it names",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			if err := c.checkCertificates(cfg); err != nil {
				return err
			}
			if err := checkLists(cfg); err != nil {
				return err
			}
			for _, w := range cfg.Warnings() {
				fmt.Fprintln(c.err, "facteur: warning: "+printable(w))
			}
			fmt.Fprintf(c.out, "%s: no mistakes found\n", cfg.Path())
			return nil
		},
	}
}

// checkLists reads the lists that rules ask.
func checkLists(cfg *config.Config) error {
	lists, err := storelist.Open(cfg.ListSources(), event.Discard)
	if err != nil {
		return err
	}
	return lists.Close()
}

// checkCertificates reads the pairs as the server would; without any there is
// nothing to check, and nothing is made. What is about to expire is no mistake, and
// told.
func (c *command) checkCertificates(cfg *config.Config) error {
	if len(cfg.TLS.Certificate) == 0 {
		return nil
	}
	var source certs.Source
	for i, file := range cfg.TLS.Certificate {
		source.Pairs = append(source.Pairs, certs.Pair{Certificate: file, Key: cfg.TLS.Key[i]})
	}
	store, err := certs.Open(source)
	if err != nil {
		return err
	}
	for _, i := range store.Infos() {
		if w := i.Warning(time.Now()); w != "" {
			fmt.Fprintln(c.err, "facteur: "+printable(w))
		}
	}
	return nil
}
