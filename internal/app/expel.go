package app

import (
	"context"
	"fmt"
	"time"

	"facteur/internal/server/listen"
)

// expelEvery is how often those who are logged in are looked at: an account that was
// disabled or removed elsewhere is out within a minute. Where it was done here, it is out
// at once.
const expelEvery = 20 * time.Second

// expel ends the sessions of accounts that are no more.
func (a *App) expel(ctx context.Context) {
	tick := time.NewTicker(expelEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.expelNow(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (a *App) expelNow(ctx context.Context) {
	gone := func(account string) bool { return a.directory.Gone(ctx, account) }
	for _, s := range a.doors.servers() {
		if n := s.Expel(gone); n > 0 {
			a.note("facteur/master", fmt.Sprintf("%d sessions of accounts that were disabled or removed were ended", n))
		}
	}
}

// servers are what answers at the open doors.
func (d *doors) servers() (list []*listen.Server) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.open {
		list = append(list, x.server)
	}
	return list
}
