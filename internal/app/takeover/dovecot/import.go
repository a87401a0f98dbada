package dovecot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
)

// Options say what is imported, and where to.
type Options struct {
	// Path is dovecot.conf, or the directory that it is in; Text, if it is not nil, is what
	// stands there instead, as "doveconf -n" prints it.
	Path string
	Text []byte
	// Settings is the directory of facteur.toml; "": it goes to no file.
	Settings string
	Hostname string // what the kernel calls this machine
}

// Import adds what a Dovecot was told to t. An error is a file that can not be read;
// whatever else is wrong stands in the report.
func Import(t *takeover.Takeover, o Options) error {
	i := &importer{t: t, o: o, notes: map[int]note{}}
	if err := i.read(); err != nil {
		return err
	}
	i.identity()
	i.certificates()
	i.listeners()
	i.logins()
	i.namespaces()
	i.plugins()
	i.pop3()
	i.directories()
	i.report()
	return nil
}

// importer is one run of Import.
type importer struct {
	t     *takeover.Takeover
	o     Options
	all   []Setting
	notes map[int]note // what is said of single lines
	extra []takeover.Line
}

func (i *importer) read() error {
	file := i.o.Path
	text := i.o.Text
	if text == nil {
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			file = filepath.Join(file, "dovecot.conf")
		}
		var err error
		if text, err = readFile(file); err != nil {
			return err
		}
	}
	i.all = Parse(file, string(text), readFile)
	return nil
}

// readFile reads one file, of at most maxBytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(text) > maxBytes {
		err = fmt.Errorf("%s is larger than %d MiB", path, maxBytes>>20)
	}
	return text, err
}

// at finds the lines of a setting: path is the sections, each "service imap-login", or
// "service *" for any name.
func (i *importer) at(name string, path ...string) (lines []int) {
	for n, s := range i.all {
		if s.Name == name && s.Err == nil && within(s.Path, path) {
			lines = append(lines, n)
		}
	}
	return lines
}

func within(path, pattern []string) bool {
	return slices.EqualFunc(path, pattern, func(have, want string) bool {
		kind, any := strings.CutSuffix(want, " *")
		word, _, _ := strings.Cut(have, " ")
		return have == want || any && word == kind
	})
}

// value is the last value of a setting, and its line; -1 without one.
func (i *importer) value(name string, path ...string) (string, int) {
	lines := i.at(name, path...)
	if len(lines) == 0 {
		return "", -1
	}
	n := lines[len(lines)-1]
	return i.all[n].Value, n
}

// note says something of all lines of a setting.
func (i *importer) note(v takeover.Verdict, key, why, name string, path ...string) {
	for _, n := range i.at(name, path...) {
		i.notes[n] = note{v, key, why}
	}
}

// why is the comment above a setting that comes from a line.
func (i *importer) why(n int) string {
	if n < 0 {
		return ""
	}
	s := i.all[n]
	return fmt.Sprintf("%s:%d: %s", s.File, s.Line, secretless(s))
}

// secretless is a line without what should not be read by everybody.
func secretless(s Setting) string {
	for _, word := range []string{"password", "secret", "dnpass", "api_key"} {
		if strings.Contains(s.Name, word) && s.Name != "ssl_key_password" || s.Name == "connect" {
			return s.Name + " = (hidden)"
		}
	}
	if s.Name == "ssl_key_password" {
		return s.Name + " = (hidden)"
	}
	return s.Text
}

func (i *importer) identity() {
	host := i.o.Hostname
	v, n := i.value("hostname")
	if v != "" && !strings.ContainsAny(v, "%$") {
		host = v
		i.note(yes, "hostname", "", "hostname")
	}
	if host != "" && !strings.Contains(host, ".") {
		host += ".localdomain" // as Postfix calls such a machine
	}
	if !i.t.Settings.Table("").Has("hostname") {
		i.t.Settings.Table("").Set("hostname", host, i.why(n))
	}
}

func (i *importer) certificates() {
	cert, n := i.value("ssl_cert")
	key, m := i.value("ssl_key")
	switch {
	case n < 0 && m < 0:
		return
	case n < 0 || m < 0 || !i.all[n].FromFile || !i.all[m].FromFile:
		why := `facteur reads certificate and key from files; "doveconf -n" hides where they are, "doveconf -nP" tells: set tls.certificate and tls.key`
		i.note(missing, "tls.certificate", why, "ssl_cert")
		i.note(missing, "tls.key", why, "ssl_key")
		return
	}
	t := i.t.Settings.Table("tls")
	t.Set("certificate", []string{cert}, i.why(n))
	t.Set("key", []string{key}, i.why(m))
	i.note(yes, "tls.certificate", "", "ssl_cert")
	i.note(yes, "tls.key", "facteur has to be able to read it: mode 0640 and a group that its user is in", "ssl_key")
}

// services are the doors that Dovecot has, with the ports that it opens by itself.
var services = []struct{ protocol, section, plain, tls, plainPort, tlsPort string }{
	{"imap", "service imap-login", "imap", "imaps", "143", "993"},
	{"pop3", "service pop3-login", "pop3", "pop3s", "110", "995"},
	{"submission", "service submission-login", "submission", "submissions", "587", "465"},
}

func (i *importer) listeners() {
	text, n := i.value("protocols")
	protocols := strings.Fields(text)
	if n < 0 {
		protocols = []string{"imap", "pop3", "lmtp"}
	}
	ssl, _ := i.value("ssl")
	i.note(yes, "listen", "clients may use TLS, and have to before they log in", "ssl")
	for _, s := range services {
		if slices.Contains(protocols, s.protocol) {
			i.listen(s.section, s.plain, s.plainPort)
			if ssl != "no" {
				i.listen(s.section, s.tls, s.tlsPort)
			}
		}
	}
	i.lmtp(slices.Contains(protocols, "lmtp"))
	if slices.Contains(protocols, "sieve") {
		i.notes[n] = note{missing, "listen", "ManageSieve is not there yet; the other protocols are"}
	}
	if !slices.Contains(protocols, "imap") {
		i.t.Report.Add(takeover.Line{File: i.o.Path, Verdict: no, Why: "imap is not among the protocols, and is not listened on"})
	}
}

// listen writes the listeners of one service, on each address.
func (i *importer) listen(section, service, port string) {
	at := []string{section, "inet_listener " + service}
	why := ""
	if v, n := i.value("port", at...); n >= 0 {
		port, why = v, i.why(n)
	}
	for _, name := range []string{"port", "address", "ssl"} {
		i.note(yes, "listen", "", name, at...)
	}
	if port == "0" {
		return
	}
	addresses, n := i.value("address", at...)
	if n < 0 {
		addresses, n = i.value("listen")
	}
	if n < 0 || addresses == "" {
		addresses = "*, ::"
	}
	for _, host := range hosts(addresses) {
		t := i.t.Settings.Append("listen")
		t.Set("service", service, why)
		t.Set("address", host+":"+port, "")
	}
}

// hosts are addresses as [[listen]] has them. Dovecot's "*" and "::" together are "".
func hosts(text string) (out []string) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if slices.Contains(words, "*") && slices.Contains(words, "::") || len(words) == 0 {
		return []string{""}
	}
	for _, w := range words {
		switch w = strings.Trim(w, "[]"); {
		case w == "*":
			w = "0.0.0.0"
		case strings.Contains(w, ":"):
			w = "[" + w + "]"
		}
		out = append(out, w)
	}
	return out
}

// lmtp is a door of ours only where another machine brings mail: here, the queue
// delivers itself.
func (i *importer) lmtp(wanted bool) {
	at := []string{"service lmtp", "inet_listener *"}
	port, n := i.value("port", at...)
	i.note(yes, "listen", "", "port", at...)
	i.note(yes, "listen", "", "address", at...)
	if n < 0 || !wanted {
		return
	}
	addresses, _ := i.value("address", at...)
	for _, host := range hosts(addresses) {
		t := i.t.Settings.Append("listen")
		t.Set("service", "lmtp", i.why(n))
		t.Set("address", host+":"+port, "")
	}
}

// logins are [auth].
func (i *importer) logins() {
	text, n := i.value("auth_mechanisms")
	if n < 0 {
		return
	}
	ours := map[string]string{"plain": "PLAIN", "login": "LOGIN", "scram-sha-1": "SCRAM-SHA-1", "scram-sha-256": "SCRAM-SHA-256", "cram-md5": "CRAM-MD5",
		"external": "EXTERNAL", "oauthbearer": "OAUTHBEARER", "xoauth2": "XOAUTH2"}
	var without []string
	for _, m := range strings.Fields(strings.ToLower(text)) {
		if ours[m] == "" {
			without = append(without, m)
		}
	}
	i.notes[n] = note{yes, "auth.mechanisms", "PLAIN and LOGIN are offered, as everybody here can use them"}
	if without != nil {
		i.notes[n] = note{missing, "auth.mechanisms", "PLAIN and LOGIN are offered; there is no " + strings.Join(without, ", ")}
	}
	if strings.Contains(text, "cram-md5") {
		i.notes[n] = note{missing, "auth.mechanisms", "CRAM-MD5 needs passwords that are kept as they are; PLAIN and LOGIN are offered, under TLS"}
	}
}

func (i *importer) pop3() {
	for name, key := range map[string]string{"pop3_uidl_format": "uidl_format", "pop3_deleted_flag": "deleted_flag", "pop3_delete_type": "delete_type"} {
		if v, n := i.value(name); n >= 0 && v != "" && v != "default" {
			i.t.Settings.Table("pop3").Set(key, v, i.why(n))
			i.note(yes, "pop3."+key, "", name)
		}
	}
}

// namespaces are the names of mailboxes.
func (i *importer) namespaces() {
	for n, s := range i.all {
		if len(s.Path) == 0 || s.Err != nil || !strings.HasPrefix(s.Path[0], "namespace") {
			continue
		}
		switch {
		case len(s.Path) == 2:
			i.mailbox(n, s)
		case s.Name == "":
		case s.Name == "separator" && s.Value != "":
			i.t.Settings.Table("namespace").Set("separator", s.Value, i.why(n))
			i.notes[n] = note{yes, "namespace.separator", ""}
		case s.Name == "prefix" && s.Value != "" && i.isInbox(s.Scope):
			i.t.Settings.Table("namespace").Set("prefix", s.Value, i.why(n))
			i.notes[n] = note{yes, "namespace.prefix", ""}
		case s.Name == "prefix" || s.Name == "inbox" || s.Name == "location" && s.Value == "" || s.Name == "list" || s.Name == "subscriptions" || s.Name == "hidden":
			i.notes[n] = note{yes, "namespace", "there is one of private mailboxes, one of others' and one of public ones"}
		case s.Name == "type":
			i.notes[n] = note{yes, "namespace", "others' mailboxes are below users_prefix, public ones below public_prefix"}
		default:
			i.notes[n] = note{missing, "namespace", "namespaces are not set up one by one; see docs/MAILBOXES.md"}
		}
	}
}

// isInbox tells whether a namespace has the INBOX.
func (i *importer) isInbox(scope int) bool {
	return slices.ContainsFunc(i.all, func(s Setting) bool { return s.Scope == scope && s.Name == "inbox" && s.Value == "yes" })
}

// mailbox is what stands in "mailbox NAME { }". Only what is made for everybody is a
// default mailbox of ours; special uses of others are known by their names.
func (i *importer) mailbox(n int, s Setting) {
	_, name, _ := strings.Cut(s.Path[1], " ")
	switch s.Name {
	case "auto":
		if s.Value != "no" {
			i.defaultMailbox(n, s, name)
		}
		i.notes[n] = note{yes, "default_mailbox", "mailboxes that are made for everybody are subscribed to"}
	case "special_use":
		i.notes[n] = note{yes, "default_mailbox", "new accounts get a mailbox for each use; those that are there keep theirs"}
	case "autoexpunge":
		i.autoexpunge(n, s, name)
	case "":
	default:
		i.notes[n] = note{no, "default_mailbox", "facteur does it by itself"}
	}
}

func (i *importer) autoexpunge(n int, s Setting, name string) {
	after, ok := duration(s.Value)
	switch {
	case s.Value == "0" || s.Value == "":
		i.notes[n] = note{no, "mailbox.expire", "nothing is expunged"}
		return
	case !ok:
		i.notes[n] = note{missing, "mailbox.expire", "the time can't be understood"}
		return
	}
	t := i.t.Settings.Append("mailbox.expire")
	t.Set("name", name, i.why(n))
	t.Set("after", after, "")
	i.notes[n] = note{yes, "mailbox.expire", ""}
}

// duration reads "30d", "4 weeks", "12 hours".
func duration(text string) (string, bool) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz ")
	unit := strings.TrimSpace(text[len(digits):])
	if !number(digits) || unit == "" {
		return "", false
	}
	switch {
	case strings.HasPrefix(unit, "w"):
		return fmt.Sprint(7*atoi(digits), "d"), true
	case strings.HasPrefix(unit, "d"), strings.HasPrefix(unit, "h"), strings.HasPrefix(unit, "s"), unit == "m", strings.HasPrefix(unit, "min"):
		return digits + unit[:1], true
	}
	return "", false
}

func (i *importer) defaultMailbox(n int, s Setting, name string) {
	if strings.EqualFold(name, "INBOX") {
		return
	}
	t := i.t.Settings.Append("default_mailbox")
	t.Set("name", name, i.why(n))
	for _, other := range i.all {
		if other.Scope == s.Scope && other.Name == "special_use" && other.Value != "" {
			t.Set("special_use", strings.Fields(other.Value)[0], "")
		}
	}
}

// plugins are the quotas that Dovecot keeps in plugin { }.
func (i *importer) plugins() {
	for n, s := range i.all {
		if len(s.Path) == 0 || s.Path[0] != "plugin" || s.Name == "" || s.Err != nil {
			continue
		}
		switch {
		case s.Name == "quota" || s.Name == "quota2":
			i.notes[n] = note{yes, "mailbox", "quotas are counted by the server itself (maildirsize is kept, too)"}
		case strings.HasPrefix(s.Name, "quota_rule"):
			i.quotaRule(n, s)
		case s.Name == "quota_grace" && strings.HasSuffix(s.Value, "%%"):
			i.notes[n] = note{replaced, "mailbox.quota_grace", "in percent"}
		}
	}
}

func (i *importer) quotaRule(n int, s Setting) {
	name, rule, _ := strings.Cut(s.Value, ":")
	t := i.t.Settings.Table("mailbox")
	kind, value, _ := strings.Cut(rule, "=")
	switch {
	case name != "*":
		i.notes[n] = note{replaced, "mailbox.quota_rules", "write it as \"" + strings.ReplaceAll(s.Value, "%%", "%") + "\" if it is wanted"}
	case kind == "storage" || kind == "bytes":
		value = strings.TrimSuffix(value, "B")
		if value == "0" {
			value = "unlimited"
		} else if kind == "storage" && value != "" && value[len(value)-1] <= '9' {
			value += "K"
		}
		t.Set("default_quota", value, i.why(n))
		i.notes[n] = note{yes, "mailbox.default_quota", ""}
	default:
		i.notes[n] = note{replaced, "mailbox.default_messages", "the most messages of an account"}
	}
}

// report says something of every line.
func (i *importer) report() {
	for n, s := range i.all {
		l := takeover.Line{File: s.File, Line: s.Line, Text: secretless(s)}
		what, known := i.notes[n]
		switch {
		case s.Err != nil:
			l.Verdict, l.Why = takeover.Unknown, s.Err.Error()
			if errors.Is(s.Err, os.ErrNotExist) || errors.Is(s.Err, os.ErrPermission) {
				l.Verdict = missing
			}
		case known:
			l.Verdict, l.Key, l.Why = what.verdict, what.key, what.why
		default:
			what = i.usual(s)
			l.Verdict, l.Key, l.Why = what.verdict, what.key, what.why
		}
		i.t.Report.Add(l)
	}
	for _, l := range i.extra {
		i.t.Report.Add(l)
	}
}

// usual is what is said of a line that nothing was made of.
func (i *importer) usual(s Setting) note {
	if strings.HasPrefix(s.Name, "!include") {
		return note{yes, "", "the files are read"}
	}
	inner := ""
	if len(s.Path) > 0 {
		inner, _, _ = strings.Cut(s.Path[len(s.Path)-1], " ")
	}
	if s.Name != "" && inner == "plugin" {
		if n, ok := find(s.Name, inPlugin()); ok {
			return n
		}
		return note{missing, "", "a setting of a plugin that facteur does not have"}
	}
	settled := settled()
	if n, ok := settled[s.Name]; ok && s.Name != "" {
		return n
	}
	if section, ok := ignoredSections()[inner]; ok && (s.Name == "" || inner != "protocol" && inner != "remote" && inner != "local") {
		return section
	}
	if n, ok := find(s.Name, families()); ok && s.Name != "" {
		return n
	}
	if inner == "protocol" {
		return ignoredSections()[inner]
	}
	return note{takeover.Unknown, "", "Dovecot 2.3 has no setting of this name"}
}
