package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/base/event"
	"facteur/internal/flow/filter/scanner"
	"facteur/internal/flow/rule"
	"facteur/internal/net/certs"
	storelist "facteur/internal/store/list"
)

func (c *command) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the settings file and what it names",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
			for _, w := range slices.Concat(cfg.Warnings(), socketWarnings(cfg), scannerWarnings(cmd.Context(), cfg), c.readerWarnings(cmd.Context(), cfg)) {
				fmt.Fprintln(c.err, "facteur: warning: "+printable(w))
			}
			fmt.Fprintf(c.out, "%s: no mistakes found\n", cfg.Path())
			return nil
		},
	}
}

// socketWarnings tells of Unix sockets that can't be made now. That is no mistake:
// systemd may make the directory at the start.
func socketWarnings(cfg *config.Config) (warnings []string) {
	for i, l := range cfg.Listen {
		dir := filepath.Dir(l.Address.Path)
		if l.Address.Path == "" || l.Standard() { // that one the server makes
			continue
		}
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			warnings = append(warnings, fmt.Sprintf("listen[%d].address: the directory %s is not there; the server can't start without it", i, dir))
		}
	}
	return warnings
}

// scannerWarnings tells of scanners that do not answer now. That is no mistake: they may be
// started later.
func scannerWarnings(ctx context.Context, cfg *config.Config) (warnings []string) {
	configs, err := cfg.AskedScanners()
	if err != nil {
		return []string{err.Error()}
	}
	for i, s := range configs {
		if err := scanner.New(s, event.Discard).Ping(ctx); err != nil {
			warnings = append(warnings, fmt.Sprintf("scanner[%d]: %s at %s does not answer: %v", i, s.Name, s.Socket, err))
		}
	}
	return warnings
}

// readerWarnings tells of addresses of ours that the postmaster's letters are to go to, and
// that nobody has. Without accounts yet, or for somebody who may not see them, it says
// nothing.
func (c *command) readerWarnings(ctx context.Context, cfg *config.Config) (warnings []string) {
	readers := cfg.NoticeReaders()
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "facteur.db")); err != nil || len(readers) == 0 {
		return nil
	}
	_ = c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		for _, r := range readers {
			a, err := o.Address(ctx, control.AddressQuestion{Address: r.Address.String()})
			if err == nil && a.Ours && strings.HasPrefix(a.Reply, "5") {
				warnings = append(warnings, fmt.Sprintf("%s: nobody reads %s (%s)", r.Key, r.Address, a.Reply))
			}
		}
		return nil
	})
	return warnings
}

// checkLists reads the lists that rules ask, and the actions in them. It is stricter than
// the server, which starts without a line that has a mistake.
func checkLists(cfg *config.Config) error {
	sources := cfg.ListSources()
	for _, d := range cfg.Directories {
		if d.Kind != config.DirectoryMaps {
			continue
		}
		tables, err := cfg.TablesIn(d.Source)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if !slices.ContainsFunc(sources, func(s storelist.Source) bool { return s.Name == t.Name }) {
				sources = append(sources, t)
			}
		}
	}
	lists, err := storelist.Open(sources, event.Discard)
	if err != nil {
		return err
	}
	defer lists.Close()
	var errs []error
	for _, m := range lists.Mistakes() {
		errs = append(errs, errors.New(m.String()))
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	return checkActions(cfg)
}

// mistakesShown is how many mistakes of one list are told; the others are like them.
const mistakesShown = 20

// checkActions reads what rules with "listed" will do.
func checkActions(cfg *config.Config) error {
	set, mistakes := rule.Compile(cfg.AccessRules(), cfg.ListNames(), rule.Sources{})
	if len(mistakes) > 0 {
		return nil // told before
	}
	obeyed := set.Obeyed()
	var errs []error
	for _, source := range cfg.ListSources() {
		if !slices.Contains(obeyed, source.Name) {
			continue
		}
		entries, err := storelist.Entries(source)
		if err != nil {
			return err
		}
		found := 0
		for _, e := range entries {
			if err := set.CheckValue(e.Value); err != nil && found < mistakesShown {
				errs, found = append(errs, fmt.Errorf("list %q: %s: %w", source.Name, e.Where, err)), found+1
			}
		}
	}
	return errors.Join(errs...)
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
