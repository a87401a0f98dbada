package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/flow/brake"
	"facteur/internal/flow/deliver"
	"facteur/internal/flow/sign"
	"facteur/internal/store/queue"
)

// openBrake makes the brake of outgoing mail, and has it asked.
func (a *App) openBrake() {
	a.brake = brake.New(brake.House{
		Rules: func() *brake.Rules { return a.settings.Load().brake },
		Kept:  a.sent, Knows: a.correspondents.Knows, Expel: a.expelBraked,
		Post:  &brake.Post{Router: a.router, Queue: a.queue, Outbox: sign.NewOutbox(a.queue, a.signer)},
		Queue: a.queue, Events: a.events,
	})
	a.desk.Braking(a.brake)
	a.directory.SuspendApps(a.brake.SuspendsApps)
}

// expelBraked ends the sessions of an account that was braked.
func (a *App) expelBraked(_ context.Context, account string) {
	for _, s := range a.doors.servers() {
		if n := s.Expel(func(name string) bool { return name == account }); n > 0 {
			a.note("facteur/master", fmt.Sprintf("%d sessions of %s, which is braked, were ended", n, account))
		}
	}
}

// bars says why an account may not log in to send.
func (a *App) bars(service, account string) string {
	if service != "smtp" {
		return ""
	}
	return a.brake.RefusesLogin(account)
}

// failures hears what becomes of mail, and counts what did not reach its recipients for who
// sent it.
type failures struct{ brake *brake.Gate }

// Emit implements event.Sink.
func (f failures) Emit(e event.Event) {
	if tried, is := e.(deliver.Tried); is && tried.Result == queue.Failed && !tried.Expired {
		f.brake.Failed(tried.Account, strings.HasPrefix(tried.Status, "5.1."))
	}
}

// trusts tells an address in the trusted networks.
func (a *App) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(a.settings.Load().rules.Trusted, func(n netip.Prefix) bool { return n.Contains(addr.Unmap()) })
}
