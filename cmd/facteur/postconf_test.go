package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asked runs a program of another name on settings.
func asked(t *testing.T, settings string, argv ...string) (out, err string, status int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "facteur.toml")
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	c := &command{in: strings.NewReader(""), out: &stdout, err: &stderr, settings: path}
	status = c.runAs(context.Background(), argv)
	return stdout.String(), stderr.String(), status
}

const postconfSettings = `hostname = "mail.example.org"
trusted_networks = ["192.0.2.0/24"]
[[domain]]
name = "example.org"
class = "local"
[[domain]]
name = "second.example"
class = "relay"
[queue]
maximal_queue_lifetime = "2d"
[outbound]
smarthost = ["smtp.isp.example:587"]
[addresses]
recipient_delimiter = "+-"
virtual_alias_maps = ["hash:/etc/postfix/virtual", "regexp:/etc/postfix/more"]
`

// TestPostconf (rows 258, 260, 262): the old names have the new values.
func TestPostconf(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"myhostname mydomain", "myhostname = mail.example.org\nmydomain = example.org\n"},
		{"-h mynetworks relayhost", "192.0.2.0/24\n[smtp.isp.example]:587\n"},
		{"mydestination relay_domains virtual_alias_domains", "mydestination = example.org\nrelay_domains = second.example\nvirtual_alias_domains =\n"},
		{"recipient_delimiter virtual_alias_maps", "recipient_delimiter = +-\nvirtual_alias_maps = hash:/etc/postfix/virtual, regexp:/etc/postfix/more\n"},
		{"maximal_queue_lifetime minimal_backoff_time soft_bounce", "maximal_queue_lifetime = 2d\nminimal_backoff_time = 5m\nsoft_bounce = no\n"},
		{"-d maximal_queue_lifetime myhostname", "maximal_queue_lifetime = 5d\nmyhostname =\n"},
		{"-n maximal_queue_lifetime minimal_backoff_time", "maximal_queue_lifetime = 2d\n"},
		{"-H maximal_queue_lifetime", "maximal_queue_lifetime\n"},
	} {
		out, said, status := asked(t, postconfSettings, append([]string{"/usr/sbin/postconf"}, strings.Fields(test.args)...)...)
		if out != test.want || said != "" || status != 0 {
			t.Errorf("postconf %s: %q %q %d, want %q", test.args, out, said, status, test.want)
		}
	}
	all, _, _ := asked(t, postconfSettings, "postconf")
	changed, _, _ := asked(t, postconfSettings, "postconf", "-n")
	if n, m := strings.Count(all, "\n"), strings.Count(changed, "\n"); n < 90 || m < 5 || m > 20 || !strings.Contains(changed, "\nrelayhost = ") {
		t.Errorf("%d parameters, %d changed:\n%s", n, m, changed)
	}
}

// TestPostconfChecks (row 258): "postconf >/dev/null" tells what is wrong, by line.
func TestPostconfChecks(t *testing.T) {
	_, said, status := asked(t, postconfSettings+"[outbund]\n", "postconf")
	if status != 1 || !strings.Contains(said, "postconf: fatal: ") || !strings.Contains(said, "outbund") {
		t.Errorf("%d %q", status, said)
	}
}

// TestPostconfChangesNothing: -e, -# and -X are refused with a word, and so is what there
// is no counterpart for.
func TestPostconfChangesNothing(t *testing.T) {
	for args, want := range map[string]string{
		"-e relayhost=x": "no program writes facteur.toml", "relayhost=x": "no program writes", "-# relayhost": "no program writes", "-X relayhost": "no program writes",
		"-M": "no master.cf", "-P": "no master.cf", "-m": "Postfix's own program", "-q": "usage: ",
	} {
		if out, said, status := asked(t, postconfSettings, append([]string{"postconf"}, strings.Fields(args)...)...); status != 1 || !strings.Contains(said, want) || out != "" {
			t.Errorf("postconf %s: %d %q %q", args, status, out, said)
		}
	}
	_, said, status := asked(t, postconfSettings, "postconf", "biff", "nonsense")
	if status != 0 || !strings.Contains(said, "biff: new mail is told over IMAP") || !strings.Contains(said, "nonsense: unknown parameter") {
		t.Errorf("%d %q", status, said)
	}
}
