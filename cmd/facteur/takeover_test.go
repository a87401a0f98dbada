package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportBoth: a Postfix and the Dovecot beside it make one file, in which nobody asks a
// Dovecot that will not run.
func TestImportBoth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"postfix/main.cf": "myhostname = mail.example.org\nmydestination = example.net\nmynetworks = 127.0.0.0/8\nvirtual_mailbox_domains = example.org\nvirtual_mailbox_base = /var/vmail\n" +
			"virtual_mailbox_maps = inline:{a@example.org=a/}\nsmtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\nalias_maps =\n",
		"postfix/master.cf": "smtp inet n - y - - smtpd\n",
		"dovecot/dovecot.conf": "protocols = imap\nmail_location = maildir:/var/vmail/%n\npassdb {\n  driver = passwd-file\n  args = " + dir + "/users\n}\nuserdb {\n  driver = passwd-file\n  args = " + dir + "/users\n}\n" +
			"passdb {\n  driver = pam\n}\nuserdb {\n  driver = passwd\n}\n",
		"users": "a@example.org:{PLAIN}x::::::\n",
	} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "facteur.toml")
	good(t, "", "import", "postfix", filepath.Join(dir, "postfix"), "--dovecot", filepath.Join(dir, "dovecot"), "-o", out)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	at := -1
	for _, want := range []string{`kind = "passwd-file"`, `maildir = "/var/vmail/%n"`, `kind = "unix"`, `domains = ["example.net"]`, `kind = "maps"`, `mailbox_base = "/var/vmail"`} {
		next := strings.Index(got, want)
		if next < at || next < 0 {
			t.Errorf("%s: not there, or not in its place", want)
		}
		at = next
	}
	if strings.Contains(got, "dovecot:") || strings.Count(got, `kind = "unix"`) != 1 || !strings.Contains(got, `service = "imaps"`) || !strings.Contains(got, "auth = true") {
		t.Error(got)
	}
}
