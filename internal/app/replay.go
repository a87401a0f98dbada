package app

import (
	"context"
	"path/filepath"
	"strings"
	"sync"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/filter"
	caller "facteur/internal/flow/filter/client"
	"facteur/internal/flow/filter/dnslist"
	"facteur/internal/flow/filter/letter"
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

// madeAnew are the remarks, beside those of flow/filter/letter, that are made of a letter
// and of what was proven about it.
var madeAnew = map[string]bool{
	"words": true, "words_own": true, "heading": true, "heading_own": true, "shape": true, "shape_own": true, "listed": true, "allowed_unproven": true,
	"dmarc_pass": true, "dmarc_forwarded": true, "dmarc_reject": true, "dmarc_quarantine": true, "dmarc_fail": true, "dkim_author": true,
	"spf_pass": true, "spf_fail": true, "spf_softfail": true, "spf_permerror": true,
}

func isAnew(name string) bool {
	if madeAnew[name] {
		return true
	}
	for _, s := range letter.Symbols() {
		if s.Name == name {
			return true
		}
	}
	return false
}

// familyOf tells whose remark one is that was made when a letter came.
func familyOf(c *config.Config) func(name string) string {
	known := make(map[string]string)
	for _, s := range caller.Symbols() {
		known[s.Name] = (*caller.Name)(nil).Name()
		if strings.HasPrefix(s.Name, "door_") {
			known[s.Name] = (*caller.Door)(nil).Name()
		}
	}
	for _, l := range c.DNSLists {
		known["dnsbl_"+l.Name], known["dnswl_"+l.Name] = dnslist.FamilyClients, dnslist.FamilyClients
		known["rhsbl_"+l.Name], known["uribl_"+l.Name] = dnslist.FamilyDomains, dnslist.FamilyDomains
	}
	return func(name string) string { return known[name] }
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
