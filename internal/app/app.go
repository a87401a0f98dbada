// Package app builds the house from its settings and runs it: it opens what is
// kept, connects the rooms, opens the doors, and closes all of it in the right
// order.
//
//	doors → desk → queue → dispatcher → mailboxes or other hosts
//
// Starting: lock the data directory, open the stores, bind every listener, then
// serve. Whatever fails on the way is one error and leaves nothing running.
// Stopping (the end of Run's context): no new connections, sessions and
// deliveries finish what they are at within a grace, then the stores close. What
// is not finished stays in the queue; killing the process loses nothing more.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/app/sources"
	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/bounce"
	"facteur/internal/flow/brake"
	"facteur/internal/flow/deliver"
	"facteur/internal/flow/filter/dnslist"
	"facteur/internal/flow/filter/record"
	"facteur/internal/flow/filter/scanner"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/login"
	"facteur/internal/flow/provider"
	"facteur/internal/flow/quarantine"
	reports "facteur/internal/flow/report"
	"facteur/internal/flow/route"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/net/certs"
	"facteur/internal/net/dns"
	"facteur/internal/net/helper"
	"facteur/internal/net/tlspolicy"
	brakestore "facteur/internal/store/brake"
	"facteur/internal/store/correspondent"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/dkimkey"
	greystore "facteur/internal/store/greylist"
	"facteur/internal/store/journey"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
	"facteur/internal/store/policy"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
	"facteur/internal/store/reputation"
	"facteur/internal/store/stspolicy"
	"facteur/internal/store/tlsreport"
)

// grace is how long sessions and deliveries may go on after the word to stop.
const grace = 10 * time.Second

// App is a running house.
type App struct {
	settings atomic.Pointer[settings]
	events   event.Sink
	summary  *bounce.Summary
	writer   *bounce.Writer

	claim      *control.Claim
	state      *db.DB
	journey    *journey.Store
	queue      *queue.Queue
	directory  *directory.Directory
	reputation *reputation.Store
	recorder   *record.Keeper
	policies   *policy.Store
	greylisted *greystore.Store
	sent       *brakestore.Store
	brake      *brake.Gate
	providers  *provider.Known
	tlsReport  *tlsreport.Store
	reported   *report.Store
	reports    *reports.Office
	tls        *tlspolicy.Keeper
	mailboxes  *mailbox.Store
	names      *names
	spaces     *namespace.House
	homes      *helper.Staff
	certs      *certs.Store
	resolver   *dns.Resolver
	lists      *dnslist.Lists
	scanners   *scanner.Scanners
	ownNames   ownDomains
	persons    persons
	router     *route.Router
	desk       *intake.Desk
	keys       *dkimkey.Store
	signer     *sign.Signer
	keeper     *sign.Keeper
	logins     atomic.Pointer[login.Rules]
	gate       *login.Gate
	dispatch   *deliver.Dispatcher
	doors      *doors
	stores     *control.Stores
	office     *control.Server
	learning
}

// New opens everything that cfg names, sockets included, and serves nothing yet.
func New(cfg *config.Config, events event.Sink) (*App, error) {
	a := &App{events: events, scanners: scanner.NewScanners(events)}
	now, err := translate(cfg)
	if err != nil {
		return nil, err
	}
	a.settings.Store(now)
	for _, step := range []func(*config.Config) error{a.openStores, a.openNet, a.openSigning, a.connect, a.openLists, a.openAccess, a.openGate, a.openDoors, a.openOffice} {
		if err := step(cfg); err != nil {
			a.close()
			return nil, err
		}
	}
	return a, nil
}

func (a *App) openStores(c *config.Config) (err error) {
	if a.claim, err = control.NewClaim(context.Background(), c.DataDir); err != nil {
		return err
	}
	a.journey, err = journey.Open(vfs.OS{}, filepath.Join(c.DataDir, "journey"), journeyLimits(c), a.events)
	if err != nil {
		return err
	}
	a.summary = bounce.NewSummary(a.events)
	a.events = event.Tee(a.events, a.journey, a.summary)
	if a.state, err = db.Open(filepath.Join(c.DataDir, "facteur.db"), directory.Migrations(), reputation.Tables(), greystore.Tables(), stspolicy.Tables(), tlsreport.Tables(), report.Tables(), policy.Tables(), correspondent.Tables(), brakestore.Tables()); err != nil {
		return err
	}
	if a.reputation, err = reputation.Open(context.Background(), a.state, a.events); err != nil {
		return err
	}
	if a.policies, err = policy.Open(context.Background(), a.state, a.events); err != nil {
		return err
	}
	a.policies.Declare(filterPolicies(c))
	if a.greylisted, err = greystore.Open(context.Background(), a.state, a.events); err != nil {
		return err
	}
	a.openReputation()
	if a.sent, err = brakestore.Open(context.Background(), a.state, a.events); err != nil {
		return err
	}
	a.tlsReport = tlsreport.New(a.state, a.events)
	a.reported = report.New(a.state, a.events)
	a.directory = directory.New(a.state, c.DomainNames(), c.DataDir, int64(c.Mailbox.DefaultQuota))
	a.directory.Configure(c.DeclaredDomains(), c.Allowances())
	places, err := sources.Open(c, a.events)
	if err != nil {
		return err
	}
	a.directory.Attach(places)
	if a.queue, err = queue.Open(c.DataDir); err != nil {
		return err
	}
	a.homes = helper.New(c.Homes())
	a.mailboxes = mailbox.New(vfs.OS{}, a.events)
	a.mailboxes.KeepSpare(c.DataDir)
	if err = a.openNamespaces(c); err != nil {
		return err
	}
	return a.openLearning(c)
}

func (a *App) openNet(c *config.Config) (err error) {
	if a.certs, err = certs.Open(certificates(c)); err != nil {
		return err
	}
	a.tellCertificates(c)
	a.resolver, err = dns.New(Resolver(c))
	if err != nil {
		return err
	}
	a.names = &names{resolver: a.resolver}
	a.providers = provider.New(a.resolver.SPF, func() []string { return a.settings.Load().config.SPF.Preapproved })
	return a.openTLSPolicies()
}

// openTLSPolicies recalls what other domains demanded of TLS before the restart.
func (a *App) openTLSPolicies() error {
	kept := stspolicy.New(a.state)
	known, err := kept.Load(context.Background())
	if err != nil {
		return err
	}
	a.tls = tlspolicy.New(tlspolicy.Config{Resolver: a.resolver, Known: known, Save: kept.Save, Report: a.tlsReport.Note,
		Events: a.events, Roots: a.settings.Load().outbound.TLS.Roots})
	return nil
}

// tellCertificates tells what an admin should know of the certificates in use.
func (a *App) tellCertificates(c *config.Config) {
	if len(c.TLS.Certificate) == 0 {
		a.events.Emit(event.Note{Program: "facteur/certs", Text: fmt.Sprintf(
			"no certificate in the settings: using a self-signed one for %s, in %s", c.Hostname, certificates(c).Dir)})
	}
	for _, i := range a.certs.Infos() {
		if w := i.Warning(time.Now()); w != "" {
			a.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/certs", Text: w})
		}
	}
}

// tellWarnings tells what is allowed and may be a mistake.
func (a *App) tellWarnings(c *config.Config) {
	for _, text := range c.Warnings() {
		a.warn("facteur/master", text)
	}
}

// connect wires the rooms together. Each asks for its settings when it needs
// them, so that a reload is one store of a pointer.
func (a *App) connect(c *config.Config) error {
	a.router = route.New(a.directory, c.Hostname, func() string { return a.settings.Load().config.Home() })
	a.router.Configure(func() *route.Rules { return a.settings.Load().routes })
	a.openReports()
	a.desk = intake.New(func() *intake.Rules { return a.settings.Load().rules },
		a.directory, a.router, a.queue, a.room, event.Tee(a.events, a.reports, contacts{a.correspondents}))
	a.openBrake()
	a.desk.Sign(a.signer)
	a.desk.Remember(a.recorder)
	a.desk.Trapped(a.trapped)
	a.desk.Reading(a.reports.Read)
	a.desk.Teaching(a.classroom())
	a.dispatch = deliver.New(deliver.House{
		Signer: a.signer, Barred: a.desk.Barred,
		Hostname: c.Hostname, FS: vfs.OS{}, Queue: a.queue, Directory: a.directory, Resolver: a.resolver, TLS: a.tls,
		Notices: a.notices(c),
		Notify:  a.delivered, Folder: a.folder,
		Homes: a.homes, Expand: a.router.Expand,
		Users:    func() deliver.Users { return unixUsers(a.settings.Load().config) },
		Schedule: func() deliver.Schedule { return a.settings.Load().schedule },
		Outbound: func() *deliver.Outbound { return a.settings.Load().outbound },
		Events:   event.Tee(a.events, failures{a.brake}),
	})
	return nil
}

// notices opens the room where notices are written, and lets the postmaster hear of
// what he wants to.
func (a *App) notices(c *config.Config) *bounce.Writer {
	w := bounce.New(c.Hostname, nil, a.queue, a.router)
	w.Configure(func() bounce.Settings { return a.settings.Load().notices })
	w.Sign(a.signer)
	a.summary.Open(w)
	a.writer = w
	a.mailboxes.Quota().OnCrossing(a.crossed)
	return w
}

// room is how large a letter for an account may be.
func (a *App) room(ctx context.Context, account directory.Account, need int64) (int64, error) {
	return a.mailboxes.Free(ctx, a.owner(account), need)
}

// owner is an account as the store of mailboxes knows it.
func (a *App) owner(account directory.Account) mailbox.Owner {
	return a.settings.Load().config.OwnerIn(a.homes)(account)
}

// readersTime is how long the start and a reload wait to hear who has a mailbox.
const readersTime = 2 * time.Second

// warnWithoutReaders tells of mailboxes that the world may rely on, and that the
// postmaster's letters go to, and that nobody has.
func (a *App) warnWithoutReaders(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readersTime)
	defer cancel()
	c := a.settings.Load().config
	name := "postmaster@" + c.Home()
	if a.nobodyReads(ctx, address.Address{Local: "postmaster"}) {
		a.warn("facteur/master", "nobody reads "+name+
			", where others write when something is wrong with mail from here: facteur account add "+name)
	}
	for _, r := range c.NoticeReaders() {
		if a.nobodyReads(ctx, r.Address) {
			a.warn("facteur/master", r.Key+": nobody reads "+r.Address.String()+"; what is meant for it is only in the log")
		}
	}
}

// nobodyReads tells that an address of ours is nobody's.
func (a *App) nobodyReads(ctx context.Context, who address.Address) bool {
	return a.router.Resolve(ctx, who).State() == lookup.NotFound
}

// watchDisk ends the house when the disk failed under a database: whoever started
// us starts us again, and what is on the disk is read anew.
func (a *App) watchDisk(ctx context.Context, stop func(error)) {
	select {
	case <-a.queue.Broken():
	case <-a.state.Broken():
	case <-ctx.Done():
		return
	}
	stop(db.ErrBroken)
}

// openOffice answers the admin's commands on the control socket.
func (a *App) openOffice(c *config.Config) (err error) {
	addressing := func() control.Addressing {
		rules := a.settings.Load().rules
		return control.Addressing{Rewrite: rules.Rewrite, Forward: rules.Forward}
	}
	a.stores = control.NewStores(a.directory, a.queue, a.router, a.tlsReport, a.reported, a.mailboxes, a.owner, a.events).Learning(a.teacher, a.lexicon, a.correspondents).Lifting(a.dispatch.Lift).Sharing(a.spaces).Addressing(addressing).Expelling(a.expelNow).Reporting(a.reports).Naming(a.knownName).Door(a.knock).Signing(a.keys, a.signRules).Policies(a.policies).Remembering(a.reputation, a.recorder.Bans, a.recorder.Forgiven)
	a.stores.Asking(a.lists)
	a.stores.Scanning(a.scanners)
	a.stores.Trying(func(ctx context.Context, t control.LetterTrial) (control.Weighed, error) {
		return t.By(ctx, a.settings.Load().rules.Filter)
	})
	a.stores.Greylisting(a.greylisted)
	a.stores.Braking(a.brake)
	a.office, err = control.Serve(c.DataDir, a.stores, a.events)
	return err
}

// Run serves until ctx ends, then drains and closes. The error is what made it
// end before that.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a.reports.Recover(context.WithoutCancel(ctx))
	delivered, forget := make(chan struct{}), a.watchTLS(ctx)
	go func() {
		defer close(delivered)
		if err := a.dispatch.Run(ctx, grace); err != nil {
			stop(err)
		}
	}()
	go a.watchDisk(ctx, stop)
	go a.learnShares(ctx)
	a.warnWithoutReaders(ctx)
	a.tellWarnings(a.settings.Load().config)
	a.tellUnserved(a.settings.Load().config)
	dismiss := a.attend(ctx)
	a.doors.serve(stop)
	a.events.Emit(event.Note{Program: "facteur/master", Text: "daemon started -- " + a.settings.Load().config.Hostname})
	<-ctx.Done()
	a.events.Emit(event.Note{Program: "facteur/master", Text: "terminating"})
	a.doors.drain(grace)
	a.reports.Settle(grace)
	dismiss()
	<-delivered
	a.summary.Close()
	forget()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// attend starts those who look after the doors. They stay until the last guest has
// left, and dismiss waits until they have written down what they know.
func (a *App) attend(ctx context.Context) (dismiss func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var busy sync.WaitGroup
	busy.Go(func() { a.doors.gate.Watch(ctx, a.events) })
	busy.Go(func() { a.lists.Run(ctx) })
	busy.Go(func() { a.runReputation(ctx) })
	busy.Go(func() { a.providers.Run(ctx) })
	busy.Go(func() { a.expire(ctx) })
	busy.Go(func() { a.greylisted.Run(ctx) })
	busy.Go(func() { a.sent.Run(ctx) })
	busy.Go(func() { a.brake.Run(ctx) })
	busy.Go(func() { a.expel(ctx) })
	busy.Go(func() { a.directory.Run(ctx) })
	busy.Go(func() { a.keeper.Run(ctx) })
	busy.Go(func() { a.lookAfter().Run(ctx) })
	busy.Go(func() { a.policies.Run(ctx) })
	busy.Go(func() { quarantine.New(a.queue, a.quarantineSettings, a.events).Run(ctx) })
	busy.Go(func() { a.reports.Run(ctx) })
	busy.Go(func() { a.runLearning(ctx) })
	return func() { cancel(); busy.Wait() }
}

// watchTLS keeps the policies of other domains fresh, and counts how deliveries came to
// their TLS, until the last of them has ended.
func (a *App) watchTLS(ctx context.Context) (dismiss func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var busy sync.WaitGroup
	busy.Go(func() { a.tls.Run(ctx) })
	busy.Go(func() { a.tlsReport.Run(ctx) })
	busy.Go(func() { a.reported.Run(ctx) })
	return func() { cancel(); busy.Wait() }
}

// close closes what is open, in the reverse order of opening.
func (a *App) close() {
	if a.doors != nil {
		a.doors.drain(0)
	}
	if a.office != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		a.office.Close(ctx)
	}
	a.settings.Load().dismiss()
	if a.mailboxes != nil {
		a.mailboxes.Close()
		a.homes.Close()
	}
	if a.directory != nil {
		sources.Close(a.directory.Attach(nil))
	}
	if a.queue != nil {
		a.queue.Close()
	}
	if a.state != nil {
		a.state.Close()
	}
	if a.journey != nil {
		a.journey.Close()
	}
	if a.claim != nil {
		a.claim.Release()
	}
}
