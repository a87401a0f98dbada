package interop

import (
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/test/sim"
)

// handIn gives a server a letter from a sender for all recipients, in clear.
func handIn(t *testing.T, addr, subject, from string, to ...string) {
	t.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Mail(from)
	for _, r := range to {
		err = errors.Join(err, c.Rcpt(r))
	}
	if err != nil {
		t.Fatal(subject, err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(subject, err)
	}
	fmt.Fprintf(w, "Subject: %s\r\n\r\nx\r\n", subject)
	if err := w.Close(); err != nil {
		t.Fatal(subject, err)
	}
}

// Rows 63, 127 and 129: transports and relays by sender from a database and from patterns. A
// real Postfix and facteur with the import of its settings hand each recipient to the same
// relay; when the database can't tell, facteur keeps the mail (MAP-004).
func TestTransportsFromADatabase(t *testing.T) {
	t.Parallel()
	names := []string{"one", "two", "three"}
	relays := make(map[string]*sim.Sink)
	var addrs []any
	for _, name := range names {
		s, err := sim.StartPeer(sim.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		relays[name] = s
		addrs = append(addrs, fmt.Sprintf("[127.0.0.1]:%d", s.Addr().Port))
	}
	dir := Room(t)
	os.Chmod(dir, 0o755)
	db := filepath.Join(dir, "ways.db")
	makeSQLite(t, db, fmt.Sprintf(`CREATE TABLE way (who TEXT, dest TEXT);
INSERT INTO way VALUES ('user+sales@x.example', 'smtp:%[1]s'), ('user@x.example', 'smtp:%[2]s'), ('x.example', 'smtp:%[3]s'), ('.x.example', 'relay:%[1]s'),
  ('.deep.x.example', 'smtp:%[2]s'), ('sender.example', ':'), ('case.example', 'smtp:%[1]s'), ('*', 'smtp:%[3]s');
CREATE TABLE relay (who TEXT, dest TEXT);
INSERT INTO relay VALUES ('news@s.example', '%[1]s'), ('@s.example', '%[2]s');`, addrs...))
	os.Chmod(db, 0o644)
	query := func(name, table string) string {
		path := WriteFile(t, filepath.Join(dir, name), "dbpath = "+db+"\nquery = SELECT dest FROM "+table+" WHERE who = '%s'\n")
		os.Chmod(path, 0o644)
		return "sqlite:" + path
	}
	patterns := WriteFile(t, filepath.Join(dir, "patterns"), fmt.Sprintf("/^any.*@x\\.example$/ smtp:%s\n/^x\\.example$/ smtp:[192.0.2.1]\n", addrs[0]))
	os.Chmod(patterns, 0o644)
	p := NewPostfix(t, PostfixSetup{Main: map[string]string{"smtpd_relay_restrictions": "permit_mynetworks, reject", "relayhost": fmt.Sprint(addrs[2]),
		"recipient_delimiter": "+", "transport_maps": "regexp:" + patterns + ", " + "proxy:" + query("ways.cf", "way"), "sender_dependent_relayhost_maps": query("relays.cf", "relay")}})
	p.Start()
	f := imported{name: "transports"}.takeOver(t, p)
	f.Start()
	mail := map[string][]string{
		"boss@else.example": {"user+sales@x.example", "user+other@x.example", "user@x.example", "other@x.example", "anybody@x.example", "a@sub.x.example", "a@b.deep.x.example",
			"A@CASE.example", "a@far.example", "a@sender.example"},
		"news@s.example":   {"b@sender.example", "b@far.example"},
		"news+1@s.example": {"c@sender.example"},
		"me@s.example":     {"d@sender.example", "user@x.example"},
	}
	total := 0
	for from, to := range mail {
		handIn(t, p.Addr(), "postfix "+from, from, to...)
		handIn(t, f.Addr("smtp"), "facteur "+from, from, to...)
		total += len(to)
	}
	took := func(server string) map[string]string {
		out := make(map[string]string)
		for _, name := range names {
			for _, x := range relays[name].Taken() {
				_, rest, found := strings.Cut(string(x.Data), "Subject: "+server+" ")
				for _, r := range x.Recipients {
					if from, _, _ := strings.Cut(rest, "\r\n"); found {
						out[from+" → "+strings.ToLower(r)] += name
					}
				}
			}
		}
		return out
	}
	WaitUntil(t, "all mail has left", func() bool { return len(took("postfix")) == total && len(took("facteur")) == total })
	theirs, ours := took("postfix"), took("facteur")
	for who, to := range theirs {
		if ours[who] != to {
			t.Errorf("%s: relay %s of Postfix, %s of facteur", who, to, ours[who])
		}
	}
	shown := f.Command("", "queue", "route", "user+other@x.example")
	if !strings.Contains(shown, "ways.cf: user@x.example") || !strings.Contains(shown, addrOf(relays["two"])) {
		t.Errorf("queue route shows\n%s", shown)
	}
	makeSQLite(t, db, "DROP TABLE way")
	handIn(t, f.Addr("smtp"), "late", "late@else.example", "late@y.example")
	WaitUntil(t, "it is put off", func() bool {
		return strings.Contains(f.Log(), "to=<late@y.example>") && strings.Contains(f.Log(), "transport table lookup failure")
	})
	if strings.Contains(f.Log(), "status=bounced") {
		t.Errorf("mail is returned because the database can't tell:\n%s", f.Log())
	}
}

func addrOf(s *sim.Sink) string { return fmt.Sprint(s.Addr().Port) }
