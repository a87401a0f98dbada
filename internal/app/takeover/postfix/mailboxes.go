package postfix

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/app/takeover"
	"facteur/internal/mail/address"
	"facteur/internal/mail/srs"
)

// addresses are the tables that need more than their names.
func (i *importer) addresses() {
	const name = "local_recipient_maps"
	switch v := i.words(name); {
	case i.isSet(name) && len(v) == 0:
		i.note(name, takeover.Replaced, "addresses.luser_relay", "unknown users are refused, or go to luser_relay, where that is set")
	case i.isSet(name):
		var others []string
		for _, word := range v {
			known := slices.Contains(i.words("alias_maps"), word)
			if !known && !strings.HasSuffix(word, "unix:passwd.byname") && !strings.HasPrefix(word, "nis:") && isTable(word) {
				if t := i.use(name, unbrace(word)); t.trouble != "" {
					i.note(name, takeover.NotSupported, "addresses."+name, word+" is left out: "+t.trouble)
				} else {
					others = append(others, t.source)
				}
			}
		}
		if others != nil {
			i.set("addresses."+name, others, i.why(name))
		}
		i.note(name, takeover.Understood, "addresses."+name, "users of this machine and aliases are always asked")
	}
	const headers = "local_header_rewrite_clients"
	switch words := i.words(headers); {
	case !i.isSet(headers):
	case slices.Contains(words, "static:all"):
		i.set("rewrite.headers_of", "everybody", i.why(headers))
		i.took("rewrite.headers_of", headers)
	case len(words) == 0:
		i.set("rewrite.headers_of", "nobody", i.why(headers))
		i.took("rewrite.headers_of", headers)
	default:
		i.note(headers, takeover.Understood, "rewrite.headers_of", "our own users and trusted networks")
	}
}

// directories are the accounts that are not facteur's own: Unix users, and mailboxes of
// tables.
func (i *importer) directories() {
	password, whole := i.passwordChecker()
	if local := i.domainsOf("local"); local != nil {
		i.unixUsers(local, password)
	}
	if len(i.words("virtual_mailbox_maps")) > 0 {
		i.mailboxTables(password, whole)
	}
	i.mailboxCommand()
	for _, name := range []string{"mailbox_transport", "virtual_transport", "local_transport", "fallback_transport"} {
		if v := i.value(name); i.isSet(name) && v != "" {
			i.note(name, takeover.Replaced, "directory", v+": facteur has the mailboxes itself; \"facteur import dovecot\" says where the letters are")
		}
	}
	if !strings.HasSuffix(i.value("home_mailbox"), "/") && i.domainsOf("local") != nil && i.value("mailbox_transport") == "" {
		v := i.value("home_mailbox")
		if v == "" {
			v = i.value("mail_spool_directory")
		}
		why := "letters were in mbox files (" + v + "); they are kept in ~/Maildir now, and \"facteur import mbox\" brings the old ones"
		i.note("home_mailbox", takeover.Replaced, "directory.maildir", why)
		i.note("mail_spool_directory", takeover.Replaced, "directory.maildir", why)
	}
}

func (i *importer) unixUsers(domains []string, password string) {
	d := i.t.Settings.Find("directory", "kind", "unix") // of a Dovecot
	if d == nil {
		d = i.t.Settings.Append("directory")
		d.Set("name", i.unused("users"), "")
		d.Set("kind", "unix", "")
	}
	d.About("The users of this machine: their letters are in their homes.")
	d.Set("domains", domains, "")
	home := i.origin()
	if !slices.Contains(domains, home) {
		home = domains[0]
	}
	d.Set("default_domain", home, "")
	maildir := "~/Maildir"
	if v := i.value("home_mailbox"); strings.HasSuffix(v, "/") {
		maildir = "~/" + strings.TrimSuffix(v, "/")
	}
	if !d.Has("maildir") {
		d.Set("maildir", maildir, i.why("home_mailbox"))
	}
	d.Set("unix_users", true, "")
	if password != "" {
		d.Set("password", password, i.why("smtpd_sasl_type", "smtpd_sasl_path"))
	}
	i.took("directory.maildir", "home_mailbox")
}

// mailboxCommand is the program that gets the mail of all Unix users. What local(8) gives
// to another service does not come so far.
func (i *importer) mailboxCommand() {
	const name, maps = "mailbox_command", "mailbox_command_maps"
	if v := i.value(maps); v != "" {
		i.note(maps, takeover.NotSupported, "", "there is one program for all users (unix.mailbox_command); one of them can have another in ~/.forward")
	}
	v := i.value(name)
	local, _, _ := strings.Cut(i.value("local_transport"), ":")
	switch {
	case v == "":
	case i.value("mailbox_transport") != "" || local != "local":
		i.note(name, takeover.NotNeeded, "unix.mailbox_command", "mail for users did not come to it")
	case i.domainsOf("local") == nil:
		i.note(name, takeover.NotNeeded, "unix.mailbox_command", "no domain has Unix users")
	default:
		i.set("unix."+name, v, i.why(name))
		i.took("unix."+name, name)
	}
}

// mailboxTables are virtual_mailbox_maps. One who checks passwords by names without their
// domains is not asked: what opens info@ of one would open info@ of each.
func (i *importer) mailboxTables(password string, whole bool) {
	if i.dovecot && !i.deliversVirtual() {
		i.note("virtual_mailbox_maps", takeover.Replaced, "directory", "Dovecot had the mailboxes, and its accounts are known by its own directories")
		return
	}
	maps := i.maps("virtual_mailbox_maps")
	if maps == nil {
		return
	}
	for _, source := range maps {
		d := i.t.Settings.Append("directory")
		d.Set("name", i.unused("virtual"), "")
		d.Set("kind", "maps", i.why("virtual_mailbox_maps"))
		d.Set("source", source, "")
		if domains := i.domainsOf("mailbox"); domains != nil {
			d.Set("domains", domains, "")
		}
		if i.deliversVirtual() {
			d.Set("mailbox_base", filepath.Clean("/"+i.value("virtual_mailbox_base")), i.why("virtual_mailbox_base"))
			i.noMaildirs(source)
		}
		i.wholeDomains(source)
		if password != "" && whole {
			d.Set("password", password, i.why("smtpd_sasl_type", "smtpd_sasl_path"))
		}
	}
	if password != "" && !whole {
		i.note("virtual_mailbox_maps", takeover.NotSupported, "directory.password", "nobody in these tables can log in: saslauthd drops the domain, "+
			"so that the Unix user info would open info@ of each; where whole addresses are known behind it, add -r to its OPTIONS, and password = \""+password+"\" to the [[directory]]")
	}
	i.took("directory.source", "virtual_mailbox_maps")
	i.took("directory.mailbox_base", "virtual_mailbox_base")
	for _, name := range []string{"virtual_uid_maps", "virtual_gid_maps"} {
		i.note(name, takeover.Replaced, "directory", "letters that are in nobody's home belong to facteur's user: chown -R them before the start, and back for the way back")
	}
}

// deliversVirtual tells that virtual(8) puts letters where virtual_mailbox_maps says. Others
// ask the tables only whether there is somebody.
func (i *importer) deliversVirtual() bool {
	transport, _, _ := strings.Cut(i.value("virtual_transport"), ":")
	return transport == "virtual"
}

// noMaildirs tells how many entries of a table are mbox files.
func (i *importer) noMaildirs(source string) {
	for _, t := range i.tables {
		if t.source != source {
			continue
		}
		boxes := 0
		for _, e := range t.entries {
			if !strings.HasSuffix(e.Value, "/") {
				boxes++
			}
		}
		if boxes > 0 {
			i.note("virtual_mailbox_maps", takeover.NotSupported, "directory.mailbox_base",
				fmt.Sprintf("%d entries name mbox files, not Maildirs: their mail waits until they end with a slash (\"facteur import mbox\" brings the old letters)", boxes))
		}
	}
}

// wholeDomains tells of entries of a table for all users of a domain.
func (i *importer) wholeDomains(source string) {
	for _, t := range i.tables {
		if t.source != source {
			continue
		}
		for _, e := range t.entries {
			if strings.HasPrefix(e.Key, "@") {
				i.note("virtual_mailbox_maps", takeover.NotSupported, "domain.catch_all",
					fmt.Sprintf("the entry %s took mail for anybody there, which is refused now: make an account and name it as catch_all of that [[domain]]", e.Key))
			}
		}
	}
}

// passwordChecker is who checks passwords for [[directory]]; "" is what has them. whole says
// that he knows users by their whole addresses.
func (i *importer) passwordChecker() (password string, whole bool) {
	if !i.anybodyLogsIn() {
		return "", false
	}
	switch i.value("smtpd_sasl_type") {
	case "dovecot":
		path := i.value("smtpd_sasl_path")
		if i.dovecot {
			i.note("smtpd_sasl_path", takeover.Replaced, "directory", "what that Dovecot asked is asked by facteur itself")
			return "", false
		}
		if strings.HasPrefix(path, "inet:") {
			i.note("smtpd_sasl_path", takeover.NotSupported, "directory.password", "only a socket on this machine can be asked")
			return "", false
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(i.value("queue_directory"), path)
		}
		i.note("smtpd_sasl_path", takeover.Understood, "directory.password", "as long as that Dovecot runs; \"facteur import dovecot\" makes an end of it")
		return "dovecot:" + path, true
	case "cyrus", "":
		return i.saslauthd()
	}
	return "", false
}

// anybodyLogsIn tells that some service offers AUTH.
func (i *importer) anybodyLogsIn() bool {
	return i.yes("smtpd_sasl_auth_enable") || slices.ContainsFunc(i.master, func(s Service) bool {
		v, _ := s.Option("smtpd_sasl_auth_enable")
		return v == "yes"
	})
}

// forwarding is what postsrsd did.
func (i *importer) forwarding() {
	file := filepath.Join(filepath.Dir(i.o.Dir), "default", "postsrsd")
	srs := shell(i.besideText(file))
	forward, reverse := ":10001", ":10002"
	if p := srs["SRS_FORWARD_PORT"]; p.value != "" {
		forward = ":" + p.value
	}
	if p := srs["SRS_REVERSE_PORT"]; p.value != "" {
		reverse = ":" + p.value
	}
	used := false
	for _, m := range []struct{ name, port string }{{"sender_canonical_maps", forward}, {"recipient_canonical_maps", reverse}} {
		if !i.isSet(m.name) {
			continue
		}
		var rest []string
		for _, word := range i.words(m.name) {
			if strings.HasPrefix(word, "tcp:") && strings.HasSuffix(word, m.port) || strings.Contains(word, "srs") && strings.HasPrefix(word, "socketmap:") {
				used = true
				i.note(m.name, takeover.Replaced, "forwarding.srs_domain", word+": facteur does SRS itself, and only for mail that it forwards")
				classes := strings.Replace(m.name, "_maps", "_classes", 1)
				i.replaced[classes] = ""
				i.note(classes, takeover.Replaced, "forwarding.srs_domain", "it was for postsrsd")
				continue
			}
			rest = append(rest, word)
		}
		i.replaced[m.name] = strings.Join(rest, " ")
	}
	if used {
		i.srs(file, srs)
	}
}

func (i *importer) srs(file string, set map[string]assignment) {
	domain := set["SRS_DOMAIN"].value
	if domain == "" {
		domain = i.value("mydomain")
	}
	if name, err := address.CanonicalDomain(domain); err == nil && !slices.Contains(i.ours, name) {
		i.ours = append(i.ours, name)
		d := i.t.Settings.Append("domain")
		d.About("For the bounces of forwarded mail (SRS): its MX has to point here.")
		d.Set("name", name, "")
		d.Set("class", "alias", "")
	}
	i.set("forwarding.srs_domain", domain, set["SRS_DOMAIN"].where(file))
	if v := set["SRS_EXCLUDE_DOMAINS"]; v.value != "" {
		i.set("forwarding.srs_exclude_domains", fields(v.value, ", "), v.where(file))
	}
	i.srsHash(file, set["SRS_HASHLENGTH"])
	i.srsSecret(file, set["SRS_SECRET"])
}

// srsSecret copies the keys, so that bounces on their way find back. The path that Debian's
// package has is the one that counts where none is named.
func (i *importer) srsSecret(file string, v assignment) {
	path, where := v.value, v.where(file)
	if path == "" {
		path = filepath.Join(filepath.Dir(i.o.Dir), "postsrsd.secret")
		where = path
	}
	text, err := i.file(path)
	switch {
	case i.o.Settings == "" || v.value == "" && errors.Is(err, fs.ErrNotExist):
	case err != nil:
		i.t.Report.Add(takeover.Line{File: path, Verdict: takeover.NotSupported, Key: "forwarding.srs_secrets", Why: "bounces for what postsrsd rewrote do not come back: " + err.Error()})
	default:
		i.t.Secrets = append(i.t.Secrets, takeover.Secret{Name: "srs_secret", Text: []byte(text)})
		i.set("forwarding.srs_secrets", []string{filepath.Join(i.o.Settings, "srs_secret")}, where+", copied, so that bounces on their way find back")
	}
}

// srsHash is how much of the hash postsrsd writes, where facteur may do so, too.
func (i *importer) srsHash(file string, v assignment) {
	if n, err := strconv.Atoi(v.value); err == nil && n >= srs.DefaultHash && n <= srs.MaxHash {
		i.set("forwarding.srs_hash_length", n, v.where(file))
	}
}

// certificates are those that clients see.
func (i *importer) certificates() {
	demanded := demandedCertificate(i.value("smtpd_tls_req_ccert"))
	i.note("smtpd_tls_req_ccert", demanded.verdict, demanded.key, demanded.why)
	var certs, keys []string
	pairs := [][2]string{{"smtpd_tls_cert_file", "smtpd_tls_key_file"}, {"smtpd_tls_eccert_file", "smtpd_tls_eckey_file"}, {"smtpd_tls_dcert_file", "smtpd_tls_dkey_file"}}
	if chain := i.words("smtpd_tls_chain_files"); len(chain) > 0 {
		for n := 0; n < len(chain); n++ {
			key := chain[n]
			if n+1 < len(chain) && strings.Contains(chain[n], "key") {
				n++
			}
			certs, keys = append(certs, chain[n]), append(keys, key)
		}
		i.took("tls.certificate", "smtpd_tls_chain_files")
		pairs = nil
	}
	for _, p := range pairs {
		cert, key := i.absolute(i.value(p[0])), i.absolute(i.value(p[1]))
		if cert == "" || cert == i.absolute("none") {
			i.note(p[0], takeover.NotNeeded, "tls.certificate", "without one, facteur makes its own")
			continue
		}
		if key == "" {
			key = cert
		}
		if !i.there(p[0], cert) || !i.there(p[1], key) {
			continue
		}
		certs, keys = append(certs, cert), append(keys, key)
		i.took("tls.certificate", p[0])
		i.took("tls.key", p[1])
	}
	if certs != nil {
		have := i.table("tls")
		for n, cert := range have.List("certificate") { // Dovecot's
			if !slices.Contains(certs, cert) {
				certs, keys = append(certs, cert), append(keys, have.List("key")[n])
			}
		}
		i.set("tls.certificate", certs, i.why("smtpd_tls_cert_file", "smtpd_tls_eccert_file", "smtpd_tls_chain_files"))
		i.set("tls.key", keys, i.why("smtpd_tls_key_file", "smtpd_tls_eckey_file"))
	}
}

// demandedCertificate judges smtpd_tls_req_ccert, of main.cf or of one service.
func demandedCertificate(v string) note {
	if strings.EqualFold(v, "yes") {
		return note{takeover.NotSupported, "auth.client_ca",
			`nobody has to show a certificate now; with auth.client_ca, a rule can refuse who shows none: when = 'tls.cert_name == ""'`}
	}
	return note{takeover.NotNeeded, "auth.client_ca", "no certificate is demanded"}
}
