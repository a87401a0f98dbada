package app

import (
	"context"
	"path/filepath"
	"slices"
	"sync"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/filter"
	caller "facteur/internal/flow/filter/client"
	"facteur/internal/flow/filter/dnslist"
	"facteur/internal/flow/filter/letter"
	"facteur/internal/flow/filter/words"
	"facteur/internal/flow/replay"
	prior "facteur/internal/mail/words"
	"facteur/internal/net/dns"
	"facteur/internal/store/lexicon"
	"facteur/internal/store/policy"
)

// Replay is what letters are judged again with.
type Replay struct {
	// Config has the settings that are tried, Policies what accounts want by them.
	Config   *config.Config
	Policies policy.Settings
	// Ours tells domains that mail is received for.
	Ours func(domain string) bool
	// Resolver, unless nil, is asked anew.
	Resolver *dns.Resolver
}

// Judge builds the filter that is tried. Nothing of a running server is touched: what it has
// learnt is read.
func (r *Replay) Judge(ctx context.Context) (*replay.Judge, error) {
	c := r.Config
	taught := &taught{dir: filepath.Join(c.DataDir, "lexicon"), limits: c.LexiconLimits()}
	checks, err := LetterChecks(taught.layer)
	if err != nil {
		return nil, err
	}
	checks = append(checks, ContentChecks(c, letter.House{Ours: r.Ours, Languages: usedLanguages(policy.Fixed(r.Policies))})...)
	j := &replay.Judge{Hostname: c.Hostname, Anew: isAnew, Family: familyOf(c), Filter: r.filter(checks)}
	if r.Resolver != nil {
		lists, err := r.lists(ctx)
		if err != nil {
			return nil, err
		}
		self := caller.Self{Hostname: c.Hostname, Addrs: c.PublicAddresses(), Ours: r.Ours}
		j.Asked = r.filter(append([]filter.Check{lists.Clients(), lists.Domains(), caller.NewName(r.Resolver, func() caller.Self { return self })}, checks...))
	}
	return j, nil
}

func (r *Replay) filter(checks []filter.Check) *filter.Filter {
	rules := r.Config.FilterRules()
	rules.Scoring, rules.Checks, rules.Learn = true, checks, false
	return filter.New(rules, r.Resolver, nil).Obeys(policy.Fixed(r.Policies), r.Policies.Default)
}

func (r *Replay) lists(ctx context.Context) (*dnslist.Lists, error) {
	asked, err := r.Config.AskedLists()
	if err != nil {
		return nil, err
	}
	lists := dnslist.New(r.Resolver, event.Discard)
	lists.Configure(listRules(r.Config, asked, r.Ours))
	lists.Test(ctx)
	return lists, nil
}

// isAnew tells remarks that are made of a letter and of what was proven about it.
func isAnew(name string) bool {
	return slices.ContainsFunc(slices.Concat(letter.Known(), words.Known(), filter.Proven(), filter.Listed()),
		func(k filter.Known) bool { return k.Name == name })
}

// familyOf tells whose remark one is that was made when a letter came.
func familyOf(c *config.Config) func(name string) string {
	families := make(map[string]string)
	for _, k := range c.Remarks() {
		families[k.Name] = k.Check
	}
	return func(name string) string {
		if filter.IsRuled(name) {
			return filter.Ruled(name).Check // the rule may be gone
		}
		return families[name]
	}
}

// taught is what the server and one account after the other have learnt, read beside a
// server that goes on learning.
type taught struct {
	dir    string
	limits lexicon.Limits

	mu              sync.Mutex
	server, account *lexicon.Store
	owner           string // of account
}

// layer is what an owner has learnt. Of accounts, the one that is judged for is in memory.
func (t *taught) layer(owner string) prior.Layer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if owner == lexicon.Server {
		if t.server == nil {
			t.server = t.open()
		}
		return t.server.Layer(owner)
	}
	if t.account == nil || t.owner != owner {
		t.account, t.owner = t.open(), owner
	}
	return t.account.Layer(owner)
}

func (t *taught) open() *lexicon.Store {
	return lexicon.Open(vfs.ReadOnly{FS: vfs.OS{}}, t.dir, t.limits, event.Discard)
}
