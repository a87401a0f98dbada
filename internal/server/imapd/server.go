package imapd

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/login"
	"facteur/internal/server/listen"
	"facteur/internal/store/directory"
	"facteur/internal/store/namespace"
	"facteur/internal/store/urlauth"
)

// Config is what a Server needs. All but TLS and Version must be set.
type Config struct {
	// Hostname is the name in the greeting.
	Hostname string
	// Version is what ID tells, beside the name.
	Version string
	// TLS is for STARTTLS; nil: not offered.
	TLS *tls.Config
	// MaxMessage is the largest message that APPEND takes, in octets.
	MaxMessage int64
	// Gate lets users in.
	Gate *login.Gate
	// Open opens what one sees. Each session closes what it got.
	Open func(ctx context.Context, account directory.Account) (*namespace.Space, error)
	// URLs gives and takes rights to letters (URLAUTH, RFC 4467); nil: not offered.
	URLs *urlauth.Desk
	// FullText lets searches make and use an index of what is in letters.
	FullText bool
	// Searches is what all servers share that search the same letters; nil: this one
	// shares with nobody.
	Searches *Searches
	// Quotas is for those who may set the quotas of others; the zero Quotas: nobody.
	Quotas Quotas
	// Events hears of log-ins, log-outs and failures.
	Events event.Sink
}

// Server serves any number of connections.
type Server struct {
	config Config
	pools  *pools
	copies sync.Pool // *copyBuffer, for sessions that send a message
}

// New makes a Server.
func New(c Config) *Server {
	if c.Searches == nil {
		c.Searches = NewSearches()
	}
	return &Server{config: c, pools: newPools(), copies: sync.Pool{New: func() any { return new(copyBuffer) }}}
}

// The waits of a session.
const (
	loginTime = time.Minute      // from the connection to the log-in
	idleTime  = 30 * time.Minute // without a word from the client: RFC 9051 §5.4
	stallTime = 5 * time.Minute  // for a client that takes nothing (ATTACKS IMAP-006)
	byeTime   = 2 * time.Second  // to get a last line out
	stillHere = 2 * time.Minute  // between signs of life in IDLE
)

// How often a client may err.
const (
	maxAuthFailures   = 3
	maxBadBeforeLogin = 5
	maxBad            = 20
)

// Serve runs the session of one connection to its end. It is a listen.Handler.
func (s *Server) Serve(ctx context.Context, c *listen.Conn) {
	newSession(s, newWire(c, s.pools)).run(ctx)
}
