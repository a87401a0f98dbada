package brake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/brake"
	"facteur/internal/store/queue"
)

// ErrNotBraked says that an account is not braked, and nothing of it is held.
var ErrNotBraked = errors.New("it is not braked, and nothing of it is held")

const (
	// lookEvery is how often it is looked whether something is left to be told or let go.
	lookEvery = 20 * time.Second
	// letFor is how long held mail is looked for after a release: what was about to be
	// committed as held when it began is found by that.
	letFor = 10 * time.Minute
	// together is how many items leave their hold at a time.
	together = 200
)

// Standing is how an account stands.
type Standing struct {
	brake.Account
	// Hour and Day are what was counted within them.
	SentHour int `json:"sent_hour"`
	SentDay  int `json:"sent_day"`
	// Of these in the last day: to whom it had never written, who did not exist, and whose
	// mail came back.
	First   int `json:"first_time_day"`
	Unknown int `json:"unknown_day"`
	Failed  int `json:"failed_day"`
	// Letters and Recipients are what is held, in Bytes.
	Letters    int   `json:"held_letters"`
	Recipients int   `json:"held_recipients"`
	Bytes      int64 `json:"held_bytes"`
}

// Stands tells how an account stands.
func (g *Gate) Stands(ctx context.Context, account string) (Standing, error) {
	name := keyOf(account)
	own, _ := g.Kept.Account(name)
	own.Name = name
	hour, day := g.Kept.Within(name, time.Hour), g.Kept.Within(name, 24*time.Hour)
	s := Standing{Account: own, SentHour: hour[brake.Recipients], SentDay: day[brake.Recipients],
		First: day[brake.First], Unknown: day[brake.Unknown], Failed: day[brake.Failed]}
	err := g.each(ctx, name, func(it *queue.Item, n int) {
		s.Letters, s.Recipients, s.Bytes = s.Letters+1, s.Recipients+n, s.Bytes+it.Size
	})
	return s, err
}

// Standings are those of all accounts that are braked, have limits of their own, or have
// mail of which some is held.
func (g *Gate) Standings(ctx context.Context) ([]Standing, error) {
	names := map[string]bool{}
	for _, a := range g.Kept.Accounts() {
		names[a.Name] = true
	}
	err := g.Queue.Select(ctx, queue.Filter{Reason: "braked: "}, func(it *queue.Item) bool {
		for _, r := range it.Recipients {
			if rest, is := strings.CutPrefix(r.LastReply, "braked: "); is && r.State == queue.Held {
				if name, _, whole := strings.Cut(rest, ": "); whole {
					names[name] = true
				}
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	var list []Standing
	for name := range names {
		s, err := g.Stands(ctx, name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Standing) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// each calls fn for the items of an account that are held by the brake, with the number of
// recipients that are.
func (g *Gate) each(ctx context.Context, name string, fn func(it *queue.Item, n int)) error {
	return g.Queue.Select(ctx, queue.Filter{Reason: Reason(name)}, func(it *queue.Item) bool {
		n := 0
		for _, r := range it.Recipients {
			if isHeld(r, name) {
				n++
			}
		}
		if n > 0 {
			fn(it, n)
		}
		return true
	})
}

// isHeld tells a recipient that the brake holds. What another host answered never begins
// with a reason of ours.
func isHeld(r queue.Recipient, name string) bool {
	return r.State == queue.Held && strings.HasPrefix(r.LastReply, Reason(name))
}

// By says who gave an order, for the journey; "" is a program of the house.
type By string

// Done is what an order changed.
type Done struct {
	Account    string `json:"account"`
	Letters    int    `json:"letters"`
	Recipients int    `json:"recipients"`
	Bytes      int64  `json:"bytes"`
}

// Release lifts the brake of an account and lets go what is held of it. The order is durable
// before it is followed: a crash does not stop it half way, and it can be given again.
func (g *Gate) Release(ctx context.Context, account string, by By) (Done, error) {
	name := keyOf(account)
	if err := g.wanted(ctx, name); err != nil {
		return Done{}, err
	}
	_, err := g.Kept.Change(ctx, name, func(a *brake.Account) bool {
		lift(a)
		a.Letting = time.Now()
		return true
	})
	if err != nil {
		return Done{}, err
	}
	if err := g.anew(ctx, name); err != nil {
		return Done{}, err
	}
	g.Events.Emit(Lifted{Account: name, By: by, Letting: true})
	return g.letGo(ctx, name, by)
}

// lift makes an account one that is not braked.
func lift(a *brake.Account) { a.Since, a.Why, a.Signs, a.Told = time.Time{}, "", nil, false }

// wanted wants an account that is braked, or of which something is held.
func (g *Gate) wanted(ctx context.Context, name string) error {
	s, err := g.Stands(ctx, name)
	if err == nil && !s.Braked() && s.Letters == 0 {
		err = fmt.Errorf("%s: %w", name, ErrNotBraked)
	}
	return err
}

// letGo gives what is held of an account back to the scheduler.
func (g *Gate) letGo(ctx context.Context, name string, by By) (Done, error) {
	g.letting.Lock()
	defer g.letting.Unlock()
	return g.handle(ctx, name, func(f queue.Filter) (queue.Count, error) {
		return g.Queue.Unhold(ctx, f, queue.Told{Done: func(it *queue.Item) { g.Events.Emit(Handled{newDone(it), name, by, event.Released}) }})
	})
}

// Delete deletes what is held of an account. Nobody is told. The brake stays; what is held
// after that is kept.
func (g *Gate) Delete(ctx context.Context, account string, by By) (Done, error) {
	name := keyOf(account)
	if err := g.wanted(ctx, name); err != nil {
		return Done{}, err
	}
	g.letting.Lock()
	defer g.letting.Unlock()
	return g.handle(ctx, name, func(f queue.Filter) (queue.Count, error) {
		f.Shelf = queue.ShelfHold
		return g.Queue.Delete(ctx, f, queue.Told{Done: func(it *queue.Item) { g.Events.Emit(Handled{newDone(it), name, by, event.Discarded}) }})
	})
}

// handle does something to all that is held of an account, some items at a time.
func (g *Gate) handle(ctx context.Context, name string, do func(queue.Filter) (queue.Count, error)) (Done, error) {
	done := Done{Account: name}
	var ids []queue.ID
	if err := g.each(ctx, name, func(it *queue.Item, _ int) { ids = append(ids, it.ID) }); err != nil {
		return done, err
	}
	for part := range slices.Chunk(ids, together) {
		n, err := do(queue.Filter{IDs: part, Reason: Reason(name)})
		done.Letters, done.Recipients, done.Bytes = done.Letters+n.Items, done.Recipients+n.Recipients, done.Bytes+n.Bytes
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Forgive lifts the brake of an account, and its app passwords count again. What is held
// stays so, until it is released or deleted.
func (g *Gate) Forgive(ctx context.Context, account string, by By) error {
	name := keyOf(account)
	if a, _ := g.Kept.Account(name); !a.Braked() {
		return fmt.Errorf("%s is not braked", name)
	}
	_, err := g.Kept.Change(ctx, name, func(a *brake.Account) bool {
		lift(a)
		return true
	})
	if err != nil {
		return err
	}
	if err := g.anew(ctx, name); err != nil {
		return err
	}
	g.Events.Emit(Lifted{Account: name, By: by})
	return nil
}

// anew has an account begin without what it is forgiven: else the next letter would brake it
// again, for as long as an hour or a day has not passed.
func (g *Gate) anew(ctx context.Context, name string) error {
	domain := ""
	if _, d, ok := strings.Cut(name, "@"); ok {
		domain = "@" + d
	}
	g.mu.Lock()
	g.Kept.Anew(name, domain)
	if x := g.watches.of[name]; x != nil {
		x.forgive()
	}
	g.mu.Unlock()
	return g.Kept.Write(ctx)
}

// SetLimits gives an account limits of its own, in recipients; nil leaves one as it is, 0
// takes it back.
func (g *Gate) SetLimits(ctx context.Context, account string, hour, day *int) error {
	_, err := g.Kept.Change(ctx, keyOf(account), func(a *brake.Account) bool {
		if hour != nil {
			a.Hour = *hour
		}
		if day != nil {
			a.Day = *day
		}
		return true
	})
	return err
}

// Run ends what a crash has left, and looks after releases, until ctx ends.
func (g *Gate) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		g.tell(ctx)
		g.letAll(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// letAll goes on with releases.
func (g *Gate) letAll(ctx context.Context) {
	for _, a := range g.Kept.Accounts() {
		if a.Letting.IsZero() {
			continue
		}
		over := time.Since(a.Letting).Abs() > letFor // or the clock was set
		_, err := g.letGo(ctx, a.Name, "")
		if err == nil && over {
			_, err = g.Kept.Change(ctx, a.Name, func(now *brake.Account) bool {
				same := now.Letting.Equal(a.Letting)
				if same {
					now.Letting = time.Time{}
				}
				return same
			})
		}
		if err != nil && ctx.Err() == nil {
			g.Events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/brake", Text: "held mail of " + a.Name + " can't be let go: " + err.Error()})
		}
	}
}

// tell tells of brakes that nobody was told of.
func (g *Gate) tell(ctx context.Context) {
	g.telling.Lock()
	defer g.telling.Unlock()
	for _, a := range g.Kept.Accounts() {
		if !a.Braked() || a.Told {
			continue
		}
		err := g.Post.Braked(ctx, g.Rules(), a)
		if err == nil {
			_, err = g.Kept.Change(ctx, a.Name, func(now *brake.Account) bool {
				now.Told = now.Since.Equal(a.Since) || now.Told
				return true
			})
		}
		if err != nil && ctx.Err() == nil {
			g.Events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/brake", Text: "owner and postmaster can't be told that " + a.Name + " is braked: " + err.Error()})
		}
	}
}

// tellOver tells the postmaster, once a day for each account, that letters are held as they
// are beyond a quota.
func (g *Gate) tellOver(ctx context.Context, r *Rules, who Who, why string) {
	g.mu.Lock()
	now := time.Now()
	fresh := mark(g.told, who.Name, now, 24*time.Hour)
	g.mu.Unlock()
	if !fresh {
		return
	}
	if err := g.Post.Over(ctx, r, who, why); err != nil {
		g.Events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/brake", Text: "the postmaster can't be told of " + who.Name + ": " + err.Error()})
	}
}
