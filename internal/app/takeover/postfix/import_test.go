package postfix

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/internal/app/takeover"
)

// of imports a main.cf and a master.cf, with other files, and wants valid settings.
func of(t *testing.T, main, master string, files map[string]string) (*takeover.Takeover, string) {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{"postfix/main.cf": "myhostname = mail.example.org\nmynetworks = 127.0.0.0/8\nmydestination =\n" + main, "postfix/master.cf": master}
	for name, text := range files {
		all[name] = text
	}
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range all {
		write(name, text)
	}
	took := imported(t, dir)
	for _, s := range took.Secrets {
		write(filepath.Join("out", s.Name), string(s.Text))
	}
	if errs := took.Check(filepath.Join(dir, "out", "facteur.toml")); len(errs) > 0 {
		t.Errorf("%v\n%s", errs, took.Settings.Text())
	}
	return took, bare(took.Settings.Text())
}

// The postmaster of a virtual domain is the one of aliases(5), if there is one, and the
// first domain has none of its own.
func TestRoles(t *testing.T) {
	t.Parallel()
	const main = "myorigin = example.org\nmydestination = mail.example.org, localhost\nvirtual_mailbox_domains = example.org\n" +
		"virtual_mailbox_maps = hash:$config_directory/vmailbox\nalias_maps = hash:$config_directory/aliases\n"
	const want = `role_recipient = "postmaster@mail.example.org"`
	for name, c := range map[string]struct {
		main, aliases, vmailbox string
		want                    bool
	}{
		"an alias":          {main, "postmaster:root\nroot: alice@example.org\n", "alice@example.org alice/\n", true},
		"no alias":          {main, "root: alice@example.org\n", "alice@example.org alice/\n", false},
		"a mailbox":         {main, "postmaster: root\n", "postmaster@example.org p/\n", false},
		"a catch-all":       {main + "virtual_alias_maps = inline:{x=y}, hash:$config_directory/vmailbox\n", "postmaster: root\n", "@example.org a@example.net\n", false},
		"the home is local": {strings.Replace(main, "= mail.", "= example.org, mail.", 1), "postmaster: root\n", "", false},
	} {
		_, got := of(t, c.main, "", map[string]string{"postfix/aliases": c.aliases, "postfix/vmailbox": c.vmailbox})
		if strings.Contains(got, want) != c.want || !c.want && strings.Contains(got, "role_recipient") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

// A table with a bad line is used, and the report tells of the line.
func TestBadLine(t *testing.T) {
	t.Parallel()
	took, got := of(t, "virtual_alias_domains = example.org\nvirtual_alias_maps = hash:$config_directory/virtual\n", "",
		map[string]string{"postfix/virtual": "a@example.org x@example.net\nb@example.org caf\xe9\n"})
	if !strings.Contains(got, "/virtual\"]") {
		t.Errorf("the table is left out:\n%s", got)
	}
	if l := line(t, took, "b@example.org"); l.Line != 2 || l.Verdict != takeover.NotSupported || !strings.Contains(l.Why, "no text") {
		t.Errorf("%+v", l)
	}
}

// line is what the report says of the line with text in it.
func line(t *testing.T, took *takeover.Takeover, text string) takeover.Line {
	t.Helper()
	for _, l := range took.Report.Lines {
		if strings.Contains(l.Text, text) || strings.HasSuffix(l.File, text) {
			return l
		}
	}
	t.Errorf("no line %q in the report", text)
	return takeover.Line{}
}

// TestEveryRestriction: each word makes a rule that compiles, at a stage at which its
// facts are known, or says why not.
func TestEveryRestriction(t *testing.T) {
	t.Parallel()
	words := []string{"warn_if_reject reject_unknown_helo_hostname", "sleep 3", "check_policy_service {inet:127.0.0.1:10023, timeout=10s, default_action=DUNNO, policy_context=x}",
		"reject_rbl_client zen.spamhaus.org", "reject_unverified_sender", "defer_if_permit", "check_sender_mx_access hash:/x", "check_client_access cidr:{192.0.2.0/24=REJECT}"}
	for word := range restrictionWords {
		words = append(words, word)
	}
	for word := range olderWords {
		words = append(words, word)
	}
	for word := range tableWords {
		words = append(words, word+" hash:$config_directory/table")
	}
	slices.Sort(words)
	files := map[string]string{"postfix/table": "x.example REJECT\ny.example house\n"}
	for _, word := range words {
		main := "smtpd_restriction_classes = house\nhouse = permit_sasl_authenticated, reject\n"
		for _, list := range restrictionLists {
			main += list.name + " = permit_mynetworks, " + word + "\n"
		}
		took, _ := of(t, main, "", files)
		for _, list := range restrictionLists {
			if l := line(t, took, list.name); l.Verdict == takeover.Unknown || l.Verdict == "" {
				t.Errorf("%s %s: %+v", list.name, word, l)
			}
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	_, got := of(t, `smtpd_helo_restrictions = permit_mynetworks, warn_if_reject reject_unknown_hostname, reject_non_fqdn_hostname, permit, reject_invalid_hostname
smtpd_client_restrictions = check_recipient_access hash:$config_directory/to, permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
`, "", map[string]string{"postfix/to": "x@example.org REJECT\n"})
	for _, want := range []string{
		// The client's list asks about recipients: its rules wait until there is one.
		"name = \"check_recipient_access_to\"\nstage = \"rcpt\"\nwhen = 'in_list(\"to\", recipient)'\nthen = \"listed\"",
		"name = \"reject\"\nstage = \"rcpt\"\nwhen = 'account == \"\"'\nthen = \"reject 554 5.7.1 Access denied\"",
		"stage = \"helo\"\nwhen = \"!trusted && !resolves(helo)\"\nthen = \"warn reject_unknown_helo_hostname\"",
		"when = \"!trusted && !fqdn(helo)\"\nthen = \"reject 504",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no\n%s\nin\n%s", want, got)
		}
	}
	if strings.Contains(got, "valid_hostname") || strings.Count(got, "[[rule]]") != 4 {
		t.Errorf("what stands behind permit is never asked:\n%s", got)
	}
}

// TestOKEndsItsListOnly: what one list permits, the next one may refuse.
func TestOKEndsItsListOnly(t *testing.T) {
	t.Parallel()
	files := map[string]string{"postfix/senders": "good@x.example OK\nhouse@x.example house\n"}
	const list = "check_sender_access hash:$config_directory/senders"
	for name, test := range map[string]struct {
		main    string
		classes []string // of the rules in their order; "" for none
	}{
		"another list at its stage": {"smtpd_client_restrictions = " + list + "\nsmtpd_sender_restrictions = reject_unknown_sender_domain\n", []string{"", "smtpd_client_restrictions", ""}},
		"a rule above it":           {"smtpd_client_restrictions = sleep 1, warn_if_reject " + list + "\nsmtpd_sender_restrictions = reject\n", []string{"", "smtpd_client_restrictions", "smtpd_client_restrictions", ""}},
		"the last at its stage":     {"smtpd_client_restrictions = reject_unknown_client\nsmtpd_sender_restrictions = " + list + "\n", []string{"", ""}},
		"no other at its stage":     {"smtpd_sender_restrictions = " + list + "\nsmtpd_recipient_restrictions = reject_unknown_recipient_domain\n", []string{"", ""}},
		"nothing is refused there":  {"smtpd_recipient_restrictions = " + list + "\nsmtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n", []string{""}},
		"two of a recipient":        {"smtpd_relay_restrictions = permit_mynetworks, " + list + "\nsmtpd_recipient_restrictions = reject_unknown_recipient_domain\n", []string{"", "smtpd_relay_restrictions", ""}},
		"a class of restrictions":   {"smtpd_restriction_classes = house\nhouse = permit\nsmtpd_client_restrictions = house\nsmtpd_helo_restrictions = " + list + "\nsmtpd_sender_restrictions = reject\n", []string{"house", "", "", "smtpd_helo_restrictions", ""}},
		"header checks":             {"smtpd_end_of_data_restrictions = " + list + "\nheader_checks = regexp:{{/^Subject: x/ REJECT}}\n", []string{"", "smtpd_end_of_data_restrictions"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got := of(t, test.main, "", files)
			var classes []string
			for _, rule := range strings.Split(got, "[[rule]]\n")[1:] {
				_, class, _ := strings.Cut(rule, "class = \"")
				class, _, _ = strings.Cut(class, "\"")
				classes = append(classes, class)
				if class != "" && class != "house" && strings.Count(got, "then = \"ask "+class+"\"") != 1 {
					t.Errorf("the class %s is not asked once", class)
				}
			}
			if !slices.Equal(classes, test.classes) {
				t.Errorf("%q, want %q\n%s", classes, test.classes, got)
			}
		})
	}
}

// TestClassWithoutRules: a class permits what its words permit, and nothing more.
func TestClassWithoutRules(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"permit": "then = \"accept\"",
		"permit_mynetworks, permit_sasl_authenticated": "when = 'trusted || account != \"\"'\nthen = \"accept\"",
		"reject_rbl_client zen.spamhaus.org":           "then = \"continue\"",
		"permit_mynetworks, reject_unauth_destination": "when = \"trusted\"\nthen = \"accept\"",
		"check_policy_service inet:127.0.0.1:10023":    "then = \"continue\"",
	} {
		_, got := of(t, "smtpd_restriction_classes = house\nhouse = "+words+"\nsmtpd_recipient_restrictions = house, reject_unknown_recipient_domain\n", "", nil)
		if !strings.Contains(got, "\nstage = \"connect\"\n"+want+"\nclass = \"house\"") {
			t.Errorf("%s: no %s in\n%s", words, want, got)
		}
	}
}

// TestPolicyBehindPermits: a policy server is asked about what nothing before it permits.
func TestPolicyBehindPermits(t *testing.T) {
	t.Parallel()
	const server = "check_policy_service inet:127.0.0.1:10023"
	for main, want := range map[string]string{
		"smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, " + server: "when = '!trusted && account == \"\"'",
		"smtpd_client_restrictions = permit_mynetworks, " + server:                                                          "when = \"!trusted\"",
		"smtpd_delay_reject = no\nsmtpd_helo_restrictions = permit_mynetworks, " + server:                                   "stages = [\"helo\"]\nwhen = \"!trusted\"",
		"smtpd_data_restrictions = " + server:                                                                               "stages = [\"data\"]",
		"smtpd_restriction_classes = grey\ngrey = permit_mynetworks, " + server + "\nsmtpd_recipient_restrictions = grey":   "when = \"!trusted\"",
		"smtpd_client_restrictions = permit_auth_destination, " + server:                                                    "when = \"!hosted(recipient.domain)\"",
		"smtpd_recipient_restrictions = " + server + ", permit_mynetworks":                                                  "",
	} {
		_, got := of(t, main+"\n", "", nil)
		_, policy, found := strings.Cut(got, "[[policy]]\naddress = \"inet:127.0.0.1:10023\"\n")
		if !found || !strings.HasPrefix(policy, want) || want == "" && strings.HasPrefix(policy, "when") {
			t.Errorf("%s: no %s in\n%s", main, want, got)
		}
	}
}

func TestHeaderChecks(t *testing.T) {
	t.Parallel()
	took, got := of(t, "header_checks = regexp:$config_directory/headers\n", "", map[string]string{"postfix/headers": `/^Subject: .*hot "offer"/ REJECT no offers
/^X-Mailer:/ IGNORE
/^Received:/ IGNORE
/(one|two)/ DISCARD
/^From:.*(?=x)/ HOLD
if /^To:/
/^To: list@/i PREPEND X-List: yes
`})
	for _, want := range []string{
		`when = 'any(headers("Subject"), ("Subject: " + #) matches "(?i)^Subject: .*hot \"offer\"")'`, `then = "reject 550 5.7.1 no offers"`,
		`then = "remove header X-Mailer"`, `when = 'any(headers("To"), ("To: " + #) matches "^To: list@")'`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	for _, text := range []string{"/^Received:/", "/(one|two)/", "/^From:", "if /^To:/"} {
		if l := line(t, took, text); l.Verdict != takeover.NotSupported || l.Why == "" {
			t.Errorf("%+v", l)
		}
	}
}

// TestTablesOfWays (rows 127, 129): tables of any kind choose the way, and what they may
// name is declared; passwords and TLS policies stand in files of lines only.
func TestTablesOfWays(t *testing.T) {
	t.Parallel()
	took, got := of(t, "transport_maps = regexp:$config_directory/patterns, proxy:sqlite:$config_directory/ways.cf\nsender_dependent_default_transport_maps = static:slow:\n"+
		"sender_dependent_relayhost_maps = sqlite:$config_directory/ways.cf\nsmtp_tls_policy_maps = regexp:$config_directory/tls\n"+
		"smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = sqlite:$config_directory/ways.cf, regexp:$config_directory/tls\n",
		"slow unix - - n - - smtp\nmaildrop unix - n n - - pipe flags=DRhu user=vmail argv=/usr/bin/maildrop -d ${recipient}\nuucp unix - n n - - pipe user=uucp argv=uux\n",
		map[string]string{"postfix/patterns": "/@x\\.example$/ slow:\n", "postfix/tls": "/./ encrypt\n", "postfix/ways.cf": "dbpath = /var/lib/ways.db\nquery = SELECT dest FROM way WHERE who = '%s'\n"})
	for _, want := range []string{"transport_maps = [\"regexp:/", "\", \"sqlite:/", "sender_transport_maps = [\"static:slow:\"]", "sender_relay_maps = [\"sqlite:/", "name = \"slow\"", "name = \"maildrop\"\nkind = \"pipe\""} {
		if !strings.Contains(got, want) {
			t.Errorf("no\n%s\nin\n%s", want, got)
		}
	}
	for _, never := range []string{"password_maps", "tls_policy_maps", "uux"} {
		if strings.Contains(got, never) {
			t.Errorf("%s in\n%s", never, got)
		}
	}
	for text, want := range map[string]takeover.Verdict{
		"transport_maps = regexp": takeover.Understood, "sender_dependent_default_transport_maps": takeover.Understood, "sender_dependent_relayhost_maps": takeover.Understood,
		"smtp_tls_policy_maps": takeover.NotSupported, "smtp_sasl_password_maps": takeover.NotSupported, "uucp unix": takeover.NotSupported,
	} {
		if l := line(t, took, text); l.Verdict != want {
			t.Errorf("%s: %+v, want %s", text, l, want)
		}
	}
}

// TestMaster (rows 261, 262, 263): the table of services, what single ones override, their
// chroots, and the processes that are none here.
func TestMaster(t *testing.T) {
	t.Parallel()
	took, got := of(t, "inet_interfaces = loopback-only\ncontent_filter = smtp-amavis:[127.0.0.1]:10024\ntransport_maps = inline:{x.example=maildrop:}, hash:$config_directory/transport\n"+
		"virtual_transport = lmtp:unix:private/dovecot-lmtp\nslow_destination_rate_delay = 2s\nsmtp_destination_concurrency_limit = 0\n", `
smtp      inet  n       -       y       -       1       postscreen
smtpd     pass  -       -       y       -       -       smtpd
submission inet n       -       y       -       -       smtpd
  -o { smtpd_recipient_restrictions = permit_sasl_authenticated, reject }
  -o smtpd_upstream_proxy_protocol=haproxy
192.0.2.1:2525 inet n   -       y       -       -       smtpd
  -o smtpd_foo=bar
127.0.0.1:10025 inet n  -       n       -       -       smtpd -o content_filter=
smtp-amavis unix -      -       n       -       2       smtp
slow      unix  -       -       n       -       5       smtp -o smtp_bind_address=192.0.2.9 -o smtp_helo_name=slow.example.org -o syslog_name=postfix/slow
smtp      unix  -       -       n       -       -       smtp
qmgr      unix  n       -       n       300     1       qmgr
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail:vmail argv=/usr/bin/maildrop -d ${recipient} $sender
uucp      unix  -       n       n       -       -       pipe flags=F user=uucp argv=uux
greylist  unix  -       n       n       -       0       spawn user=nobody argv=/usr/bin/greylist
`, map[string]string{"postfix/transport": "y.example slow:\nz.example maildrop:\n"})
	for _, want := range []string{
		"service = \"smtp\"\naddress = \"127.0.0.1:25\"", "service = \"smtp\"\naddress = \"[::1]:25\"", "service = \"submission\"\naddress = \"127.0.0.1:587\"\nproxy_protocol = true",
		"address = \"192.0.2.1:2525\"", "name = \"slow\"\ndestination_rate_delay = \"2s\"\nprocess_limit = 5\nbind_address = [\"192.0.2.9\"]\nhelo = \"slow.example.org\"\nlog_name = \"postfix-slow\"",
		"name = \"maildrop\"\nkind = \"pipe\"\nflags = \"DRhu\"\nuser = \"vmail\"\ncommand = [\"/usr/bin/maildrop\", \"-d\", \"${recipient}\", \"${sender}\"]",
		"name = \"smtp\"\ndestination_concurrency_limit = 10000",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no\n%s\nin\n%s", want, got)
		}
	}
	for text, want := range map[string]takeover.Verdict{
		"qmgr unix": takeover.NotNeeded, "127.0.0.1:10025 inet": takeover.NotNeeded, "uucp unix": takeover.NotNeeded, "greylist unix": takeover.NotSupported,
		"-o smtpd_foo=bar": takeover.Unknown, "-o smtpd_recipient_restrictions": takeover.Understood, "content_filter = ": takeover.Waits, "virtual_transport": takeover.Replaced,
		"smtpd pass": takeover.Understood,
	} {
		if l := line(t, took, text); l.Verdict != want {
			t.Errorf("%s: %+v, want %s", text, l, want)
		}
	}
	if l := line(t, took, "192.0.2.1:2525 inet"); !strings.Contains(l.Why, "chroot") {
		t.Errorf("%+v", l)
	}
	if strings.Contains(got, "10025") || strings.Contains(got, "uux") {
		t.Error(got)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	took, _ := of(t, "relayhost = one\nrelayhost = [two.example]\nrelayhots = x\nno sign\nmy_nets = 192.0.2.0/24\nsmtpd_authorized_xforward_hosts = $my_nets\nmail_acl = x\nalias_maps = hash:/nonexistent/aliases\n"+
		"slow_destination_rate_delay = 1s\nx_bind_pw = secret\nsmtp_tls_wrappermode = yes\n", "", nil)
	for text, want := range map[string]struct {
		verdict takeover.Verdict
		why     string
		line    int
	}{
		"relayhost = one":      {takeover.NotNeeded, "line 5 says it again", 4},
		"relayhost = [two":     {takeover.Understood, "", 5},
		"relayhots":            {takeover.Unknown, "did you mean relayhost", 6},
		"no sign":              {takeover.Unknown, `"=" is missing`, 7},
		"my_nets":              {takeover.Understood, "other values refer to it", 8},
		"mail_acl":             {takeover.Unknown, "no such parameter", 10},
		"alias_maps":           {takeover.NotSupported, "can't be read", 11},
		"slow_destination":     {takeover.NotNeeded, "no service slow", 12},
		"x_bind_pw = …":        {takeover.Unknown, "", 13},
		"smtp_tls_wrappermode": {takeover.NotNeeded, "", 14},
	} {
		if l := line(t, took, text); l.Verdict != want.verdict || !strings.Contains(l.Why, want.why) || l.Line != want.line {
			t.Errorf("%+v, want %+v", l, want)
		}
	}
}

// TestEveryParameter: each parameter that Postfix has gets a verdict with a reason, whatever
// it is set to.
func TestEveryParameter(t *testing.T) {
	t.Parallel()
	var main strings.Builder
	skip := []string{"config_directory", "myhostname", "mydestination", "mynetworks", "mydomain"}
	for name := range Defaults() {
		if !slices.Contains(skip, name) {
			main.WriteString(name + " = 77\n")
		}
	}
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "postfix"), 0o755)
	os.WriteFile(filepath.Join(dir, "postfix", "main.cf"), []byte(main.String()), 0o600)
	for _, l := range imported(t, dir).Report.Lines {
		if l.Verdict == "" || l.Verdict == takeover.Unknown || l.Verdict == takeover.NotSupported && l.Why == "" {
			t.Errorf("%+v", l)
		}
	}
}

// TestPostsrsd, row 207: what postsrsd rewrote before the change finds back after it.
func TestPostsrsd(t *testing.T) {
	t.Parallel()
	const main = "mydestination = example.org\nsender_canonical_maps = tcp:localhost:10001\nsender_canonical_classes = envelope_sender\nrecipient_canonical_maps = tcp:localhost:10002\nrecipient_canonical_classes = envelope_recipient,header_recipient\n"
	for _, c := range []struct {
		name, set, want string
		secret          bool
	}{
		{"Debian's", "SRS_DOMAIN=srs.example.org\nSRS_SECRET=\nSRS_HASHLENGTH=4\n", "srs_hash_length = 4", true},
		{"a longer hash", "SRS_DOMAIN=srs.example.org\nSRS_HASHLENGTH=6\nSRS_HASHMIN=6\n", "srs_hash_length = 6", true},
		{"a shorter hash", "SRS_DOMAIN=srs.example.org\nSRS_HASHLENGTH=2\n", "", true},
		{"a secret that is missing", "SRS_DOMAIN=srs.example.org\nSRS_SECRET=/nowhere/at/all\n", "", false},
	} {
		took, got := of(t, main, "", map[string]string{"default/postsrsd": c.set, "postsrsd.secret": "old secret\n"})
		if !strings.Contains(got, c.want) || c.want == "" && strings.Contains(got, "srs_hash_length") || !strings.Contains(got, "name = \"srs.example.org\"") {
			t.Errorf("%s:\n%s", c.name, got)
		}
		copied := slices.ContainsFunc(took.Secrets, func(s takeover.Secret) bool { return s.Name == "srs_secret" && string(s.Text) == "old secret\n" })
		if copied != c.secret || copied != strings.Contains(got, "srs_secret\"]") {
			t.Errorf("%s: the secret is copied: %v\n%s", c.name, copied, got)
		}
		if !c.secret {
			line(t, took, "/nowhere/at/all")
		}
	}
}

// TestMailboxCommand: row 238. What a shell is to read is not read before.
func TestMailboxCommand(t *testing.T) {
	t.Parallel()
	const command = `mailbox_command = /usr/bin/procmail -a "$EXTENSION" DEFAULT=$HOME/Maildir/`
	took, text := of(t, "mydestination = example.org\ncommand_time_limit = 60\n"+command+"\n", "", nil)
	if l := line(t, took, "mailbox_command"); l.Verdict != takeover.Understood {
		t.Errorf("%+v", l)
	}
	for _, want := range []string{`mailbox_command = '/usr/bin/procmail -a "$EXTENSION" DEFAULT=$HOME/Maildir/'`, `command_time_limit = "60s"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if took, text := of(t, "mydestination = example.org\nmailbox_transport = lmtp:unix:private/x\n"+command+"\n", "", nil); strings.Contains(text, "procmail") || line(t, took, "mailbox_command").Verdict != takeover.NotNeeded {
		t.Error(text)
	}
}

// A saslauthd that drops the domains of names would let the Unix user info into info@ of
// each domain: it is asked about mailboxes of tables only where it keeps them (-r).
func TestSaslauthdForTables(t *testing.T) {
	t.Parallel()
	const main = "mydestination = mail.example.org\nvirtual_mailbox_domains = a.example, b.example\nvirtual_mailbox_maps = hash:$config_directory/vmailbox\nsmtpd_sasl_auth_enable = yes\n"
	for options, want := range map[string]struct {
		dir   string
		whole bool
	}{
		"":                    {"/run/saslauthd", false},
		"-c -m /run/other":    {"/run/other", false},
		"-c -m /run/other -r": {"/run/other", true},
		"-crm/run/other":      {"/run/other", true},
		"-m -r":               {"-r", false},
		"-n 5 -O -r":          {"/run/saslauthd", false},
	} {
		took, got := of(t, main, "", map[string]string{"postfix/vmailbox": "info@a.example a/info/\ninfo@b.example b/info/\n",
			"postfix/sasl/smtpd.conf": "pwcheck_method: saslauthd\n", "default/saslauthd": "OPTIONS=\"" + options + "\"\n"})
		users, tables, _ := strings.Cut(got, `kind = "maps"`)
		setting := `password = "saslauthd:` + want.dir + `/mux"`
		if !strings.Contains(users, setting) || strings.Contains(tables, setting) != want.whole {
			t.Errorf("%q:\n%s", options, got)
		}
		l := line(t, took, "virtual_mailbox_maps = hash:$config_directory/vmailbox")
		if (l.Verdict == takeover.NotSupported && strings.Contains(l.Why, "add -r")) == want.whole {
			t.Errorf("%q: %+v", options, l)
		}
	}
}
