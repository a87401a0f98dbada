package dovecot

import (
	"net/url"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
)

// sql reads dovecot-sql.conf.ext.
func (i *importer) sql(t *takeover.Table, pass, user *database) bool {
	t.Set("kind", "sql", "")
	settings, all := i.external(pass)
	if settings == nil {
		return false
	}
	known := map[string]note{
		"driver": {yes, "directory.source", ""}, "connect": {yes, "directory.source", ""}, "default_pass_scheme": {yes, "directory.password_scheme", ""},
		"password_query": {yes, "directory.login_query", ""}, "user_query": {yes, "directory.account_query", ""}, "iterate_query": {yes, "directory.list_query", ""},
		"userdb_warning_disable": {no, "", "there is nothing to warn of"},
	}
	defer func() { i.tell(all, known) }()
	source, password, reason := connection(settings["driver"].Value, settings["connect"].Value)
	if reason != "" {
		known["connect"] = note{missing, "directory.source", reason}
		i.say(pass, missing, reason)
		return false
	}
	t.Set("source", source, i.why(pass.lines["args"]))
	i.secret(t, password)
	if v := settings["default_pass_scheme"].Value; v != "" {
		t.Set("password_scheme", strings.ToUpper(v), "")
	}
	ok := i.queries(t, settings, known)
	if !ok {
		i.say(pass, missing, "its queries can't be put as they are")
		return false
	}
	i.say(pass, yes, "")
	if user != nil && user.driver == "sql" && user.args != pass.args {
		if _, more := i.external(user); more != nil {
			i.tell(more, known)
		}
	}
	return true
}

// queries are the statements. Of one that asks for all in one row, the other is not
// needed.
func (i *importer) queries(t *takeover.Table, settings map[string]Setting, known map[string]note) bool {
	driver := settings["driver"].Value
	login, okLogin := query(driver, settings["password_query"].Value)
	account, okAccount := query(driver, settings["user_query"].Value)
	list, okList := query(driver, settings["iterate_query"].Value)
	for name, ok := range map[string]bool{"password_query": okLogin, "user_query": okAccount, "iterate_query": okList} {
		if settings[name].Name != "" && !ok {
			known[name] = note{missing, "directory.account_query", "only %u, %n and %d can be asked for, and each as a whole value"}
		}
	}
	if !okLogin || settings["user_query"].Name != "" && !okAccount {
		return false
	}
	if account == "" {
		account = login
	} else {
		t.Set("login_query", login, "")
	}
	t.Set("account_query", account, "")
	if okList && strings.Contains(strings.ToLower(list), "@") {
		t.Set("list_query", list, "")
	} else if settings["iterate_query"].Name != "" {
		known["iterate_query"] = note{no, "directory.list_query", "listings want a column with the address and one with the password; see docs/DIRECTORIES.md"}
	}
	return true
}

// query is a statement in our words: places without quotes.
func query(driver, text string) (string, bool) {
	text = strings.Join(strings.Fields(text), " ")
	text = strings.NewReplacer("%Lu", "%u", "%Ln", "%n", "%Ld", "%d", "%{user}", "%u", "%{username}", "%n", "%{domain}", "%d").Replace(text)
	for _, place := range []string{"%u", "%n", "%d"} {
		for _, quote := range []string{"'", `"`} {
			text = strings.ReplaceAll(text, quote+place+quote, place)
		}
	}
	text = strings.TrimSuffix(strings.TrimSpace(text), ";")
	if _, ok := template(text); !ok || text == "" {
		return "", false
	}
	return joined(driver, text), true
}

// joined writes literals with places in them, '/var/vmail/%d/%n', as what they are: texts
// and values, put together by the database.
func joined(driver, text string) string {
	pieces := strings.Split(text, "'")
	for n := 1; n < len(pieces)-1; n += 2 {
		if strings.ContainsAny(pieces[n], "%") {
			pieces[n] = join(driver, pieces[n])
		} else {
			pieces[n] = "'" + pieces[n] + "'"
		}
	}
	return strings.Join(pieces, "")
}

func join(driver, literal string) string {
	var parts []string
	for literal != "" {
		at := strings.IndexByte(literal, '%')
		switch {
		case at < 0:
			parts, literal = append(parts, "'"+literal+"'"), ""
		case at > 0:
			parts, literal = append(parts, "'"+literal[:at]+"'"), literal[at:]
		case literal[1] == '%':
			parts, literal = append(parts, "'%%'"), literal[2:]
		default:
			parts, literal = append(parts, literal[:2]), literal[2:]
		}
	}
	if driver == "mysql" {
		return "concat(" + strings.Join(parts, ", ") + ")"
	}
	return "(" + strings.Join(parts, " || ") + ")"
}

// connection reads "host=localhost dbname=mail user=mail password=x" of a driver.
func connection(driver, connect string) (source, password, reason string) {
	v := map[string]string{}
	for _, word := range strings.Fields(connect) {
		name, value, found := strings.Cut(word, "=")
		if !found {
			v["path"] = word
		}
		if v[name] == "" || name != "host" {
			v[name] = value
		} else {
			v[name] += "," + value
		}
	}
	scheme := map[string]string{"mysql": "mysql", "pgsql": "postgres", "sqlite": "sqlite"}[driver]
	switch {
	case scheme == "":
		return "", "", "there is no driver " + driver + " here; expected mysql, pgsql or sqlite"
	case scheme == "sqlite":
		return "sqlite:" + v["path"], "", ""
	}
	if v["host"] == "" {
		v["host"] = map[string]string{"mysql": "/run/mysqld/mysqld.sock", "postgres": "/run/postgresql"}[scheme]
	}
	var hosts []string
	for host := range strings.SplitSeq(v["host"], ",") {
		if strings.HasPrefix(host, "/") {
			host = url.PathEscape(host)
		} else if v["port"] != "" {
			host += ":" + v["port"]
		}
		hosts = append(hosts, host)
	}
	return scheme + "://" + url.PathEscape(v["user"]) + "@" + strings.Join(hosts, ",") + "/" + url.PathEscape(v["dbname"]), v["password"], ""
}

// ldap reads dovecot-ldap.conf.ext.
func (i *importer) ldap(t *takeover.Table, pass, user *database) bool {
	t.Set("kind", "ldap", "")
	settings, all := i.external(pass)
	if settings == nil {
		return false
	}
	known := ldapNotes()
	defer func() { i.tell(all, known) }()
	value := func(name string) string { return settings[name].Value }
	source, reason := ldapSource(value("uris"), value("hosts"), value("base"))
	if reason != "" {
		known["base"] = note{missing, "directory.source", reason}
		i.say(pass, missing, reason)
		return false
	}
	t.Set("source", source, i.why(pass.lines["args"]))
	if dn := value("dn"); dn != "" {
		t.Set("bind_dn", dn, "")
		i.secret(t, value("dnpass"))
	}
	if value("tls") == "yes" {
		t.Set("tls", "starttls", "")
	}
	if ca := value("tls_ca_cert_file"); ca != "" {
		t.Set("ca_file", ca, "")
	}
	if value("auth_bind") == "yes" {
		t.Set("password", "bind", "")
	} else if v := value("default_pass_scheme"); v != "" {
		t.Set("password_scheme", strings.ToUpper(v), "")
	}
	if !i.filters(t, settings, known) {
		i.say(pass, missing, "its filters can't be put as they are")
		return false
	}
	attributes, _ := mapped(value("user_attrs"), value("pass_attrs"))
	if attributes != nil {
		t.Set("attributes", attributes, "")
	}
	if user != nil && user.driver == "ldap" && user.args != pass.args {
		if _, more := i.external(user); more != nil {
			i.tell(more, known)
		}
	}
	i.say(pass, yes, "")
	return true
}

func ldapNotes() map[string]note {
	return map[string]note{
		"uris": {yes, "directory.source", ""}, "hosts": {yes, "directory.source", ""}, "base": {yes, "directory.source", ""}, "dn": {yes, "directory.bind_dn", ""},
		"dnpass": {yes, "directory.password_file", ""}, "tls": {yes, "directory.tls", ""}, "tls_ca_cert_file": {yes, "directory.ca_file", ""},
		"tls_ca_cert_dir": {no, "", "the authorities of the system count"}, "tls_require_cert": {no, "", "certificates are always verified"}, "tls_cert_file": {missing, "", "we show no certificate"},
		"tls_key_file": {missing, "", "we show no certificate"}, "tls_cipher_suite": {no, "", "the usual ones have no weak ones"}, "auth_bind": {yes, "directory.password", ""},
		"auth_bind_userdn": {replaced, "directory.password", "the entry is searched for, and its name is bound with"}, "user_filter": {yes, "directory.account_query", ""},
		"pass_filter": {yes, "directory.login_query", ""}, "user_attrs": {yes, "directory.attributes", ""}, "pass_attrs": {yes, "directory.attributes", ""},
		"default_pass_scheme": {yes, "directory.password_scheme", ""}, "iterate_filter": {yes, "directory.list_query", ""}, "iterate_attrs": {no, "", "the attributes of accounts count"},
		"ldap_version": {no, "", "3"}, "scope": {no, "", "all below the base"}, "deref": {no, "", "aliases are not followed"}, "sasl_bind": {missing, "", "we bind with a name and a password"},
		"sasl_mech": {missing, "", "we bind with a name and a password"}, "sasl_realm": {missing, "", "we bind with a name and a password"}, "sasl_authz_id": {missing, "", "we bind with a name and a password"},
		"debug_level": {replaced, "log.level", `"debug" says more`}, "ldaprc_path": {no, "", "nothing is taken from other files"}, "blocking": {no, "", "log-ins don't wait for one another"},
	}
}

// filters are those of accounts and of log-ins.
func (i *importer) filters(t *takeover.Table, settings map[string]Setting, known map[string]note) bool {
	for _, f := range []struct{ name, key string }{{"user_filter", "account_query"}, {"pass_filter", "login_query"}, {"iterate_filter", "list_query"}} {
		s, there := settings[f.name]
		if !there || s.Value == "" {
			continue
		}
		filter, ok := template(s.Value)
		if !ok {
			known[f.name] = note{missing, "directory." + f.key, "only %u, %n and %d can be asked for"}
			return false
		}
		t.Set(f.key, filter, "")
	}
	return true
}

func ldapSource(uris, hosts, base string) (source, reason string) {
	if template, ok := template(base); !ok || strings.Contains(template, "%") || base == "" {
		return "", "the base has to be one name, without variables"
	}
	scheme, list := "ldap", strings.Fields(hosts)
	for _, uri := range strings.Fields(uris) {
		s, host, _ := strings.Cut(uri, "://")
		if len(list) > 0 && s != scheme {
			return "", "all servers have to be reached in the same way"
		}
		scheme = s
		list = append(list, strings.TrimSuffix(host, "/"))
	}
	if len(list) == 0 {
		list = []string{"localhost"}
	}
	return scheme + "://" + strings.Join(list, ",") + "/" + (&url.URL{Path: base}).EscapedPath(), ""
}

// mapped turns "homeDirectory=home,uidNumber=uid" into ours, "home=homeDirectory".
func mapped(lists ...string) (out, left []string) {
	ours := map[string]string{"home": "home", "uid": "uid", "gid": "gid", "quota_rule": "quota", "password": "password", "mail": "maildir", "userdb_home": "home",
		"userdb_uid": "uid", "userdb_gid": "gid", "userdb_quota_rule": "quota", "userdb_mail": "maildir"}
	seen := map[string]bool{}
	for _, list := range lists {
		for pair := range strings.SplitSeq(list, ",") {
			attribute, field, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if ours[field] == "" || attribute == "" || strings.ContainsAny(attribute, "%:{") || strings.Contains(field, "=") {
				left = append(left, pair)
				continue
			}
			if !seen[ours[field]] {
				seen[ours[field]] = true
				out = append(out, ours[field]+"="+attribute)
			}
		}
	}
	slices.Sort(out)
	return out, left
}
