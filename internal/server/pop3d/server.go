package pop3d

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/login"
	"facteur/internal/mail/pop3"
	"facteur/internal/server/listen"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// Config is what a Server needs. All but TLS and Version must be set.
type Config struct {
	// Hostname is the name in the greeting.
	Hostname string
	// Version is what CAPA tells of us once somebody logged in.
	Version string
	// TLS is for STLS; nil: not offered.
	TLS *tls.Config
	// Gate lets users in.
	Gate *login.Gate
	// Open opens the mailboxes of one. Each session closes what it got.
	Open func(ctx context.Context, account directory.Account) (*mailbox.Account, error)
	// Maildrops is shared by all servers of the house.
	Maildrops *Maildrops
	// Rules is asked once in a session.
	Rules func() *Rules
	// Events hears of log-ins, log-outs and failures.
	Events event.Sink
}

// Deletion is what becomes of letters that a client deletes.
type Deletion uint8

// The ways to delete.
const (
	Expunge Deletion = iota
	// Trash moves them to a mailbox.
	Trash
	// Flag gives them a keyword, and hides letters with it.
	Flag
)

// Rules is what the admin set. A Rules is not changed once it is in use.
type Rules struct {
	// UIDL is the form of unique-ids.
	UIDL pop3.Format
	// Deletion is what QUIT does; Trash is the mailbox for that, Hidden the keyword.
	Deletion      Deletion
	Trash, Hidden string
	// MarkSeen: what was read is \Seen.
	MarkSeen bool
	// Shared: several sessions may have a maildrop at a time.
	Shared bool
	// Expire is how long letters stay before the server removes them; 0: for ever.
	Expire time.Duration
	// LoginDelay is the least time between two log-ins to an account; 0: none.
	LoginDelay time.Duration
}

// Server serves any number of connections.
type Server struct {
	config  Config
	buffers *sync.Pool // *buffers
	early   *sync.Pool // *listen.Buffer
}

// New makes a Server.
func New(c Config) *Server {
	return &Server{c, &sync.Pool{New: newBuffers}, listen.NewBuffers()}
}

// The waits of a session.
const (
	loginTime = time.Minute      // from the connection to the log-in
	idleTime  = 10 * time.Minute // without a word from the client: RFC 1939 §3
	stallTime = 5 * time.Minute  // for a client that takes nothing
	byeTime   = 2 * time.Second  // to get a last line out
)

// How often a client may err.
const (
	maxAuthFailures   = 3
	maxBadBeforeLogin = 5
	maxBad            = 20
)

// Serve runs the session of one connection to its end. It is a listen.Handler.
func (s *Server) Serve(ctx context.Context, c *listen.Conn) {
	newSession(s, c).run(ctx)
}
