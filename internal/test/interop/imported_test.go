package interop

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The same questions to Debian's Postfix and to facteur with what "facteur import
// postfix" made of that very directory: who may write to whom, with which code, and where
// the letter goes. What differs on purpose stands in the tables below, with the reason.

// whom is who asks: the client's address and log-in, told by XCLIENT.
type whom struct{ address, login string }

var (
	stranger = whom{"203.0.113.9", ""}
	trusted  = whom{"192.0.2.5", ""}
	loggedIn = whom{"203.0.113.9", "alice@example.org"}
)

func (w whom) String() string {
	switch w {
	case stranger:
		return "stranger"
	case trusted:
		return "trusted"
	}
	return "logged in"
}

// question is one recipient.
type question struct {
	rcpt string
	from string // empty: writer@elsewhere.example; "<>": no sender
	why  string // why facteur answers otherwise; empty: it does not
	ours string // what facteur answers to stranger, trusted and who is logged in, "550 250 250"
}

// imported is a Postfix, and a facteur made of its configuration.
type imported struct {
	name  string
	main  map[string]string
	files map[string]string // below the directory of main.cf; hash: tables are compiled
	login bool              // somebody has logged in, too; a Dovecot is asked whether
	asks  []question
	goes  []journey
}

// writer sends journeys.
const writer = "writer@elsewhere.example"

// journey is where a letter of a trusted client goes.
type journey struct {
	rcpt string
	to   []string // the recipients at the relay, with " < " the sender if it is another
	why  string
	ours []string
}

// both are the two servers of an imported.
type both struct {
	postfix *Postfix
	facteur *Facteur
}

// neutral are settings without which a test would wait.
var neutral = map[string]string{
	"mynetworks": "192.0.2.0/24", "smtpd_authorized_xclient_hosts": "127.0.0.0/8", "smtpd_client_event_limit_exceptions": "127.0.0.0/8 192.0.2.0/24 203.0.113.0/24",
	"smtpd_error_sleep_time": "0s", "smtpd_soft_error_limit": "1000", "smtpd_hard_error_limit": "1000", "postscreen_greet_wait": "0s",
	"smtpd_client_message_rate_limit": "0", "myhostname": "mail.example.org", "maximal_queue_lifetime": "1h",
	"smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
}

// start starts Postfix, imports its directory and starts facteur.
func (m imported) start(t *testing.T, relay string) both {
	t.Helper()
	main := maps.Clone(neutral)
	maps.Copy(main, m.main)
	if relay != "" {
		host, port, _ := strings.Cut(relay, ":")
		main["relayhost"] = "[" + host + "]:" + port
	}
	p := NewPostfix(t, PostfixSetup{Main: main})
	for name, text := range m.files {
		path := WriteFile(t, filepath.Join(p.Config(), name), strings.ReplaceAll(text, "RELAYHOP", main["relayhost"]))
		os.Chmod(path, 0o644)
		if strings.HasSuffix(name, "aliases") {
			Run(t, "", Need(t, "postalias"), "-c", p.Config(), "hash:"+path)
		} else if !strings.Contains(name, "regexp") {
			Run(t, "", Need(t, "postmap"), "-c", p.Config(), "hash:"+path)
		}
	}
	p.Start()
	f := m.takeOver(t, p)
	f.Start()
	return both{p, f}
}

// takeOver is a facteur with the import of Postfix's directory. Only what two servers on
// one machine can't share is changed: ports, the data directory, the socket of sendmail.
func (m imported) takeOver(t *testing.T, p *Postfix) *Facteur {
	t.Helper()
	f := &Facteur{t: t, bin: Binary(t), dir: Room(t), ports: map[string]int{"smtp": FreePort(t)}}
	report := Run(t, "", f.bin, "import", "postfix", p.Config(), "-o", f.Config())
	for _, bad := range []string{"  unknown  "} {
		if strings.Contains(report, bad) {
			t.Errorf("%s: the import does not know a line:\n%s", m.name, report)
		}
	}
	f.Edit(fmt.Sprintf("address = %q", p.Addr()), fmt.Sprintf("address = %q", f.Addr("smtp")))
	f.Edit(`"unix:/run/facteur/sendmail.sock"`, fmt.Sprintf("%q", "unix:"+f.Socket()))
	f.Edit("\nhostname = ", fmt.Sprintf("\ndata_dir = %q\nhostname = ", f.Data()))
	t.Cleanup(f.Kill)
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(f.Config())
			t.Logf("imported:\n%s\n%s", text, report)
		}
	})
	return f
}

// ask gives the code of RCPT for each question.
func ask(t *testing.T, addr string, who whom, asks []question) (codes []string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, StartWait)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(LongWait))
	r := bufio.NewReader(conn)
	answer := func() string {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%s as %v: %v", addr, who, err)
			}
			if len(line) < 4 || line[3] != '-' {
				return strings.TrimSpace(line)
			}
		}
	}
	say := func(format string, args ...any) string {
		fmt.Fprintf(conn, format+"\r\n", args...)
		return answer()
	}
	answer()
	say("EHLO client.elsewhere.example")
	xclient := "XCLIENT ADDR=" + who.address + " NAME=client.elsewhere.example"
	if who.login != "" {
		xclient += " LOGIN=" + who.login
	}
	if said := say("%s", xclient); !strings.HasPrefix(said, "220") {
		t.Fatalf("%s: XCLIENT: %s", addr, said)
	}
	say("EHLO client.elsewhere.example")
	for _, q := range asks {
		from := q.from
		switch {
		case from == "<>":
			from = ""
		case from == "" && who.login != "":
			from = who.login
		case from == "":
			from = "writer@elsewhere.example"
		}
		if said := say("MAIL FROM:<%s>", from); !strings.HasPrefix(said, "250") {
			codes = append(codes, said[:3])
			continue
		}
		said := say("RCPT TO:<%s>", q.rcpt)
		codes = append(codes, said[:3])
		say("RSET")
	}
	say("QUIT")
	return codes
}

// compareCodes asks both servers everything.
func (m imported) compareCodes(t *testing.T, b both) {
	t.Helper()
	clients := []whom{stranger, trusted}
	if m.login {
		clients = append(clients, loggedIn)
	}
	for at, who := range clients {
		theirs, ours := ask(t, b.postfix.Addr(), who, m.asks), ask(t, b.facteur.Addr("smtp"), who, m.asks)
		for n, q := range m.asks {
			want := theirs[n]
			if q.why != "" {
				want = strings.Fields(q.ours)[at]
			}
			if ours[n] != want {
				t.Errorf("%s, %v from %q to %s: facteur says %s, Postfix %s, expected %s (%s)", m.name, who, q.from, q.rcpt, ours[n], theirs[n], want, q.why)
			}
		}
	}
}

// sent finds what a log says of deliveries that came to an end.
var sent = regexp.MustCompile(`(\w+): to=<([^>]*)>,.* status=(?:sent|bounced) `)

// from finds what a log says of who sends.
var from = regexp.MustCompile(`qmgr.* (\w+): from=<([^>]*)>`)

// compareWays sends a letter to each recipient and compares where both servers' go.
func (m imported) compareWays(t *testing.T, b both, relay *Postfix) {
	t.Helper()
	for _, j := range m.goes {
		theirs := m.way(t, b.postfix.Addr(), b.postfix.Log, relay, j, len(j.to))
		count := len(j.to)
		want := theirs
		if j.why != "" {
			count, want = len(j.ours), j.ours
		}
		ours := m.way(t, b.facteur.Addr("smtp"), b.facteur.Log, relay, j, count)
		if !slices.Equal(theirs, j.to) {
			t.Errorf("%s: Postfix takes %s to %q, the test says %q", m.name, j.rcpt, theirs, j.to)
		}
		if !slices.Equal(ours, want) {
			t.Errorf("%s: %s goes to %q, expected %q (%s)", m.name, j.rcpt, ours, want, j.why)
		}
	}
}

// way is where a letter ends: the recipients that the relay gets, or those that the
// server itself keeps.
func (m imported) way(t *testing.T, addr string, log func() string, relay *Postfix, j journey, count int) []string {
	t.Helper()
	before := len(relay.Log())
	send(t, addr, trusted, j.rcpt)
	var got []string
	WaitUntil(t, fmt.Sprintf("%d deliveries of %s by %s", count, j.rcpt, addr), func() bool {
		got = nil
		log, senders := relay.Log()[before:], make(map[string]string)
		for _, found := range from.FindAllStringSubmatch(log, -1) {
			senders[found[1]] = found[2]
		}
		for _, found := range sent.FindAllStringSubmatch(log, -1) {
			to := found[2]
			if sender := senders[found[1]]; sender != writer {
				to += " < " + sender
			}
			got = append(got, to)
		}
		return len(got) >= count
	})
	slices.Sort(got)
	return slices.Compact(got)
}

// send hands over one letter by XCLIENT.
func send(t *testing.T, addr string, who whom, rcpt string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, StartWait)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(LongWait))
	r := bufio.NewReader(conn)
	for _, line := range []string{"", "EHLO c.example", "XCLIENT ADDR=" + who.address, "EHLO c.example", "MAIL FROM:<" + writer + ">",
		"RCPT TO:<" + rcpt + ">", "DATA", "From: writer@elsewhere.example\r\nTo: " + rcpt + "\r\nSubject: x\r\n\r\nx\r\n.", "QUIT"} {
		if line != "" {
			fmt.Fprintf(conn, "%s\r\n", line)
		}
		for {
			said, err := r.ReadString('\n')
			if err != nil || said[0] > '3' {
				t.Fatalf("%s: %s: %s %v", addr, line, said, err)
			}
			if said[3] != '-' {
				break
			}
		}
	}
}

// percent is why addresses with a route in them are refused as any that nobody has.
const percent = "a user's name with % or @ in it is a name and no route, for anybody (REL-004): nobody has it"

// virtualDomains is a small server of virtual domains (rows 24, 25, 29, 35, 45, 46,
// 48, 49, 50 and 52: aliases, catch-all, extensions, what is unknown in each class).
var virtualDomains = imported{
	name: "virtual domains",
	main: map[string]string{
		"mydestination":            "localhost",
		"virtual_mailbox_domains":  "example.org",
		"virtual_mailbox_maps":     "hash:$config_directory/vmailbox",
		"virtual_alias_domains":    "alias.example catchall.example",
		"virtual_alias_maps":       "hash:$config_directory/virtual",
		"virtual_mailbox_base":     "/nonexistent",
		"virtual_uid_maps":         "static:8",
		"virtual_gid_maps":         "static:8",
		"recipient_delimiter":      "+",
		"relocated_maps":           "hash:$config_directory/relocated",
		"recipient_canonical_maps": "hash:$config_directory/canonical",
		"smtpd_recipient_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, " +
			"reject_non_fqdn_sender, check_recipient_access hash:$config_directory/protected, check_sender_access hash:$config_directory/senders",
		// Both are asked when there is a sender; the OK of the one spares nobody the other.
		"smtpd_client_restrictions": "check_sender_access hash:$config_directory/friends, check_sender_access hash:$config_directory/strangers",
		"smtpd_sender_restrictions": "check_sender_access hash:$config_directory/refused",
		"smtpd_restriction_classes": "house",
		"house":                     "check_sender_access hash:$config_directory/house, reject",
	},
	files: map[string]string{
		"vmailbox":  "alice@example.org alice/\nbob@example.org bob/\n",
		"virtual":   "sales@example.org alice@example.org, bob@example.org\ninfo@alias.example info@elsewhere.example\n@catchall.example keeper@elsewhere.example\nonly@catchall.example one@elsewhere.example\nteam@example.org one@elsewhere.example two@elsewhere.example\n",
		"relocated": "gone@example.org gone@new.example\n",
		"canonical": "old@example.org alice@example.org\noutside@example.org there@elsewhere.example\n",
		"protected": "bob@example.org house\n",
		"senders":   "spam.example REJECT no\nlater.example DEFER later\n",
		"house":     "house.example OK\n",
		"friends":   "friend@shop.example OK\nboss@shop.example OK\n",
		"strangers": "shop.example 450 Not now\n",
		"refused":   "friend@shop.example 554 No\n",
	},
	asks: []question{
		{rcpt: "alice@example.org"}, {rcpt: "ALICE@Example.ORG"}, {rcpt: "alice+news@example.org"}, {rcpt: "nobody@example.org"}, {rcpt: "nobody+x@example.org"},
		{rcpt: "sales@example.org"}, {rcpt: "sales+x@example.org"}, {rcpt: "info@alias.example"}, {rcpt: "unknown@alias.example"},
		{rcpt: "anything@catchall.example"}, {rcpt: "only@catchall.example"}, {rcpt: "gone@example.org"}, {rcpt: "old@example.org"},
		{rcpt: "somebody@elsewhere.example"}, {rcpt: "alice@sub.example.org"}, {rcpt: "@example.net:alice@example.org"},
		{rcpt: "somebody%elsewhere.example@example.org", why: percent, ours: "550 550"},
		{rcpt: `"somebody@elsewhere.example"@example.org`, why: percent, ours: "550 550"},
		{rcpt: "bob@example.org"}, {rcpt: "bob@example.org", from: "x@house.example"},
		{rcpt: "alice@example.org", from: "x@spam.example"}, {rcpt: "alice@example.org", from: "x@later.example"}, {rcpt: "alice@example.org", from: "<>"},
		{rcpt: "alice@example.org", from: "x@y"},
		{rcpt: "alice@example.org", from: "friend@shop.example"}, {rcpt: "alice@example.org", from: "boss@shop.example"}, {rcpt: "alice@example.org", from: "x@shop.example"},
	},
	goes: []journey{
		{rcpt: "info@alias.example", to: []string{"info@elsewhere.example"}},
		{rcpt: "any+thing@catchall.example", to: []string{"keeper@elsewhere.example"}},
		{rcpt: "only@catchall.example", to: []string{"one@elsewhere.example"}},
		{rcpt: "team@example.org", to: []string{"one@elsewhere.example", "two@elsewhere.example"}},
		{rcpt: "outside@example.org", to: []string{"there@elsewhere.example"}},
		{rcpt: "somebody@elsewhere.example", to: []string{"somebody@elsewhere.example"}},
	},
}

// backupMX is a secondary mail host (row 57).
var backupMX = imported{
	name: "backup MX",
	main: map[string]string{
		"mydestination": "localhost", "relay_domains": "primary.example other.example",
		"relay_recipient_maps": "hash:$config_directory/relay_recipients",
		"transport_maps":       "hash:$config_directory/transport",
	},
	files: map[string]string{
		"relay_recipients": "alice@primary.example OK\n@other.example OK\n",
		"transport":        "primary.example relay:RELAYHOP\n",
	},
	asks: []question{
		{rcpt: "alice@primary.example"}, {rcpt: "bob@primary.example"}, {rcpt: "bob@other.example"}, {rcpt: "bob@elsewhere.example"},
		{rcpt: "alice@sub.primary.example"},
	},
	goes: []journey{{rcpt: "alice@primary.example", to: []string{"alice@primary.example"}}, {rcpt: "any@other.example", to: []string{"any@other.example"}}},
}

// unixUsers is a server with users of the machine and /etc/aliases (rows 39 and 47).
var unixUsers = imported{
	name: "Unix users",
	main: map[string]string{
		"mydestination": "$myhostname, example.org, localhost", "myorigin": "example.org",
		"alias_maps":           "hash:$config_directory/aliases",
		"local_recipient_maps": "$alias_maps",
		"home_mailbox":         "Maildir/",
		"recipient_delimiter":  "+",
	},
	files: map[string]string{
		"aliases": "postmaster: root\nroot: admin@elsewhere.example\nstaff: one@elsewhere.example,\n two@elsewhere.example\nnested: staff, three@elsewhere.example\nlist: one@elsewhere.example\nowner-list: boss@elsewhere.example\nlists: list, two@elsewhere.example\nowner-lists: boss@elsewhere.example\nnull: /dev/null\npair: one@elsewhere.example two@elsewhere.example\n",
	},
	asks: []question{
		{rcpt: "root@example.org"}, {rcpt: "postmaster@example.org"}, {rcpt: "postmaster"}, {rcpt: "staff+x@example.org"}, {rcpt: "nested@mail.example.org"},
		{rcpt: "null@localhost"}, {rcpt: "nosuchuser@example.org"}, {rcpt: "nosuchuser", why: "RFC 5321 §4.1.1.3 has no recipient without a domain but postmaster, for strangers", ours: "501 550"}, {rcpt: "staff@example.net"},
		{rcpt: "staff%elsewhere.example@example.org", why: percent, ours: "550 550"},
	},
	goes: []journey{
		{rcpt: "root@example.org", to: []string{"admin@elsewhere.example"}},
		{rcpt: "postmaster@example.org", to: []string{"admin@elsewhere.example"}},
		{rcpt: "nested@example.org", to: []string{"one@elsewhere.example", "three@elsewhere.example", "two@elsewhere.example"}},
		{rcpt: "pair@example.org", to: []string{"one@elsewhere.example", "two@elsewhere.example"}},
		{rcpt: "list@example.org", to: []string{"one@elsewhere.example < owner-list@example.org"}},
		{rcpt: "list+any@mail.example.org", to: []string{"one@elsewhere.example < owner-list@example.org"}},
		{rcpt: "owner-list@example.org", to: []string{"boss@elsewhere.example"}},
		{rcpt: "lists@example.org", to: []string{"one@elsewhere.example < owner-list@example.org", "two@elsewhere.example < owner-lists@example.org"}},
		{rcpt: "staff+any@mail.example.org", to: []string{"one@elsewhere.example", "two@elsewhere.example"}},
	},
}

// submission is a server whose users log in, and which logs in to its relay (rows 67
// and 79): the relay takes mail of nobody else.
func submission(t *testing.T) (imported, *Debian) {
	relay := NewDebian(t, Setup{Services: []string{"submission", "imap"}, Domains: []string{"relayed.example"}, Accounts: []string{"bob@relayed.example"}})
	relay.Start()
	return imported{
		name: "submission",
		main: map[string]string{
			"mydestination": "localhost", "virtual_mailbox_domains": "example.org", "virtual_mailbox_maps": "hash:$config_directory/vmailbox",
			"virtual_mailbox_base": "/nonexistent", "virtual_uid_maps": "static:8", "virtual_gid_maps": "static:8",
			"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": relay.dovecot.authSocket(),
			"relayhost":             "[127.0.0.1]:" + strconv.Itoa(relay.submission),
			"smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": "hash:$config_directory/sasl_passwd", "smtp_sasl_security_options": "noanonymous",
			"smtp_tls_security_level": "encrypt",
		},
		files: map[string]string{
			"vmailbox": "alice@example.org alice/\n", "sasl_passwd": fmt.Sprintf("[127.0.0.1]:%d bob@relayed.example:%s\n", relay.submission, Password),
		},
		login: true,
		asks: []question{
			{rcpt: "alice@example.org"}, {rcpt: "bob@relayed.example"}, {rcpt: "nobody@example.org"},
			{rcpt: "bob@relayed.example", from: "alice@example.org"}, {rcpt: "alice@example.org", from: "<>"},
			{rcpt: "bob@relayed.example", from: "boss@example.org", why: "who has logged in sends as who he is (smtpd_sender_login_maps and reject_sender_login_mismatch are always on)",
				ours: "554 250 553"},
		},
		goes: []journey{{rcpt: "bob@relayed.example", to: []string{"bob@relayed.example"}}},
	}, relay
}

// TestImportedPostfix: what Postfix decided, facteur decides with the import.
func TestImportedPostfix(t *testing.T) {
	t.Parallel()
	relay := NewPostfix(t, PostfixSetup{Main: map[string]string{
		"mynetworks": "127.0.0.0/8", "default_transport": "discard:", "relay_transport": "discard:", "relay_domains": "static:all",
	}})
	relay.Start()
	t.Run("submission", func(t *testing.T) {
		m, relay := submission(t)
		b := m.start(t, "")
		m.compareCodes(t, b)
		m.compareWays(t, b, relay.Postfix)
	})
	for _, m := range []imported{virtualDomains, backupMX, unixUsers} {
		t.Run(m.name, func(t *testing.T) {
			b := m.start(t, relay.Addr())
			m.compareCodes(t, b)
			if !t.Failed() || testing.Verbose() {
				m.compareWays(t, b, relay)
			}
		})
	}
}
