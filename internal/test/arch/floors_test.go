package arch

import (
	"slices"
	"strings"
	"testing"
)

// floors from the ground up. A room may use any lower floor.
var floors = []string{"base", "mail", "net", "store", "flow", "server", "app", "cmd"}

// edges are the imports within a floor, and the few others that break the rule,
// each with its reason.
var edges = map[string]string{
	"mail/arc → mail/authres":             "a set has what its server found out, in the words of that field",
	"mail/arc → mail/dkim":                "a seal is a signature as DKIM's, and a body is hashed once",
	"mail/arc → mail/message":             "what is sealed is a message",
	"mail/dkim → mail/address":            "who signed is a domain, and has one spelling",
	"mail/dkim → mail/message":            "what is signed is a message",
	"mail/anatomy → mail/address":         "addresses are the words of the other languages",
	"mail/anatomy → mail/archive":         "which files run is told in one place",
	"mail/anatomy → mail/authres":         "what others checked stands in their fields",
	"mail/anatomy → mail/content":         "where a link leads is read in one way",
	"mail/anatomy → mail/dmarc":           "the author is read as DMARC reads him",
	"mail/anatomy → mail/dsn":             "a notice tells what became of a letter",
	"mail/anatomy → mail/message":         "what is taken apart is a message",
	"mail/archive → mail/message":         "a file's name has one safe spelling",
	"mail/content → mail/address":         "hosts of links have one spelling",
	"mail/content → mail/archive":         "what a file really is, is part of what a letter carries",
	"mail/content → mail/message":         "what is read is a message",
	"mail/anatomy → mail/refusal":         "why a notice came, in plain words",
	"mail/authres → mail/address":         "addresses are the words of the other languages",
	"mail/authres → mail/message":         "what others say of a letter stands in its header",
	"mail/dmarc → mail/address":           "addresses are the words of the other languages",
	"mail/dmarc → mail/authres":           "a result is told in the words of that field",
	"mail/dmarc → mail/message":           "the author is read as every reader of the house reads him",
	"mail/dsn → mail/address":             "addresses are the words of the other languages",
	"mail/dsn → mail/message":             "a notice is a message",
	"mail/imap → mail/message":            "ENVELOPE and BODYSTRUCTURE are a message in IMAP's words",
	"mail/message → mail/address":         "addresses are the words of the other languages",
	"mail/srs → mail/address":             "addresses are the words of the other languages",
	"mail/spf → mail/address":             "addresses are the words of the other languages",
	"mail/words → mail/content":           "words are those that an eye sees in a letter",
	"mail/words → mail/message":           "the shape of a letter is that of a message",
	"mail/batv → mail/address":            "addresses are the words of the other languages",
	"mail/report → mail/address":          "addresses are the words of the other languages",
	"mail/report → mail/message":          "reports come attached to letters, and are about letters",
	"mail/smtp → mail/address":            "addresses are the words of the other languages",
	"net/post → net/dns":                  "a web server is found before it is given something",
	"net/smtpc → net/dns":                 "a host is found before it is spoken to",
	"store/source → store/directory":      "it is where accounts are kept elsewhere",
	"store/source → store/list":           "servers are asked over the same connections, within the same bounds",
	"store/directory → store/db":          "the room of the SQL that others keep their rows in",
	"store/queue → store/db":              "the room of the SQL that others keep their rows in",
	"store/queue/queuetest → store/db":    "it writes the rows of a queue faster than commits do",
	"store/mailbox → store/fulltext":      "an account has an index of what is in its letters",
	"store/mailbox → store/db":            "the room of the SQL that others keep their rows in",
	"store/reputation → store/db":         "the room of the SQL that others keep their rows in",
	"store/brake → store/db":              "the room of the SQL that others keep their rows in",
	"flow/brake → flow/route":             "owner and postmaster are told of it",
	"flow/brake → flow/sign":              "what the server writes bears our signature",
	"flow/intake → flow/brake":            "what one account may send is known before its letter is ours",
	"store/greylist → store/db":           "the room of the SQL that others keep their rows in",
	"store/stspolicy → store/db":          "the room of the SQL that others keep their rows in",
	"store/policy → store/db":             "the room of the SQL that others keep their rows in",
	"store/report → store/db":             "the room of the SQL that others keep their rows in",
	"store/correspondent → store/db":      "the room of the SQL that others keep their rows in",
	"store/tlsreport → store/db":          "the room of the SQL that others keep their rows in",
	"store/behind → store/db":             "what is written behind goes into the tables of a room",
	"store/brake → store/behind":          "what is answered from memory is written later",
	"store/correspondent → store/behind":  "what is answered from memory is written later",
	"store/greylist → store/behind":       "what is answered from memory is written later",
	"store/report → store/behind":         "what is answered from memory is written later",
	"store/reputation → store/behind":     "what is answered from memory is written later",
	"store/tlsreport → store/behind":      "what is answered from memory is written later",
	"store/namespace → store/mailbox":     "a namespace is mailboxes under the names that one user has for them",
	"store/urlauth → store/namespace":     "whose mailbox a URL names, and who may read it",
	"store/urlauth → store/mailbox":       "what a URL names is a letter in a mailbox",
	"store/mailbox → store/maildir":       "a mailbox is a Maildir with an index",
	"store/mailbox → store/digest":        "what a letter says is kept beside the index",
	"store/mailbox → store/quota":         "what is changed in mailboxes is counted at once",
	"store/quota → store/maildir":         "what counts is told by the names of a Maildir's files",
	"flow/advice → flow/intake":           "policy servers and milters are hooks of the desk",
	"flow/advice → flow/rule":             "what they want done is said in the words of a rule",
	"flow/filter/client → flow/filter":    "a check says what it found in the words of the verdict",
	"flow/filter/dnslist → flow/filter":   "a check says what it found in the words of the verdict",
	"flow/filter/words → flow/filter":     "a check says what it found in the words of the verdict",
	"flow/filter/letter → flow/filter":    "a check says what it found in the words of the verdict",
	"flow/filter/record → flow/filter":    "a check says what it found in the words of the verdict",
	"flow/filter/scanner → flow/filter":   "a check says what it found in the words of the verdict",
	"flow/intake → flow/greylist":         "suspicious strangers are asked to come again before a letter is ours",
	"flow/intake → flow/filter":           "who sent a stranger's letter is known before it is ours",
	"flow/intake → flow/quarantine":       "the postmaster hears of what was put there",
	"flow/intake → flow/filter/record":    "who offended before is refused at the desk, and who offends there is remembered",
	"flow/intake → flow/route":            "a recipient is refused in the session if it leads nowhere",
	"flow/intake → flow/rule":             "the admin's rules decide about mail on its way in",
	"flow/intake → flow/rewrite":          "who is meant is known before it is asked where he is",
	"flow/intake → flow/forward":          "bounces come back, and spam does not go on",
	"flow/deliver → flow/rewrite":         "addresses are replaced in mail that leaves",
	"flow/deliver → flow/forward":         "the reverse-path is made when a message leaves",
	"flow/intake → flow/sign":             "what insiders send bears our signature",
	"flow/bounce → flow/sign":             "what the server writes bears our signature",
	"flow/deliver → flow/sign":            "what is changed at departure is signed again",
	"flow/bounce → flow/route":            "a notice takes the same roads as any message",
	"flow/deliver → flow/route":           "the route of a recipient says who delivers it",
	"flow/deliver → flow/bounce":          "a failure and its notice commit together",
	"flow/report → flow/filter":           "what was found out about a letter is what reports tell",
	"flow/report → flow/route":            "a report takes the same roads as any message",
	"flow/report → flow/bounce":           "what the house writes has protocols of its own in the queue",
	"flow/deliver → flow/transport":       "the transport says how a recipient's mail leaves",
	"net/tlspolicy → net/dns":             "a domain's TLS policy stands in the DNS",
	"net/tlspolicy → net/smtpc":           "a policy says what TLS a connection has to have",
	"net/helper → net/program":            "a user's program is run by the one way that programs are run",
	"server/smtpd → server/listen":        "doors share the way they accept, count and drain",
	"server/policyd → server/listen":      "doors share the way they accept, count and drain",
	"server/pop3d → server/listen":        "doors share the way they accept, count and drain",
	"server/imapd → server/listen":        "doors share the way they accept, count and drain",
	"app → app/config":                    "the house is built from its settings",
	"app → app/sources":                   "the house is built from its settings",
	"app/control → app/sources":           "commands ask for accounts where the server does",
	"app/sources → app/config":            "the settings say where accounts are kept",
	"app → app/control":                   "the server answers the admin's commands",
	"app/control → app/config":            "the settings say where the stores are",
	"app/takeover → app/config":           "what is written is checked as settings are",
	"app/takeover/amavis → app/takeover":  "importers fill the same report and the same file",
	"app/takeover/dovecot → app/takeover": "importers fill the same report and the same file",
	"app/takeover/postfix → app/takeover": "importers fill the same report and the same file",
	"app/takeover/postfix → app/config":   "what Postfix has by default is set beside what we have",
	"app/moving → app/control":            "mail comes in by the counter, whether or not the server runs",
	"app/backup → app/config":             "the settings say where the data is, and which keys belong to it",
	"app/backup → app/control":            "the counter cuts the data at one moment, whether or not the server runs",
	"app/doctor → app/config":             "what is looked at is what the settings say that there is",
	"app/doctor → app/records":            "what is to be published is what is looked for",
	"app/doctor → app/control":            "the counter knows where an address leads, and tries the door",
	"app → app/doctor":                    "the server looks after itself once a day",
	"app/records → app/config":            "what is published is what the settings say that there is",
	"app/demo → app":                      "the demo is a house like any other",
	"app/demo → app/config":               "the demo is a house like any other",
	"app/demo → test/sim":                 "the demo's outside world is the one that tests use, in the same process",
	"app/demo → app/control":              "the demo makes its accounts as an admin would",

	"server/authd → server/listen":     "doors share the way they accept, count and drain",
	"store/userfile → store/directory": "users in files are accounts in the directory",
	"mail/password → mail/sasl":        "SCRAM keys and CRAM contexts are stored passwords, too",

	"flow/replay → flow/filter": "letters that came before are judged as those that come",
	"flow/replay → flow/learn":  "what the server wrote above a letter is told in one place",

	"flow/filter/correspondent → flow/filter": "a check looks at what a Case shows it",
}

func level(floor string) int { return slices.Index(floors, floor) }

func TestFloors(t *testing.T) {
	t.Parallel()
	rooms, _ := house(t)
	for _, r := range rooms {
		if r.floor() == "test" {
			continue // tests may look into every room
		}
		if level(r.floor()) < 0 {
			t.Errorf("%s is on no floor of the house", r.dir)
			continue
		}
		for file, f := range r.files {
			for _, path := range imports(f) {
				if used := own(path); used != "" {
					if problem := edgeProblem(r.name(), used); problem != "" {
						t.Errorf("%s: %s → %s %s", file, r.name(), used, problem)
					}
				}
			}
		}
	}
}

// edgeProblem says what is wrong with room importing used; "" if nothing is.
func edgeProblem(room, used string) string {
	from, _, _ := strings.Cut(room, "/")
	to, _, _ := strings.Cut(used, "/")
	switch {
	case edges[room+" → "+used] != "":
		return ""
	case to == "test":
		return "builds into the server what is only for tests"
	case level(to) > level(from):
		return "goes up: " + to + " is above " + from
	case to == from:
		return "stays on its floor, and is not on the list of those that may"
	}
	return ""
}

// The rule finds what it is there for.
func TestFloorsBite(t *testing.T) {
	t.Parallel()
	for edge, want := range map[string]string{
		"flow/intake → store/queue":    "",
		"cmd/facteur → base/event":     "",
		"server/smtpd → server/listen": "",
		"store/queue → flow/deliver":   "goes up: flow is above store",
		"base/event → mail/message":    "goes up: mail is above base",
		"mail/message → mail/imap":     "stays on its floor, and is not on the list of those that may",
		"server/smtpd → test/sim":      "builds into the server what is only for tests",
	} {
		from, to, _ := strings.Cut(edge, " → ")
		if got := edgeProblem(from, to); got != want {
			t.Errorf("%s: got %q, want %q", edge, got, want)
		}
	}
	for edge, reason := range edges {
		if from, to, ok := strings.Cut(edge, " → "); !ok || from == to || len(reason) < 15 {
			t.Errorf("%q is no edge with a reason", edge)
		}
	}
}

// TestMailIsOnlyLanguage: bytes in, values out; no clock, no disk, no socket.
func TestMailIsOnlyLanguage(t *testing.T) {
	t.Parallel()
	forbidden := []string{"os", "net", "net/http", "syscall", "golang.org/x/sys/unix", "os/exec", "io/ioutil", "log", "log/slog"}
	rooms, _ := house(t)
	for _, r := range rooms {
		if r.floor() != "mail" {
			continue
		}
		for file, f := range r.files {
			for _, path := range imports(f) {
				if slices.Contains(forbidden, path) {
					t.Errorf("%s imports %q", file, path)
				}
			}
			for _, call := range selectors(f, "time") {
				if slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local"}, call) {
					t.Errorf("%s uses time.%s: the caller has the clock", file, call)
				}
			}
		}
	}
}

// TestWhoMayUseWhat: some libraries belong to one floor.
func TestWhoMayUseWhat(t *testing.T) {
	t.Parallel()
	only := map[string][]string{
		"database/sql":                    {"store", "test"},
		"database/sql/driver":             {"store", "test"},
		"modernc.org/sqlite":              {"store", "test"},
		"github.com/pressly/goose/v3":     {"store"},
		"github.com/jackc/pgx/v5":         {"store", "test"},
		"github.com/jackc/pgx/v5/pgconn":  {"store", "test"},
		"github.com/go-ldap/ldap/v3":      {"store"},
		"os/exec":                         {"cmd", "net", "test"}, // net: program gives mail to what an admin names
		"github.com/spf13/cobra":          {"cmd"},
		"github.com/miekg/dns":            {"net", "app", "test"}, // app: the demo's small world has its own DNS
		"github.com/pelletier/go-toml/v2": {"base"},
		"testing":                         {"test"},
		"log":                             {"app"},                // what net/http complains of, turned into events
		"net/http":                        {"app", "net", "test"}, // net: introspect asks whose a token is; test: rspamd is spoken to by it
		"unsafe":                          {},
	}
	rooms, _ := house(t)
	for _, r := range rooms {
		for file, f := range r.files {
			for _, path := range imports(f) {
				if floors, ok := only[path]; ok && !slices.Contains(floors, r.floor()) {
					t.Errorf("%s imports %q, which belongs to %v", file, path, floors)
				}
			}
		}
	}
}
