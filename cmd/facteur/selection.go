package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"facteur/internal/app/control"
	"facteur/internal/base/conf"
)

// picks are the flags that pick items of the queue.
type picks struct {
	from, to, domain, reason, shelf string
	older                           conf.Duration
	larger                          conf.Size
	all                             bool
}

// filters are the names of the flags, --all aside.
const filters = "--from, --to, --domain, --older, --size, --reason, --shelf"

func (p *picks) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.from, "from", "", "of this sender: an `address`, @domain, or <> for notices")
	f.StringVar(&p.to, "to", "", "for this recipient: an `address`, or @domain")
	f.StringVar(&p.domain, "domain", "", "for recipients in this `domain`; .example.org: and all below it")
	f.TextVar(&p.older, "older", conf.Duration(0), "that came at least this `time` ago, such as 2d")
	f.TextVar(&p.larger, "size", conf.Size(0), "with more `bytes` than this, such as 1M")
	f.StringVar(&p.reason, "reason", "", "with this `text` in what the last attempt was told")
	f.StringVar(&p.shelf, "shelf", "", "in this `queue`: incoming, active, deferred, hold")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "queue" { // as Postfix calls them
			name = "shelf"
		}
		return pflag.NormalizedName(name)
	})
}

func (p *picks) selection() control.Selection {
	s := control.Selection{Shelf: p.shelf, From: p.from, To: p.to, Domain: p.domain, Larger: int64(p.larger), Reason: p.reason}
	if p.older > 0 {
		s.Before = time.Now().Add(-p.older.Std())
	}
	return s
}

// check wants something to be picked, and said once.
func (p *picks) check(ids []string) error {
	switch some := !p.selection().IsZero(); {
	case p.all && (some || len(ids) > 0):
		return errors.New("--all is all; leave it out where something else says which")
	case !p.all && !some && len(ids) == 0:
		return errors.New("expected queue IDs, \"-\" for IDs from the standard input, some of " + filters + ", or --all")
	}
	return nil
}
