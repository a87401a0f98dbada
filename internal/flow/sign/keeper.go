package sign

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/dkim"
	"facteur/internal/store/dkimkey"
)

// Keeper looks after the keys of the domains of the house.
type Keeper struct {
	keys  *dkimkey.Store
	rules func() *Rules
	// make tells whether domains get keys by themselves.
	make func() bool
	// domains lists those that mail may come from.
	domains func(ctx context.Context) ([]string, error)
	// servers are the name servers, each for itself; they are new ones for each round, and
	// remember nothing.
	servers func() []dkim.TXT
	events  event.Sink
	warned  warnings
}

// NewKeeper makes a Keeper. make tells whether domains get keys by themselves; servers
// are asked each for itself, past any cache of ours.
func NewKeeper(keys *dkimkey.Store, rules func() *Rules, makes func() bool, domains func(context.Context) ([]string, error), servers func() []dkim.TXT, events event.Sink) *Keeper {
	return &Keeper{keys: keys, rules: rules, make: makes, domains: domains, servers: servers, events: events}
}

const (
	// firstRound is how long after a start the keys are looked after for the first time:
	// who starts has other things to do. roundEvery is how often that is done.
	firstRound = 30 * time.Second
	roundEvery = 5 * time.Minute
	// lookMax is how long the name servers may take about one domain.
	lookMax = time.Minute
)

// Run looks after the keys until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	timer := time.NewTimer(firstRound)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		k.Round(ctx, time.Now())
		timer.Reset(roundEvery)
	}
}

// Round looks after the keys of all domains once.
func (k *Keeper) Round(ctx context.Context, now time.Time) {
	if !k.rules().Enabled {
		return
	}
	if k.make() {
		k.ensure(ctx, now)
	}
	all, err := k.keys.Domains()
	if err != nil {
		k.trouble("", err, now)
	}
	for _, domain := range all {
		if ctx.Err() != nil {
			return
		}
		if err := k.attend(ctx, domain, now); err != nil {
			k.trouble(domain, err, now)
		}
	}
}

// ensure makes keys for domains that have none.
func (k *Keeper) ensure(ctx context.Context, now time.Time) {
	domains, err := k.domains(ctx)
	if err != nil {
		k.trouble("", err, now)
		return
	}
	rules := k.rules()
	for _, domain := range domains {
		if _, err := dkim.Domain(domain); err != nil || ctx.Err() != nil || rules.hasOwn(domain) {
			continue
		}
		ring, err := k.keys.Ring(domain)
		if err == nil && len(ring) == 0 {
			var made []dkimkey.Key
			made, err = k.keys.Ensure(domain, rules.Plan, now)
			for _, key := range made {
				k.events.Emit(Turned{Key: key})
			}
		}
		if err != nil {
			k.trouble(domain, err, now)
		}
	}
}

// hasOwn tells a domain for which the admin keeps a key himself.
func (r *Rules) hasOwn(domain string) bool {
	for _, o := range r.Own {
		if o.Domain == domain {
			return true
		}
	}
	return false
}

// attend moves the keys of one domain on.
func (k *Keeper) attend(ctx context.Context, domain string, now time.Time) error {
	ring, err := k.keys.Ring(domain)
	if err != nil {
		return err
	}
	seen := map[string]dkimkey.Sight{}
	if waiting := ring.Waiting(); len(waiting) > 0 {
		ctx, cancel := context.WithTimeout(ctx, lookMax)
		defer cancel()
		seen = Sights(Look(ctx, k.servers(), waiting))
	}
	changes, err := k.keys.Step(domain, seen, k.rules().Times, now)
	for _, c := range changes {
		k.events.Emit(Turned{Key: c.Key, From: c.From})
	}
	return err
}

// trouble warns once a day of each thing that goes wrong.
func (k *Keeper) trouble(domain string, err error, now time.Time) {
	if k.warned.first(domain+" "+err.Error(), now) {
		k.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "opendkim", Text: err.Error()})
	}
}

// View is what the name servers show of a key.
type View struct {
	Key   dkimkey.Key
	Sight dkimkey.Sight
	// Problem says what is not as it should be; "" when all servers have the record.
	Problem string
	// Records are the different records that were found.
	Records []*dkim.Record
}

// Look asks every name server for the record of each key, all at once.
func Look(ctx context.Context, servers []dkim.TXT, keys []dkimkey.Key) []View {
	views := make([]View, len(keys))
	var busy sync.WaitGroup
	for i, key := range keys {
		busy.Go(func() { views[i] = look(ctx, servers, key) })
	}
	busy.Wait()
	return views
}

// look asks for the record of one key. One server that does not have it outweighs those
// that do, and one that does not answer leaves it open.
func look(ctx context.Context, servers []dkim.TXT, key dkimkey.Key) View {
	v := View{Key: key, Sight: dkimkey.Seen}
	if len(servers) == 0 {
		v.Sight, v.Problem = dkimkey.Unknown, "there is no name server to ask"
	}
	for _, txt := range servers {
		answer := dkim.Lookup(ctx, txt, key.Selector, key.Domain)
		switch problem := v.judge(answer); {
		case problem == "":
		case answer.State() == lookup.TryAgain:
			if v.Sight == dkimkey.Seen {
				v.Sight, v.Problem = dkimkey.Unknown, problem
			}
		case v.Sight != dkimkey.Missing:
			v.Sight, v.Problem = dkimkey.Missing, problem
		}
	}
	return v
}

// judge says what is wrong with one server's answer.
func (v *View) judge(answer lookup.Answer[*dkim.Record]) string {
	if answer.State() != lookup.Found {
		return answer.Err().Error()
	}
	r := answer.Value()
	v.Records = append(v.Records, r)
	switch {
	case v.Key.State == dkimkey.Retired && r.Public == nil:
		return ""
	case v.Key.State == dkimkey.Retired:
		return "the record still has a key, though it is retired; empty its p="
	case v.Key.Public == nil:
		return fmt.Sprintf("the private key can't be read: %v", v.Key.Err)
	case r.Public == nil:
		return "the record says that the key was withdrawn (an empty p=)"
	case !v.Key.Shows(r):
		return "the record has another key"
	}
	return ""
}

// Sights are the views by selector, as dkimkey.Store.Step takes them.
func Sights(views []View) map[string]dkimkey.Sight {
	m := make(map[string]dkimkey.Sight, len(views))
	for _, v := range views {
		m[v.Key.Selector] = v.Sight
	}
	return m
}

// Turned is a key that came into another state; From is empty where it was made.
type Turned struct {
	Key  dkimkey.Key
	From dkimkey.State
}

// Level implements event.Event.
func (Turned) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Turned) Record() (string, []slog.Attr) {
	return "dkim key " + string(e.Key.State), []slog.Attr{slog.String("key", e.Key.Name()), slog.String("algorithm", string(e.Key.Algorithm)), slog.String("before", string(e.From))}
}

// Line implements event.Event.
func (e Turned) Line() (string, string) {
	return "opendkim", fmt.Sprintf("key %s (%s): %s", e.Key.Name(), e.Key.Algorithm, Advice(e.Key))
}

// Advice says what a key's state means to its admin, and what there is to do.
func Advice(k dkimkey.Key) string {
	switch k.State {
	case dkimkey.Made:
		return fmt.Sprintf("made; publish its record (\"facteur dkim show %s\"), it signs when that was seen", k.Domain)
	case dkimkey.Published:
		return "published; it signs soon"
	case dkimkey.Active:
		return "it signs"
	case dkimkey.Retiring:
		return "it signs no more; leave its record in the DNS for letters that are on their way"
	}
	return "retired; empty its record in the DNS (\"p=\")"
}
