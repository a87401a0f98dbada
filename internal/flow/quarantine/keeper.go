package quarantine

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/queue"
)

// Settings is how much is kept, and for how long.
type Settings struct {
	// Keep is for how long, by category; "" is for those that have no entry.
	Keep map[string]time.Duration
	// Account bounds what one account has there, All what all have together.
	Account, All Bound
}

// Bound is a number of letters, and of bytes.
type Bound struct {
	Letters int
	Bytes   int64
}

// half is what viruses and banned letters may have of it.
func (b Bound) half() Bound { return Bound{b.Letters / 2, b.Bytes / 2} }

// Spam first: the order in which letters make room. The latter classes are grave.
var classes = []string{"spam", "bad_header", "banned", "virus"}

var grave = classes[2:]

// keep is how long a category is kept.
func (s *Settings) keep(category string) time.Duration {
	return cmp.Or(s.Keep[category], s.Keep[""])
}

const (
	// tidyEvery is how often it is looked for what has been there long enough; gather how
	// long after a letter came it is looked whether there is room.
	tidyEvery = time.Hour
	gather    = time.Second
	tryAgain  = time.Minute
	// together is how many go at a time before it is counted again.
	together = 100
)

// Keeper keeps house in the quarantine of a queue.
type Keeper struct {
	queue    *queue.Queue
	settings func() Settings
	events   event.Sink
	now      func() time.Time
}

// New makes a Keeper, who asks for the settings each time.
func New(q *queue.Queue, settings func() Settings, events event.Sink) *Keeper {
	return &Keeper{queue: q, settings: settings, events: events, now: time.Now}
}

// Run keeps house until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for wait := tidyEvery; ; {
		if err := k.Tidy(ctx); err != nil && ctx.Err() == nil {
			k.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/quarantine", Text: "the quarantine can't be tidied: " + err.Error()})
			wait = tryAgain
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		case <-k.queue.Quarantined():
			select {
			case <-ctx.Done():
				return
			case <-time.After(gather):
			}
		}
		wait = tidyEvery
	}
}

// Tidy removes what has been there long enough, and then what there is no room for.
func (k *Keeper) Tidy(ctx context.Context) error {
	s := k.settings()
	if err := k.expire(ctx, &s); err != nil {
		return err
	}
	counts, err := k.queue.ExhibitCounts(ctx)
	if err != nil || len(counts) == 0 {
		return err
	}
	for _, account := range tooMuch(counts, s.Account) {
		if err := k.bound(ctx, account, s.Account); err != nil {
			return err
		}
	}
	return k.bound(ctx, "", s.All)
}

// expire removes what has been there long enough.
func (k *Keeper) expire(ctx context.Context, s *Settings) error {
	for _, class := range classes {
		keep := s.keep(class)
		f := queue.ExhibitFilter{Category: class, Before: k.now().Add(-keep)}
		if _, err := k.queue.DropExhibits(ctx, f, k.telling(class, "after "+days(keep))); err != nil {
			return err
		}
	}
	return nil
}

// days is a time in words.
func days(d time.Duration) string {
	if n := d / (24 * time.Hour); d%(24*time.Hour) == 0 && n > 1 {
		return fmt.Sprintf("%d days", n)
	}
	return d.String()
}

// bound brings an account, or all together, within a bound.
func (k *Keeper) bound(ctx context.Context, account string, most Bound) error {
	of := "the account"
	if account == "" {
		of = "all accounts"
	}
	for _, part := range []struct {
		classes []string
		most    Bound
		why     string
	}{
		{grave, most.half(), "to make room: viruses and banned files have half of what the quarantine may hold for " + of},
		{classes, most, "to make room: it was the oldest of more than the quarantine may hold for " + of},
	} {
		if err := k.shrink(ctx, account, part.classes, part.most, part.why); err != nil {
			return err
		}
	}
	return nil
}

// shrink removes letters of some classes until they are within a bound.
func (k *Keeper) shrink(ctx context.Context, account string, of []string, most Bound, why string) error {
	for {
		counts, err := k.queue.ExhibitCounts(ctx)
		if err != nil {
			return err
		}
		counts = slices.DeleteFunc(counts, func(c queue.ExhibitCount) bool {
			return account != "" && c.Account != account || !slices.Contains(of, c.Category)
		})
		over, err := k.over(ctx, account, counts, most, len(of) == len(classes))
		if err != nil || over == (Bound{}) {
			return err
		}
		if dropped, err := k.drop(ctx, counts, of, over, why); err != nil || dropped == 0 {
			return err
		}
	}
}

// over is how much there is beyond a bound. Of all accounts together, a message that is
// there for several takes room once.
func (k *Keeper) over(ctx context.Context, account string, counts []queue.ExhibitCount, most Bound, all bool) (over Bound, err error) {
	n := sum(counts)
	if account == "" && all {
		if n.Bytes, err = k.queue.ExhibitBytes(ctx); err != nil {
			return over, err
		}
	}
	return Bound{max(0, n.Letters-most.Letters), max(0, n.Bytes-most.Bytes)}, nil
}

func sum(counts []queue.ExhibitCount) (b Bound) {
	for _, c := range counts {
		b.Letters, b.Bytes = b.Letters+c.Exhibits, b.Bytes+c.Bytes
	}
	return b
}

// drop removes some of the first class that there is, of the account that has the most of
// it.
func (k *Keeper) drop(ctx context.Context, counts []queue.ExhibitCount, of []string, over Bound, why string) (dropped int, err error) {
	for _, class := range of {
		most, any := queue.ExhibitCount{}, false
		for _, c := range counts {
			if c.Category != class {
				continue
			}
			if !any || over.Letters > 0 && c.Exhibits > most.Exhibits || over.Letters == 0 && c.Bytes > most.Bytes {
				most, any = c, true
			}
		}
		if !any {
			continue
		}
		f := queue.ExhibitFilter{Category: class, Account: most.Account}
		err = k.queue.Exhibits(ctx, f, func(x queue.Exhibit) bool {
			f.IDs = append(f.IDs, x.ID())
			over.Letters, over.Bytes = over.Letters-1, over.Bytes-x.Size
			return len(f.IDs) < together && (over.Letters > 0 || over.Bytes > 0)
		})
		if err != nil || len(f.IDs) == 0 {
			return 0, err
		}
		n, err := k.queue.DropExhibits(ctx, f, k.telling(class, why))
		return n.Recipients, err
	}
	return 0, nil
}

// tooMuch are the accounts that have more than a bound, or more grave letters than half.
func tooMuch(counts []queue.ExhibitCount, most Bound) (accounts []string) {
	all, graves := make(map[string]Bound), make(map[string]Bound)
	for _, c := range counts {
		b := all[c.Account]
		all[c.Account] = Bound{b.Letters + c.Exhibits, b.Bytes + c.Bytes}
		if slices.Contains(grave, c.Category) {
			b := graves[c.Account]
			graves[c.Account] = Bound{b.Letters + c.Exhibits, b.Bytes + c.Bytes}
		}
	}
	for account, b := range all {
		if g, half := graves[account], most.half(); b.Letters > most.Letters || b.Bytes > most.Bytes || g.Letters > half.Letters || g.Bytes > half.Bytes {
			accounts = append(accounts, account)
		}
	}
	slices.Sort(accounts)
	return accounts
}

// telling tells of letters that went.
func (k *Keeper) telling(category, why string) queue.Told {
	return queue.Told{Done: func(it *queue.Item) {
		for _, r := range it.Recipients {
			k.events.Emit(Removed{ID: it.ID, Sender: it.Sender.String(), To: r.Address.String(), Category: category, Why: why})
		}
	}}
}
