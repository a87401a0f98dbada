package interop

// Setup is what a mail server under test has to be: the domains and accounts
// of one small site, and where its mail for others goes.
type Setup struct {
	Domains  []string // default: example.org
	Accounts []string // addresses; the password is Password
	// Smarthost takes all mail for other domains, as host:port.
	Smarthost string
	// Services to listen on; default: smtp and imap.
	Services []string
	// Trusted is the network that may relay and that no limit touches; default:
	// 127.0.0.0/8.
	Trusted string
	// TLS makes Debian offer STARTTLS on port 25 too, as facteur always does.
	TLS bool
	// Config is more text for facteur.toml.
	Config string
	// Quiet is for measurements: see PostfixSetup.Quiet.
	Quiet bool
}

func (s Setup) withDefaults() Setup {
	if len(s.Domains) == 0 {
		s.Domains = []string{"example.org"}
	}
	if len(s.Services) == 0 {
		s.Services = []string{"smtp", "imap"}
	}
	if s.Trusted == "" {
		s.Trusted = "127.0.0.0/8"
	}
	return s
}

// Post is a mail server under test. Its methods fail the test instead of
// returning errors.
type Post interface {
	// Start starts it and returns when it greets.
	Start()
	// Stop asks it to end (SIGTERM) and waits.
	Stop()
	// Kill ends it with SIGKILL at once, with all its processes.
	Kill()
	// Addr is where a service ("smtp", "imap", …) listens.
	Addr(service string) string
	// Maildir is where an account's mail lies.
	Maildir(address string) string
	// IndexFiles are the files of an account's index, which can be rebuilt.
	IndexFiles(address string) []string
	// Handover makes files that a test put into an account readable to the
	// server. The server must be down.
	Handover(address string)
	// Queued counts the messages that still wait for delivery.
	Queued() (int, error)
	// Flush retries deferred mail now, where that is possible.
	Flush()
	// Processes are the top processes, for CPU and Memory.
	Processes() []int
	// Log is what it wrote.
	Log() string
}
