package smtpd

import (
	"context"
	"net/netip"
)

// reverseName is the client's name, looked up beside the dialogue: the banner
// never waits for it, the first command does for what is left of nameTimeout.
type reverseName struct {
	found  chan string
	cancel context.CancelFunc
	ctx    context.Context
	name   string
}

const noName = "unknown"

func (n *reverseName) start(ctx context.Context, lookup func(context.Context, netip.Addr) string, a netip.Addr) {
	if lookup == nil || !a.IsValid() {
		n.name = noName
		return
	}
	n.ctx, n.cancel = context.WithTimeout(ctx, nameTimeout)
	found := make(chan string, 1)
	n.found = found
	go func(ctx context.Context) { found <- lookup(ctx, a) }(n.ctx)
}

// get is the name, or "unknown" once and for all.
func (n *reverseName) get() string {
	if n.name != "" {
		return n.name
	}
	select {
	case n.name = <-n.found:
	case <-n.ctx.Done():
	}
	n.cancel()
	if n.name == "" {
		n.name = noName
	}
	n.name = neuter(n.name)
	return n.name
}

// set is the name, whatever a look-up may say.
func (n *reverseName) set(name string) {
	n.stop()
	*n = reverseName{name: neuter(name)}
}

// stop gives the look-up up.
func (n *reverseName) stop() {
	if n.cancel != nil {
		n.cancel()
	}
}
