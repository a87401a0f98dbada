package interop

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
)

// Facts: the two regular expressions of fail2ban 1.0.2's filter.d/dovecot.conf that
// concern a failed log-in, as Debian 12 ships them, with <HOST> made a group and the
// prefix of a syslog line before them. Python's and Go's meanings of them are the same.
const (
	fail2banPrefix = `^(?:\S+ +\d+ [\d:]+ \S+ )?(?:dovecot(?:-auth)?|auth)(?:\[\d+\])?: (?:(?:pop3|imap|managesieve|submission)-login: )?(?:Info: )?`
	fail2banFailed = fail2banPrefix + `(?:Aborted login|Disconnected|Remote closed connection|Client has quit the connection)(?:: (?:\w+\([^\):]*\) \w+|[^\(]+))* \((?:auth failed, \d+ attempts(?: in \d+ secs)?|tried to use (?:disabled|disallowed) \S+ auth|proxy dest auth failed)\):(?: user=<[^>]*>,)?(?: method=\S+,)? rip=(\S+?),(?:[^>]*(?:, session=<\S+>)?)\s*$`
	fail2banNone   = fail2banPrefix + `(?:Aborted login|Disconnected|Remote closed connection|Client has quit the connection)(?:: (?:\w+\([^\):]*\) \w+|[^\(]+))* \((?:no auth attempts|disconnected before auth was ready,|client didn't finish \S+ auth,)(?: (?:in|waited) \d+ secs)?\):(?: user=<[^>]*>,)?(?: method=\S+,)? rip=(\S+?),(?:[^>]*(?:, session=<\S+>)?)\s*$`
)

// TestFail2ban: the filter for Dovecot finds in our log who guesses passwords, over
// IMAP and POP3, and nobody else; and so it does in Dovecot's.
func TestFail2ban(t *testing.T) {
	t.Parallel()
	post := NewFacteur(t, Setup{Accounts: []string{alice}, Services: []string{"smtp", "imap", "pop3"}})
	post.Start()
	say := func(service string, lines ...string) {
		t.Helper()
		conn, err := net.Dial("tcp", post.Addr(service))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		for _, line := range append([]string{""}, lines...) {
			if line != "" {
				fmt.Fprintf(conn, "%s\r\n", line)
			}
			if _, err := r.ReadString('\n'); err != nil {
				t.Fatal(line, err)
			}
		}
	}
	say("imap", "a LOGIN mallory@example.org guess", "b LOGOUT")
	say("pop3", "USER "+alice, "PASS guess", "QUIT")
	say("pop3", "USER x> (auth failed, rip=192.0.2.66,", "PASS guess", "QUIT")
	say("imap", "a LOGIN "+alice+" "+Password, "b LOGOUT")
	say("pop3", "USER "+alice, "PASS "+Password, "QUIT")
	say("imap", "a LOGOUT")
	var failed, none int
	post.Stop() // it has told everything
	lines := post.Log()
	for _, line := range strings.Split(lines, "\n") {
		if found := regexp.MustCompile(fail2banFailed).FindStringSubmatch(line); found != nil {
			failed++
			if found[1] != "127.0.0.1" {
				t.Errorf("an innocent is blamed: %s", line)
			}
		}
		if regexp.MustCompile(fail2banNone).MatchString(line) {
			none++
		}
	}
	if failed != 3 || none < 1 {
		t.Errorf("%d failures and %d without an attempt in\n%s", failed, none, lines)
	}
}
