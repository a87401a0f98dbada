package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"

	"facteur/internal/app/config"
	"facteur/internal/app/sources"
	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/brake"
	"facteur/internal/flow/filter/record"
	"facteur/internal/flow/filter/scanner"
	"facteur/internal/flow/learn"
	reports "facteur/internal/flow/report"
	"facteur/internal/flow/route"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/net/helper"
	brakestore "facteur/internal/store/brake"
	"facteur/internal/store/correspondent"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/dkimkey"
	"facteur/internal/store/greylist"
	"facteur/internal/store/journey"
	"facteur/internal/store/lexicon"
	"facteur/internal/store/list"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
	"facteur/internal/store/policy"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
	"facteur/internal/store/reputation"
	"facteur/internal/store/tlsreport"
)

// Stores is the Office that works on the stores itself: in the server, and in a
// command while no server runs.
type Stores struct {
	asked                      // lists, by DNS
	scanners *scanner.Scanners // nil while no server runs

	directory *directory.Directory
	queue     *queue.Queue
	router    *route.Router
	tls       *tlsreport.Store
	mailboxes *mailbox.Store
	owner     func(directory.Account) mailbox.Owner
	events    event.Sink
	spaces    *namespace.House
	imports   imports
	// lift lets what is due for a domain be tried, though the last attempts for it have
	// failed.
	lift func(domain string)
	// expel ends the sessions of accounts that are no more.
	expel func(context.Context)
	// addressing is what is done to a forward-path first.
	addressing func() Addressing
	// knock tries the door; nil where there is none.
	knock func(context.Context, []Envelope) ([]KnockReply, error)
	keys  *dkimkey.Store
	// try looks at a letter as the door does; nil where there is none.
	try func(context.Context, LetterTrial) (Weighed, error)
	// policies are what accounts want of the filter.
	policies *policy.Store
	// reputation is what is known of who brings mail; bans are those for others to enforce,
	// and banned tells of a change.
	reputation *reputation.Store
	bans       func() []reputation.Ban
	banned     func() error
	signing    func() *sign.Rules
	// reports are those that were kept; office sends ours, in the server; name is what an
	// address is known to be called.
	reports *report.Store
	office  *reports.Office
	name    func(netip.Addr) string
	// What letters taught, and whom accounts wrote to.
	teacher        *learn.Teacher
	lexicon        *lexicon.Store
	correspondents *correspondent.Store
	// brake opens the brake of outgoing mail.
	brake func(context.Context) (*brake.Gate, error)
	// greylist opens the table of strangers.
	greylist func(context.Context) (*greylist.Store, error)
}

// NewStores is the office of stores that are open. What is done to the queue is told
// to events. owner says how the store of mailboxes knows an account.
func NewStores(d *directory.Directory, q *queue.Queue, r *route.Router, t *tlsreport.Store, reported *report.Store, m *mailbox.Store, owner func(directory.Account) mailbox.Owner, events event.Sink) *Stores {
	return &Stores{directory: d, queue: q, router: r, tls: t, mailboxes: m, reports: reported, name: func(netip.Addr) string { return "" }, owner: owner, events: events, lift: func(string) {}, expel: func(context.Context) {}, addressing: func() Addressing { return Addressing{} }}
}

// Lifting says who is told before mail is made due: the domain that it is for, or ""
// for any. It is for the server, where destinations may be suspended.
func (s *Stores) Lifting(lift func(domain string)) *Stores {
	s.lift = lift
	return s
}

// Expelling says who ends the sessions of an account that was disabled or removed, before
// the admin is told that it is done. It is for the server, which has them.
func (s *Stores) Expelling(expel func(context.Context)) *Stores {
	s.expel = expel
	return s
}

// Addressing says who has the rules about addresses, which need open tables.
func (s *Stores) Addressing(rules func() Addressing) *Stores {
	s.addressing = rules
	return s
}

// openStores opens the stores of a data directory that is claimed.
func openStores(cfg *config.Config) (*Stores, func() error, error) {
	database, err := db.Open(filepath.Join(cfg.DataDir, "facteur.db"), directory.Migrations(), greylist.Tables(), tlsreport.Tables(), report.Tables(), policy.Tables(), reputation.Tables(), correspondent.Tables(), brakestore.Tables())
	if err != nil {
		return nil, nil, err
	}
	q, err := queue.Open(cfg.DataDir)
	if err != nil {
		return nil, nil, errors.Join(err, database.Close())
	}
	limits := journey.Limits{Days: cfg.Journey.KeepDays, MaxSize: int64(cfg.Journey.MaxSize)}
	j, err := journey.Open(vfs.OS{}, filepath.Join(cfg.DataDir, "journey"), limits, event.Discard)
	if err != nil {
		return nil, nil, errors.Join(err, q.Close(), database.Close())
	}
	d := directory.New(database, cfg.DomainNames(), cfg.DataDir, int64(cfg.Mailbox.DefaultQuota))
	d.Configure(cfg.DeclaredDomains(), cfg.Allowances())
	d.Keep(cfg.KeyKinds())
	places, err := sources.Open(cfg, j)
	if err != nil {
		j.Close()
		return nil, nil, errors.Join(err, q.Close(), database.Close())
	}
	d.Attach(places)
	r := route.New(d, cfg.Hostname, cfg.Home)
	// Where a table can't be opened, what it is needed for waits, and the rest is done.
	tables, _ := list.Open(cfg.ListSources(), j)
	rules := cfg.RouteRules(tables)
	r.Configure(func() *route.Rules { return rules })
	m, homes := mailbox.New(vfs.OS{}, j), helper.New(cfg.Homes())
	closeAll := func() error {
		err := m.Close()
		homes.Close()
		if tables != nil {
			tables.Close()
		}
		sources.Close(d.Attach(nil))
		j.Close()
		return errors.Join(err, q.Close(), database.Close())
	}
	m.SetDefaults(cfg.NewMailboxes())
	s := NewStores(d, q, r, tlsreport.New(database, j), report.New(database, j), m, cfg.OwnerIn(homes), j)
	s.greylist = func(ctx context.Context) (*greylist.Store, error) { return greylist.Open(ctx, database, j) }
	s.brake = func(ctx context.Context) (*brake.Gate, error) { return openBrake(ctx, cfg, database, q, j) }
	h, err := namespace.NewHouse(vfs.OS{}, cfg.DataDir, m, s.findOwner, cfg.Namespaces())
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	forwarding, err := cfg.ForwardRules(s.hosted)
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	addressing := Addressing{Rewrite: cfg.RewriteRules(tables, d), Forward: forwarding}
	signing, err := cfg.SignRules()
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	policies, err := policy.Open(context.Background(), database, j)
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	policies.Declare(cfg.FilterPolicies())
	s.Policies(policies)
	records, err := reputation.Open(context.Background(), database, j)
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	keeper := record.NewKeeper(records, cfg.RecordRules, j)
	s.Remembering(records, keeper.Bans, func() error { return records.Write(context.Background()) })
	s.Signing(dkimkey.New(vfs.OS{}, cfg.KeyDir()), func() *sign.Rules { return signing })
	words := lexicon.Open(vfs.OS{}, filepath.Join(cfg.DataDir, "lexicon"), cfg.LexiconLimits(), j)
	known, err := correspondent.Open(context.Background(), database, j)
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	s.Learning(learn.New(learn.House{Lexicon: words, Settings: cfg.LearnRules, Events: j}), words, known)
	done := func() error { return errors.Join(words.Sync(), closeAll()) }
	return s.Sharing(h).Addressing(func() Addressing { return addressing }), done, nil
}

// hosted tells our domains.
func (s *Stores) hosted(ctx context.Context, domain string) lookup.Answer[bool] {
	switch a := s.router.Hosts(ctx, domain); a.State() {
	case lookup.TryAgain:
		return lookup.Later[bool](a.Err())
	case lookup.NotFound:
		return lookup.No[bool](a.Err())
	}
	return lookup.Yes(true)
}

// TLSReport implements Office. What was counted in the last minute is in it.
func (s *Stores) TLSReport(ctx context.Context, d Day) ([]tlsreport.Policy, error) {
	if err := s.tls.Write(ctx); err != nil {
		return nil, err
	}
	return s.tls.Report(ctx, d.Day)
}

// Accounts implements Office. Of directories that can't be listed the log is told, and
// the list has the others.
func (s *Stores) Accounts(ctx context.Context) ([]directory.Account, error) {
	accounts, err := s.directory.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	own := accounts
	err = s.directory.Elsewhere(ctx, own, func(a directory.Account) error {
		accounts = append(accounts, a)
		return nil
	})
	if err != nil {
		s.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/directory", Text: "the list of accounts has a gap: " + err.Error()})
	}
	return accounts, nil
}

// AddAccount implements Office.
func (s *Stores) AddAccount(ctx context.Context, n NewAccount) error {
	a, err := accountAddress(n.Address)
	if err != nil {
		return err
	}
	if n.Hashed {
		return about(n.Address, s.directory.AddHashed(ctx, a, n.Password, n.Quota))
	}
	return about(n.Address, s.directory.AddAccount(ctx, a, n.Password, n.Quota))
}

// SetPassword implements Office.
func (s *Stores) SetPassword(ctx context.Context, p NewPassword) error {
	a, err := accountAddress(p.Address)
	if err != nil {
		return err
	}
	if p.Hashed {
		return about(p.Address, s.directory.SetHash(ctx, a, p.Password))
	}
	return about(p.Address, s.directory.SetPassword(ctx, a, p.Password))
}

// RemoveAccount implements Office.
func (s *Stores) RemoveAccount(ctx context.Context, r Removal) error {
	a, err := accountAddress(r.Address)
	if err != nil {
		return err
	}
	found, err := s.account(ctx, r.Address)
	if err != nil {
		return err
	}
	home := s.owner(found).Home
	if err := s.forget(ctx, found); err != nil {
		return about(r.Address, err)
	}
	if err := s.mailboxes.Discard(home); err != nil {
		return about(r.Address, err)
	}
	if err := errors.Join(s.lexicon.Remove(ctx, found.Address), s.correspondents.Forget(ctx, found.Address)); err != nil {
		return about(r.Address, err)
	}
	err = s.directory.RemoveAccount(ctx, a, r.Mail)
	s.expel(ctx)
	s.mailboxes.Discard(home) //nolint:errcheck // of who came in between
	return about(r.Address, err)
}

// Domains implements Office.
func (s *Stores) Domains(ctx context.Context) ([]directory.Domain, error) {
	return s.directory.Domains(ctx)
}

// AddDomain implements Office.
func (s *Stores) AddDomain(ctx context.Context, d NewDomain) error {
	return about(d.Name, s.directory.DeclareDomain(ctx, directory.Domain{Name: d.Name, Class: directory.Class(d.Class), AliasOf: d.AliasOf, CatchAll: d.CatchAll}))
}

// RemoveDomain implements Office.
func (s *Stores) RemoveDomain(ctx context.Context, d DomainName) error {
	return about(d.Name, s.directory.RemoveDomain(ctx, d.Name))
}

// accountAddress reads the name of an account.
func accountAddress(s string) (address.Address, error) {
	a, err := address.Parse(s)
	if err != nil {
		return address.Address{}, fmt.Errorf("%q is not an address: %w", s, err)
	}
	return a, nil
}

// about puts the name that a command was given before its error.
func about(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
