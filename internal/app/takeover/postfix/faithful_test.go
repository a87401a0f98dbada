package postfix

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/internal/app/takeover"
)

// TestNothingIsWeaker: what protected mail, or said where it goes, does so in the import.
func TestNothingIsWeaker(t *testing.T) {
	t.Parallel()
	const submission = "submission inet n - y - - smtpd -o smtpd_tls_security_level=encrypt\n"
	const port25 = "smtp inet n - y - - smtpd\n"
	files := map[string]string{"postfix/one": "a@example.org alice\n", "postfix/two": "b@example.org bob\n", "postfix/aliases": "root: a, \"|/usr/bin/x y\",\n  b\nnobody knows\n", "postfix/vmailbox": "a@example.org example.org/a/\nb@example.org b\n", "postfix/whole": "a@example.org a/\n@example.org all/\n"}
	for name, test := range map[string]struct {
		main, master string
		want, not    []string
		line         string
		verdict      takeover.Verdict
	}{
		"TLS on all ports": {"smtpd_tls_security_level = encrypt\n", port25 + submission,
			[]string{"when = 'service == \"smtp\" && !tls.active'\nthen = \"reject 530 5.7.0"}, nil, "smtpd_tls_security_level = encrypt", takeover.Understood},
		"TLS by its old name":       {"smtpd_enforce_tls = yes\n", port25, []string{"!tls.active"}, nil, "smtpd_enforce_tls", takeover.Understood},
		"TLS on one port":           {"smtpd_tls_security_level = encrypt\n", port25 + "2525 inet n - y - - smtpd -o smtpd_tls_security_level=may\n", nil, []string{"tls.active"}, "smtpd_tls_security_level = encrypt", takeover.NotSupported},
		"TLS of users":              {"smtpd_tls_security_level = may\n", port25 + submission, nil, []string{"tls.active"}, "smtpd_tls_security_level = may", takeover.Understood},
		"TLS to others":             {"smtp_enforce_tls = yes\n", port25, []string{`tls_security_level = "verify"`}, nil, "smtp_enforce_tls", takeover.Understood},
		"DANE alone":                {"smtp_tls_security_level = dane-only\nsmtp_dns_support_level = dnssec\n", port25, []string{`tls_security_level = "dane-only"`, "trust_ad = true"}, nil, "smtp_tls_security_level", takeover.Understood},
		"log-in at port 25":         {"smtpd_sasl_auth_enable = yes\n", port25 + submission, []string{"address = \":25\"\nauth = true"}, nil, "", ""},
		"no log-in at port 25":      {"", port25 + strings.TrimSpace(submission) + " -o smtpd_sasl_auth_enable=yes\n", nil, []string{"auth = true"}, "", ""},
		"several tables of log-ins": {"smtpd_sender_login_maps = hash:$config_directory/one, hash:$config_directory/two\n", port25, []string{"/postfix/one\", ", "/postfix/two\""}, nil, "smtpd_sender_login_maps", takeover.Understood},
		"paths of mailboxes": {"virtual_mailbox_domains = example.org\nvirtual_mailbox_base = /var/mail/vhosts\nvirtual_mailbox_maps = hash:$config_directory/vmailbox\n", port25,
			[]string{`mailbox_base = "/var/mail/vhosts"`}, []string{"home ="}, "virtual_mailbox_maps", takeover.NotSupported},
		"a mailbox for all users of a domain": {"virtual_mailbox_domains = example.org\nvirtual_transport = lmtp:unix:private/lmtp\nvirtual_mailbox_maps = hash:$config_directory/whole\n", port25,
			nil, nil, "virtual_mailbox_maps", takeover.NotSupported},
		"mailboxes of another program": {"virtual_mailbox_domains = example.org\nvirtual_transport = lmtp:unix:private/lmtp\nvirtual_mailbox_maps = hash:$config_directory/vmailbox\n", port25,
			nil, []string{"mailbox_base"}, "virtual_mailbox_maps", takeover.Understood},
		"a program for all users":         {"mydestination = example.org\nmailbox_command = procmail -a \"$EXTENSION\"\n", port25, []string{`mailbox_command = 'procmail -a "$EXTENSION"'`}, nil, "mailbox_command", takeover.Understood},
		"macros of a delivery":            {"mydestination = example.org\nluser_relay = $user+$extension@x.example\n", port25, []string{`luser_relay = "$user+$extension@x.example"`}, nil, "luser_relay", takeover.Understood},
		"an aliases file with mistakes":   {"mydestination = example.org\nalias_maps = hash:$config_directory/aliases\n", port25, nil, nil, "nobody knows", takeover.NotSupported},
		"a program that nothing comes to": {"mydestination = example.org\nmailbox_command = procmail\nmailbox_transport = lmtp:unix:x\n", port25, nil, []string{"mailbox_command"}, "mailbox_command", takeover.NotNeeded},
		"relay domains and those below":   {"relay_domains = example.com, !deep.example.net, example.net, !example.edu, example.edu\n", port25, []string{"name = \"example.com\"\nclass = \"relay\"\nsubdomains = true\n", "name = \"example.net\"\nclass = \"relay\"\n\n"}, []string{"example.edu", "deep"}, "relay_domains", takeover.NotSupported},
		"relay domains alone":             {"parent_domain_matches_subdomains =\nrelay_domains = example.com\nrelay_transport = smtp:[192.0.2.1]\n", port25, nil, []string{"subdomains"}, "", ""},
		"the way of those below":          {"relay_domains = example.com\nrelay_transport = slow:[192.0.2.1]\n", port25 + "slow unix - - n - - smtp\n", []string{`recipient = ["example.com", ".example.com"]`}, nil, "", ""},
		"networks without a part":         {"mynetworks = !192.0.2.3, !198.51.100.0/24, 192.0.2.0/30, 198.51.100.7, 203.0.113.1\n", port25, []string{`trusted_networks = ["192.0.2.0/31", "192.0.2.2/32", "203.0.113.1/32"]`}, nil, "mynetworks", takeover.Understood},
		"no programs from aliases":        {"mydestination = example.org\nallow_mail_to_commands =\n", port25, []string{"allow_commands = []\n"}, []string{"allow_files"}, "allow_mail_to_commands", takeover.Understood},
		"no files from aliases":           {"mydestination = example.org\nallow_mail_to_files = $nothing\nnothing =\n", port25, []string{"allow_files = []\n"}, []string{"allow_commands"}, "allow_mail_to_files", takeover.Understood},
		"no classes of notices":           {"notify_classes =\n", port25, []string{"classes = []\n"}, nil, "notify_classes", takeover.Understood},
		"a certificate is demanded":       {"smtpd_tls_req_ccert = yes\n", port25, nil, nil, "smtpd_tls_req_ccert", takeover.NotSupported},
		"a certificate isn't demanded":    {"smtpd_tls_req_ccert = no\n", port25, nil, nil, "smtpd_tls_req_ccert", takeover.NotNeeded},
		"a certificate at one port":       {"", strings.TrimSpace(submission) + " -o smtpd_tls_req_ccert=yes\n", nil, nil, "-o smtpd_tls_req_ccert", takeover.NotSupported},
		"a certificate but at one port":   {"smtpd_tls_req_ccert = yes\n", strings.TrimSpace(submission) + " -o smtpd_tls_req_ccert=no\n", nil, nil, "-o smtpd_tls_req_ccert", takeover.NotNeeded},
		"a null client": {"inet_interfaces = loopback-only\n", "#smtp inet n - y - - smtpd\npickup unix n - y 60 1 pickup\n",
			[]string{"[[listen]]\nservice = \"local\""}, []string{"\"smtp\"", "\"submission"}, "inet_interfaces", takeover.Understood},
		"loopback alone":                  {"inet_interfaces = loopback-only\n", port25, []string{`"127.0.0.1:25"`, `"[::1]:25"`}, []string{`":25"`, "submission"}, "", ""},
		"loopback alone without services": {"inet_interfaces = loopback-only\n", "", []string{`"127.0.0.1:25"`, `"[::1]:587"`}, []string{`":25"`, `":587"`, `":465"`}, "", ""},
		"all ports are off":               {"master_service_disable = inet\n", port25 + submission, []string{"service = \"local\""}, []string{`":25"`, `":587"`}, "master_service_disable", takeover.Understood},
		"all ports but one are off":       {"master_service_disable = !submission/inet, inet\n", port25 + submission, []string{`":587"`}, []string{`":25"`}, "smtp inet", takeover.NotNeeded},
		"senders with owners": {"smtpd_sender_login_maps = hash:$config_directory/one, regexp:{{/@x/ bob}}\nsmtpd_sender_restrictions = reject_sender_login_mismatch\n", port25,
			[]string{`in_list("one", sender.address)`, `in_list("one", "@" + sender.domain)`, `in_list("regexp", sender.address)`}, []string{"trusted &&", "known(", `in_list("regexp", "@"`}, "smtpd_sender_restrictions", takeover.Understood},
		"senders with owners behind networks": {"smtpd_sender_login_maps = hash:$config_directory/one\nsmtpd_sender_restrictions = permit_mynetworks, reject_sender_login_mismatch\n", port25,
			[]string{`when = '!trusted && account == ""`}, nil, "", ""},
		"senders without owners": {"smtpd_sender_restrictions = reject_sender_login_mismatch\n", port25, nil, []string{"[[rule]]"}, "smtpd_sender_restrictions", takeover.Understood},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			took, got := of(t, test.main, test.master, files)
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("no\n%s\nin\n%s", want, got)
				}
			}
			for _, not := range test.not {
				if strings.Contains(got, not) {
					t.Errorf("%s is in\n%s", not, got)
				}
			}
			if test.line == "" {
				return
			}
			lines := slices.DeleteFunc(slices.Clone(took.Report.Lines), func(l takeover.Line) bool { return !strings.HasPrefix(l.Text, test.line) })
			if len(lines) == 0 || lines[len(lines)-1].Verdict != test.verdict {
				t.Errorf("%+v, want %s", lines, test.verdict)
			}
		})
	}
}

func TestOutside(t *testing.T) {
	t.Parallel()
	all := func(texts ...string) (out []netip.Prefix) {
		for _, text := range texts {
			out = append(out, netip.MustParsePrefix(text))
		}
		return out
	}
	for _, test := range []struct {
		p             string
		without, want []netip.Prefix
	}{
		{"192.0.2.0/24", nil, all("192.0.2.0/24")},
		{"192.0.2.0/24", all("192.0.2.0/24"), nil},
		{"192.0.2.0/24", all("0.0.0.0/0"), nil},
		{"192.0.2.0/24", all("2001:db8::/32", "198.51.100.0/24"), all("192.0.2.0/24")},
		{"192.0.2.0/30", all("192.0.2.0/32", "192.0.2.3/32"), all("192.0.2.1/32", "192.0.2.2/32")},
		{"2001:db8::/126", all("2001:db8::2/127"), all("2001:db8::/127")},
	} {
		if got := outside(netip.MustParsePrefix(test.p), test.without); !slices.Equal(got, test.want) {
			t.Errorf("%s without %v: %v, want %v", test.p, test.without, got, test.want)
		}
	}
}

// TestDomainsOfADatabase: the accounts' database is asked for domains where Postfix asked it.
func TestDomainsOfADatabase(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"SELECT domain FROM domain WHERE domain='%s' AND active='1'": `SELECT domain FROM domain WHERE domain=%d AND active='1'`,
		"SELECT domain FROM domain WHERE domain LIKE '%%%s'":         "",
		"SELECT 1 FROM domain WHERE user='%u'":                       "",
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"main.cf": "virtual_mailbox_domains = mysql:" + dir + "/domains.cf\n", "domains.cf": "hosts = localhost\nuser = p\npassword = secret\ndbname = mail\nquery = " + query + "\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, database := range []string{"mail", "other"} {
			took := takeover.New(dir, "")
			d := took.Settings.Append("directory")
			d.Set("kind", "sql", "")
			d.Set("source", "mysql://p@localhost/"+database, "")
			if err := Import(took, Options{Dir: dir, Hostname: "mail.example.org"}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Trim(d.Get("domain_query"), `"`); got != want && database == "mail" || got != "" && database == "other" {
				t.Errorf("%s in %s: %q, want %q", query, database, got, want)
			}
		}
	}
}
