package dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// maxChain is how many CNAMEs are followed.
const maxChain = 8

// records is what a look-up found: the records at the end of the CNAMEs.
type records struct {
	rrs []wire.RR
	// secure: each step on the way was validated, by a server that we trust.
	secure bool
	// owner is the name at the end of the CNAMEs.
	owner string
}

// chain is the way from the name asked for to its records.
type chain struct {
	at     string          // where we are: canonical, without the last dot
	seen   map[string]bool // where we were
	ttl    time.Duration   // the least on the way
	secure bool
	size   int // bytes of the answers
}

var (
	errChain = fmt.Errorf("more than %d CNAMEs in a row", maxChain)
	errLoop  = errors.New("CNAME loop")
)

// chased is what a look-up came to: the answer, how long it may be kept, how big it
// is, and how many questions it took.
type chased struct {
	answer lookup.Answer[records]
	ttl    time.Duration
	size   int
	asked  int
}

// chase asks, and asks on when the answer is a CNAME without its target.
func (r *Resolver) chase(ctx context.Context, q question) chased {
	c := chain{at: q.name, seen: map[string]bool{q.name: true}, ttl: r.maxTTL, secure: r.trustAD}
	for asked := 1; ; asked++ {
		reply, err := r.exchange(ctx, question{c.at, q.qtype})
		if err != nil {
			return chased{answer: lookup.Later[records](err), asked: asked}
		}
		from := c.at
		found, err := c.follow(reply, q.qtype)
		switch {
		case err != nil:
			return chased{answer: lookup.Later[records](fmt.Errorf("%s: %w", q, err)), asked: asked}
		case len(found) > 0:
			return chased{lookup.Yes(records{found, c.secure, c.at}), c.ttl, c.size, asked}
		case reply.Rcode == wire.RcodeNameError:
			return chased{lookup.No[records](fmt.Errorf("%s: %w", q, ErrNoDomain)), r.negative(c, reply), c.size, asked}
		case c.at == from:
			return chased{lookup.No[records](fmt.Errorf("%s: %w", q, ErrNoData)), r.negative(c, reply), c.size, asked}
		}
	}
}

// follow goes along the CNAMEs of a reply and returns the records at their end,
// if they are in it.
func (c *chain) follow(reply *wire.Msg, qtype uint16) ([]wire.RR, error) {
	c.secure = c.secure && reply.AuthenticatedData
	c.size += reply.Len()
	for {
		found, next := c.look(reply.Answer, qtype)
		if len(found) > 0 || next == "" {
			return found, nil
		}
		if err := c.move(next); err != nil {
			return nil, err
		}
	}
}

// look finds the records of one name, or else where its CNAME points.
func (c *chain) look(answer []wire.RR, qtype uint16) (found []wire.RR, next string) {
	var alias *wire.CNAME
	for _, rr := range answer {
		h := rr.Header()
		if h.Class != wire.ClassINET || !strings.EqualFold(strings.TrimSuffix(h.Name, "."), c.at) {
			continue
		}
		if h.Rrtype == qtype {
			found = append(found, rr)
			c.ttl = min(c.ttl, seconds(h.Ttl))
		} else if cname, ok := rr.(*wire.CNAME); ok {
			alias = cname
		}
	}
	if len(found) > 0 || alias == nil {
		return found, ""
	}
	c.ttl = min(c.ttl, seconds(alias.Hdr.Ttl))
	return nil, alias.Target
}

func (c *chain) move(target string) error {
	name, ok := canonical(target)
	switch {
	case !ok:
		return fmt.Errorf("CNAME to %q: %w", clip(target), ErrBadName)
	case c.seen[name]:
		return errLoop
	case len(c.seen) > maxChain:
		return errChain
	}
	c.seen[name] = true
	c.at = name
	return nil
}

// negative is how long "there is none" may be remembered (RFC 2308 §5): what the
// SOA record says, within our cap, and not at all without one.
func (r *Resolver) negative(c chain, reply *wire.Msg) time.Duration {
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*wire.SOA); ok {
			return min(c.ttl, r.negTTL, seconds(min(soa.Hdr.Ttl, soa.Minttl)))
		}
	}
	return 0
}

func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 { // RFC 2181 §8: to be read as 0
		return 0
	}
	return time.Duration(ttl) * time.Second
}
