package dovecot

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
)

// database is one passdb or userdb.
type database struct {
	kind   string // "passdb" or "userdb"
	driver string
	args   string
	head   int
	lines  map[string]int // by name
}

func (i *importer) databases() (out []*database) {
	byScope := map[int]*database{}
	for n, s := range i.all {
		if len(s.Path) == 0 || s.Err != nil {
			continue
		}
		kind, name, _ := strings.Cut(s.Path[0], " ")
		if kind != "passdb" && kind != "userdb" || len(s.Path) > 1 {
			continue
		}
		d := byScope[s.Scope]
		if d == nil {
			d = &database{kind: kind, driver: name, head: n, lines: map[string]int{}} // "passdb pam { }" is of old
			byScope[s.Scope] = d
			out = append(out, d)
		}
		switch s.Name {
		case "driver":
			d.driver = s.Value
		case "args":
			d.args = s.Value
		}
		if s.Name != "" {
			d.lines[s.Name] = n
			i.notes[n] = note{no, "", "facteur does it by itself"}
		}
	}
	return out
}

// say says something of the lines that tell what a database is.
func (i *importer) say(d *database, v takeover.Verdict, why string) {
	for _, name := range []string{"driver", "args"} {
		if n, ok := d.lines[name]; ok {
			i.notes[n] = note{v, "directory", why}
		}
	}
	if _, named := d.lines["driver"]; !named {
		i.notes[d.head] = note{v, "directory", why}
	}
}

// directories makes a [[directory]] of each passdb and what the userdbs add to it.
func (i *importer) directories() {
	mail := i.mailLocation()
	all := i.databases()
	made := false
	for _, d := range all {
		if d.kind != "passdb" {
			continue
		}
		if reason := i.special(d); reason != "" {
			i.say(d, missing, reason)
			continue
		}
		if i.directory(d, userdbOf(d, all), mail) {
			made = true
		}
	}
	for _, d := range all {
		if d.kind == "userdb" {
			i.userdb(d, made)
		}
	}
}

// special are passdbs that let in, or keep out, in a way of their own.
func (i *importer) special(d *database) string {
	value := func(name string) string {
		if n, ok := d.lines[name]; ok {
			return i.all[n].Value
		}
		return ""
	}
	switch {
	case value("deny") == "yes":
		return `"facteur account disable ADDRESS" keeps somebody out`
	case value("master") == "yes":
		return "nobody logs in as somebody else; an admin shares the mailbox (facteur mailbox acl)"
	}
	return ""
}

// userdbOf is the userdb that goes with a passdb: the same driver, else the first one.
func userdbOf(d *database, all []*database) *database {
	var first *database
	for _, u := range all {
		if u.kind != "userdb" || u.driver == "prefetch" {
			continue
		}
		if u.driver == d.driver {
			return u
		}
		if first == nil {
			first = u
		}
	}
	return first
}

// mailLocation is where the letters are, as directory.maildir has it; "": in the usual
// place of ours.
func (i *importer) mailLocation() string {
	v, n := i.value("mail_location")
	path, reason := maildir(v)
	switch {
	case n < 0 || v == "":
		return ""
	case reason != "":
		i.note(missing, "directory.maildir", reason, "mail_location")
		return ""
	}
	i.note(yes, "directory.maildir", "", "mail_location")
	return path
}

// maildir reads a mail_location.
func maildir(location string) (path, reason string) {
	format, rest, found := strings.Cut(location, ":")
	if location == "" {
		return "", ""
	}
	if !found && strings.HasPrefix(location, "/") || !found && strings.HasPrefix(location, "~") {
		format, rest = "maildir", location
	}
	switch format {
	case "maildir":
	case "mbox":
		return "", "letters were in mbox files; they are kept in Maildirs now, and \"facteur import mbox\" brings the old ones"
	default:
		return "", "letters were kept as " + format + "; \"doveadm backup -u USER maildir:PATH\" writes them as Maildirs"
	}
	parts := strings.Split(rest, ":")
	for _, p := range parts[1:] {
		if strings.EqualFold(p, "LAYOUT=fs") {
			return "", "mailboxes are directories within directories (LAYOUT=fs), and we keep Maildir++; \"doveadm backup -u USER maildir:PATH\" writes them so"
		}
		if name, value, _ := strings.Cut(p, "="); strings.EqualFold(name, "INBOX") && value != parts[0] {
			return "", "the INBOX is in another place than the other mailboxes; \"doveadm backup -u USER maildir:PATH\" puts them together"
		}
	}
	path, ok := template(parts[0])
	if !ok {
		return "", "only %u, %n and %d can stand in a path here"
	}
	return strings.TrimSuffix(path, "/"), ""
}

// template turns Dovecot's variables into ours; ours are in small letters always.
func template(s string) (string, bool) {
	s = strings.NewReplacer("%Lu", "%u", "%Ln", "%n", "%Ld", "%d", "%{user}", "%u", "%{username}", "%n", "%{domain}", "%d").Replace(s)
	for rest := s; ; {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			return s, true
		}
		if after == "" || !strings.Contains("und%", after[:1]) {
			return s, false
		}
		rest = after[1:]
	}
}

// directory writes one [[directory]], and tells whether there is one.
func (i *importer) directory(pass, user *database, mail string) bool {
	t := &takeover.Table{}
	t.Set("name", i.freeName(pass.driver), i.why(pass.head))
	ok := false
	switch pass.driver {
	case "pam", "shadow", "passwd":
		t.Set("kind", "unix", "")
		i.say(pass, yes, "passwords are those of /etc/shadow; where PAM asks something else, run saslauthd -a pam and set password = \"saslauthd:/run/saslauthd/mux\"")
		ok = true
	case "passwd-file":
		ok = i.passwdFile(t, pass)
	case "sql":
		ok = i.sql(t, pass, user)
	case "ldap":
		ok = i.ldap(t, pass, user)
	default:
		i.say(pass, missing, fmt.Sprintf("accounts of the driver %q can't be asked; while that Dovecot runs, kind = \"dovecot\" asks it", pass.driver))
	}
	if !ok {
		return false
	}
	i.t.Settings.Add("directory", t)
	if realm, n := i.value("auth_default_realm"); n >= 0 && realm != "" {
		t.Set("default_domain", realm, i.why(n))
		i.note(yes, "directory.default_domain", "", "auth_default_realm")
	}
	i.places(t, user, mail)
	i.nameFormat(t)
	if v, n := i.value("first_valid_uid"); n >= 0 && v != "" && v != "500" {
		if number(v) {
			t.Set("min_uid", atoi(v), i.why(n))
			i.note(yes, "directory.min_uid", "", "first_valid_uid")
		}
	}
	return true
}

func number(s string) bool {
	return s != "" && len(s) < 9 && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

// freeName is a name that no other [[directory]] has.
func (i *importer) freeName(name string) string {
	taken := func(name string) bool {
		return slices.ContainsFunc(i.t.Settings.All("directory"), func(t *takeover.Table) bool { return t.Get("name") == `"`+name+`"` })
	}
	free := name
	for n := 2; taken(free); n++ {
		free = fmt.Sprint(name, n)
	}
	return free
}

// places are where the homes and the letters of accounts are.
func (i *importer) places(t *takeover.Table, user *database, mail string) {
	if mail != "" {
		_, n := i.value("mail_location")
		t.Set("maildir", mail, i.why(n))
	}
	if user != nil && user.driver == "passwd" && t.Get("kind") == `"unix"` {
		t.Set("unix_users", true, i.why(user.head))
	}
	if user == nil || user.driver != "static" {
		return
	}
	for _, word := range strings.Fields(user.args) {
		name, value, _ := strings.Cut(word, "=")
		path, ok := template(value)
		switch {
		case name == "home" && ok:
			t.Set("home", path, i.why(user.lines["args"]))
		case name == "mail":
			if path, reason := maildir(value); reason == "" {
				t.Set("maildir", path, i.why(user.lines["args"]))
			}
		}
	}
}

// nameFormat: names are compared without regard to case here, which is what %Lu does.
func (i *importer) nameFormat(t *takeover.Table) {
	v, n := i.value("auth_username_format")
	switch v {
	case "":
	case "%u", "%Lu":
		i.notes[n] = note{yes, "directory", "letters in any case are the same"}
	case "%n", "%Ln":
		i.notes[n] = note{yes, "directory", "people may log in with the part before the \"@\" where there is a default_domain"}
	default:
		i.notes[n] = note{missing, "directory.login_query", "names are taken as they are written; a login_query may find people by another name"}
	}
}

func (i *importer) userdb(d *database, made bool) {
	switch d.driver {
	case "prefetch":
		i.say(d, no, "what the passdb knows of an account is used")
	case "static":
		i.say(d, yes, "home and letters are templates; the files have to belong to the user that facteur runs as")
	case "passwd", "passwd-file", "sql", "ldap":
		if _, told := i.notes[d.lines["driver"]]; made && told {
			i.say(d, yes, "it says where the letters of the accounts are")
		}
	default:
		i.say(d, missing, fmt.Sprintf("users of the driver %q can't be asked; while that Dovecot runs, kind = \"dovecot\" asks it", d.driver))
	}
}

// passwdFile reads args such as "scheme=CRYPT username_format=%u /etc/dovecot/users".
func (i *importer) passwdFile(t *takeover.Table, d *database) bool {
	t.Set("kind", "passwd-file", "")
	path := ""
	for _, word := range strings.Fields(d.args) {
		name, value, option := strings.Cut(word, "=")
		switch {
		case option && strings.EqualFold(name, "scheme"):
			t.Set("password_scheme", strings.ToUpper(value), "")
		case option && name == "username_format":
			if value = strings.ReplaceAll(value, "%L", "%"); value == "%u" || value == "%n" {
				t.Set("username_format", value, "")
			}
		default:
			path = word
		}
	}
	source, ok := template(path)
	if !ok || path == "" {
		i.say(d, missing, "the file can't be named with these variables; only %u, %n and %d are known")
		return false
	}
	t.Set("source", source, i.why(d.lines["args"]))
	i.say(d, yes, "")
	return true
}

// external reads the file with the settings of a database; what its lines come to is
// told at the end.
func (i *importer) external(d *database) (settings map[string]Setting, all []Setting) {
	path, _, _ := strings.Cut(strings.TrimSpace(d.args), " ")
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(i.o.Path), path)
	}
	text, err := readFile(path)
	if err != nil {
		i.say(d, missing, "its settings can't be read: "+err.Error())
		return nil, nil
	}
	settings = map[string]Setting{}
	for _, s := range Parse(path, string(text), nil) {
		all = append(all, s)
		if s.Err == nil && s.Name != "" {
			settings[s.Name] = s
		}
	}
	return settings, all
}

// tell says what became of the lines of such a file, once.
func (i *importer) tell(all []Setting, known map[string]note) {
	for _, s := range all {
		l := takeover.Line{File: s.File, Line: s.Line, Text: secretless(s), Verdict: takeover.Unknown, Why: "Dovecot 2.3 has no setting of this name"}
		if slices.ContainsFunc(i.extra, func(o takeover.Line) bool { return o.File == l.File && o.Line == l.Line }) {
			continue
		}
		if n, ok := known[s.Name]; ok {
			l.Verdict, l.Key, l.Why = n.verdict, n.key, n.why
		}
		if s.Err != nil {
			l.Why = s.Err.Error()
		}
		i.extra = append(i.extra, l)
	}
}

// secret keeps a password in a file of ours.
func (i *importer) secret(t *takeover.Table, password string) {
	if password == "" {
		return
	}
	name := "dovecot-" + strings.Trim(t.Get("name"), `"'`) + ".password"
	i.t.Secrets = append(i.t.Secrets, takeover.Secret{Name: name, Text: []byte(password + "\n")})
	t.Set("password_file", name, "")
}
