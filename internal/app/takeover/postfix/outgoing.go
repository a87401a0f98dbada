package postfix

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/app/takeover"
)

// relays is where mail for elsewhere goes: relayhost and the passwords.
func (i *importer) relays() {
	i.smarthost()
	i.passwords()
	for _, name := range []string{"default_transport", "relay_transport"} {
		i.defaultTransport(name)
	}
	if i.value("smtp_fallback_relay") != "" {
		i.note("smtp_fallback_relay", takeover.NotSupported, "transport.relays", "facteur tries the hosts of a domain until one takes the mail; a second way has to be a [[transport]] with its relays")
	}
}

func (i *importer) smarthost() {
	var hosts []string
	for _, word := range i.words("relayhost") {
		host, bare, ok := relay(word)
		if !ok {
			i.note("relayhost", takeover.NotSupported, "outbound.smarthost", word+" is no host")
			continue
		}
		if !bare { // a domain whose mail hosts are meant
			m := i.t.Settings.Append("transport_map")
			m.About(i.why("relayhost"))
			m.Set("recipient", "*", "")
			m.Set("to", "smtp:"+word, "")
			i.note("relayhost", takeover.Understood, "transport_map", "without brackets, the mail hosts (MX) of "+word+" are meant")
			return
		}
		hosts = append(hosts, host)
	}
	if hosts == nil {
		i.note("relayhost", takeover.Understood, "outbound.smarthost", "mail goes to the mail hosts of each domain")
		return
	}
	i.set("outbound.smarthost", hosts, i.why("relayhost"))
	i.took("outbound.smarthost", "relayhost")
}

// ports are the names of ports that people write.
var ports = map[string]string{"smtp": "25", "submission": "587", "smtps": "465", "submissions": "465", "lmtp": "24"}

// relay reads a next hop: "[host]:port" (bare: the host itself is meant) or "domain:port".
func relay(word string) (hostPort string, bare, ok bool) {
	port := "25"
	host := word
	if inside, is := strings.CutPrefix(word, "["); is {
		end := strings.IndexByte(inside, ']')
		if end < 0 {
			return "", false, false
		}
		bare, host = true, inside[:end]
		if rest, is := strings.CutPrefix(inside[end+1:], ":"); is {
			port = rest
		}
	} else if h, p, found := strings.Cut(word, ":"); found && !strings.Contains(p, ":") {
		host, port = h, p
	}
	if host = strings.TrimPrefix(strings.ToLower(host), "ipv6:"); host == "localhost" && bare {
		host = "127.0.0.1" // Postfix asks /etc/hosts for it; the DNS may not know it
	}
	if known := ports[port]; known != "" {
		port = known
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" {
		return "", false, false
	}
	return net.JoinHostPort(host, port), bare || net.ParseIP(host) != nil, true
}

// passwords copies those for relays to a file of ours.
func (i *importer) passwords() {
	const name = "smtp_sasl_password_maps"
	if !i.yes("smtp_sasl_auth_enable") {
		i.note(name, takeover.NotNeeded, "outbound.password_maps", "smtp_sasl_auth_enable is not set")
		return
	}
	var b strings.Builder
	var maps []string
	for _, word := range i.words(name) {
		t := i.use(name, word)
		switch {
		case t.trouble != "":
			i.note(name, takeover.NotSupported, "outbound.password_maps", word+" is left out: "+t.trouble)
		case t.entries == nil || !t.isText():
			i.note(name, takeover.NotSupported, "outbound.password_maps", word+" is left out: passwords are read from texts, or stand in [[relay]]")
		default:
			maps = append(maps, t.source)
			for _, e := range t.entries {
				line := takeover.Line{File: t.path, Line: e.Line, Text: e.Key + " …", Verdict: takeover.Understood, Key: "outbound.password_maps"}
				if strings.Contains(e.Value, ":") {
					fmt.Fprintf(&b, "%s %s\n", e.Key, e.Value)
					i.nameless(e.Key)
				} else {
					line.Verdict, line.Key, line.Why = takeover.NotSupported, "", "there is no password: nobody can log in with that"
				}
				i.t.Report.Add(line)
			}
		}
	}
	if maps == nil {
		return
	}
	const why = "\nPasswords go out under TLS only, to hosts with a good certificate; a [[relay]] with tls = \"encrypt\" takes any."
	if i.o.Settings != "" {
		i.t.Secrets = append(i.t.Secrets, takeover.Secret{Name: "relay_passwords", Text: []byte(b.String())})
		maps = []string{"texthash:" + filepath.Join(i.o.Settings, "relay_passwords")}
	}
	i.set("outbound.password_maps", maps, i.why(name)+why)
	i.note(name, takeover.Understood, "outbound.password_maps", "the entries are copied; passwords go out under TLS only, to hosts with a good certificate")
}

// nameless takes any certificate of a relay that has no name, as Postfix does.
func (i *importer) nameless(key string) {
	level := i.value("smtp_tls_security_level")
	host, bare, ok := relay(key)
	if name, _, _ := net.SplitHostPort(host); !ok || !bare || net.ParseIP(name) == nil || level == "verify" || level == "secure" {
		return
	}
	r := i.t.Settings.Append("relay")
	r.About("An address has no certificate of its own: whatever the host shows is taken, as Postfix did.")
	r.Set("host", host, "")
	r.Set("tls", "encrypt", "")
}

// defaultTransport is another way for all mail, or for relay domains.
func (i *importer) defaultTransport(name string) {
	v := i.value(name)
	transport, _, _ := strings.Cut(v, ":")
	if transport == "smtp" || transport == "relay" || v == "" {
		i.note(name, takeover.Understood, "transport_map", "it is the usual way")
		return
	}
	i.named[transport] = name
	if !strings.Contains(v, ":") {
		v += ":"
	}
	to := []string{"*"}
	if name == "relay_transport" {
		if to = i.domainsOf("relay"); to == nil {
			return
		}
	}
	m := i.t.Settings.Append("transport_map")
	m.About(i.why(name))
	m.Set("recipient", to, "")
	m.Set("to", v, "")
	i.took("transport_map", name)
}

// domainsOf are the domains of a class.
func (i *importer) domainsOf(class string) (out []string) {
	for n, d := range i.t.Settings.All("domain") {
		if d.Get("class") == `"`+class+`"` && n < len(i.ours) {
			name := strings.Trim(d.Get("name"), `"`)
			out = append(out, name)
			if d.Has("subdomains") {
				out = append(out, "."+name)
			}
		}
	}
	return out
}

// standing are services of master.cf that are part of any Postfix.
var standing = []string{"smtp", "relay", "lmtp", "local", "virtual", "error", "retry", "discard"}

// transports declares the ways by which mail leaves.
func (i *importer) transports() {
	i.nameTransports()
	for n, s := range i.master {
		if s.Err != nil || s.Type != "unix" {
			continue
		}
		switch s.Command {
		case "smtp", "lmtp":
			i.client(n, s)
		case "pipe":
			i.pipe(n, s)
		case "spawn":
			i.spawn(n, s)
		}
	}
	for name := range i.counts {
		i.paceOfNobody(name)
	}
}

// nameTransports notes which transports something names.
func (i *importer) nameTransports() {
	for _, name := range []string{"virtual_transport", "local_transport", "mailbox_transport", "fallback_transport", "content_filter"} {
		if transport, _, _ := strings.Cut(i.value(name), ":"); transport != "" {
			i.named[transport] = name
		}
	}
	for _, name := range []string{"transport_maps", "sender_dependent_default_transport_maps"} {
		for _, word := range i.words(name) {
			if isTable(word) {
				i.nameByTable(name, i.use(name, word))
			}
		}
	}
}

// nameByTable notes which transports a table names. One on a server may name any program.
func (i *importer) nameByTable(name string, t *table) {
	for _, e := range t.entries {
		if transport, _, found := strings.Cut(e.Value, ":"); found && transport != "" {
			i.named[transport] = name
		}
	}
	kind, rest, _ := strings.Cut(t.source, ":")
	served := slices.Contains(servers, kind) || kind == "tcp" || kind == "socketmap"
	for _, s := range i.master {
		if s.Command == "pipe" && i.named[s.Name] == "" && (served || t.entries == nil && strings.Contains(rest, s.Name+":")) {
			i.named[s.Name] = name
		}
	}
}

// client is a service that speaks SMTP or LMTP to others.
func (i *importer) client(n int, s Service) {
	if i.named[s.Name] == "content_filter" {
		i.services[n] = note{takeover.Waits, "milter", "it is the way to a content filter, of which facteur is to have its own"}
		for m := range s.Options {
			i.options[option{n, m}] = i.services[n]
		}
		return
	}
	t := &takeover.Table{}
	t.Set("name", s.Name, "")
	if s.Command == "lmtp" {
		t.Set("kind", "lmtp", "")
	}
	i.pace(t, s.Name)
	if limit, err := strconv.Atoi(s.MaxProcs); err == nil && limit > 0 && !slices.Contains(standing, s.Name) {
		t.Set("process_limit", limit, "")
	}
	for m, p := range s.Options {
		i.clientOption(t, option{n, m}, s, p)
	}
	least := 1 // the name
	if s.Command == "lmtp" {
		least = 2
	}
	if slices.Contains(standing, s.Name) && t.Len() == least {
		i.services[n] = note{takeover.Understood, "transport", "it is there without being declared"}
		return
	}
	t.About(fmt.Sprintf("master.cf:%d: %s", s.Line, oneLine(s.Text)))
	i.t.Settings.Add("transport", t)
	i.services[n] = note{takeover.Understood, "transport.name", ""}
}

// clientOption is a -o of a client.
func (i *importer) clientOption(t *takeover.Table, at option, s Service, p Param) {
	v := i.expand(p.Name, strings.ReplaceAll(p.Value, "$service_name", s.Name))
	key := map[string]string{
		"smtp_bind_address": "bind_address", "smtp_bind_address6": "bind_address", "smtp_helo_name": "helo", "inet_protocols": "inet_protocols",
		"smtp_address_preference": "address_preference", "smtp_tls_security_level": "tls_security_level", "syslog_name": "log_name",
		"myhostname": "helo",
	}[p.Name]
	said := note{takeover.Understood, "transport." + key, ""}
	switch {
	case key == "":
		r, known := remarkOf(p.Name)
		said = note{r.verdict, r.key, r.why}
		if _, main := parameterOf(p.Name); !known || main {
			said = note{takeover.NotSupported, "", "facteur has this for all transports together, or not at all"}
		}
	case v == "":
		said = note{takeover.NotNeeded, "", "it is empty"}
	case key == "bind_address":
		t.Set(key, append(t.List(key), strings.Trim(v, "[]")), "")
	case key == "log_name":
		v = strings.ReplaceAll(v, "/", "-")
		if v == "postfix-relay" {
			said = note{takeover.NotNeeded, "", "the log names each transport"}
			break
		}
		t.Set(key, v, "")
	case key == "inet_protocols":
		t.Set(key, i.protocols(v), "")
	default:
		t.Set(key, v, "")
	}
	i.options[at] = said
}

// pace takes the parameters of a transport, slow_destination_concurrency_limit and so on.
func (i *importer) pace(t *takeover.Table, name string) {
	for _, suffix := range paceOrder {
		of := name + suffix
		if !i.isSet(of) || suffix == "_time_limit" {
			continue
		}
		p := parameter{name: of, form: pace[suffix].form}
		value, err := i.convert(p)
		if err != nil {
			i.note(of, takeover.NotSupported, "transport."+pace[suffix].key, err.Error())
			continue
		}
		t.Set(pace[suffix].key, value, i.why(of))
		i.took("transport."+pace[suffix].key, of)
	}
}

// paceOfNobody says that the transport of a parameter is not there.
func (i *importer) paceOfNobody(name string) {
	for suffix := range pace {
		transport, is := strings.CutSuffix(name, suffix)
		if !is || i.notes[name].verdict != "" || transport == "default" || transport == "" {
			continue
		}
		if slices.Contains(standing, transport) {
			i.note(name, takeover.NotNeeded, "", "mailboxes here take what comes")
		} else if !slices.ContainsFunc(i.master, func(s Service) bool { return s.Name == transport }) {
			i.note(name, takeover.NotNeeded, "", "master.cf has no service "+transport)
		}
	}
}

// macroWord is a macro of pipe(8) without braces.
var macroWord = regexp.MustCompile(`\$([a-z_]+)`)

// pipe is a service that hands mail to a program.
func (i *importer) pipe(n int, s Service) {
	who := i.named[s.Name]
	switch {
	case who == "":
		i.services[n] = note{takeover.NotNeeded, "", "nothing names it"}
		return
	case who == "content_filter":
		i.services[n] = note{takeover.Waits, "milter", "a filter that mail is piped through is to be replaced by facteur's own, or by a milter"}
		return
	case who != "transport_maps" && who != "sender_dependent_default_transport_maps" && who != "default_transport" && who != "relay_transport":
		i.services[n] = note{takeover.Replaced, "directory", who + " hands mail to it; facteur delivers to mailboxes itself"}
		return
	}
	t := &takeover.Table{}
	t.About(fmt.Sprintf("master.cf:%d: %s", s.Line, oneLine(s.Text)))
	t.Set("name", s.Name, "")
	t.Set("kind", "pipe", "")
	said := note{takeover.Understood, "transport.command", ""}
	for at, word := range s.Args {
		name, v, _ := strings.Cut(word, "=")
		switch name {
		case "argv":
			t.Set("command", braced(append([]string{v}, s.Args[at+1:]...)), "")
			if !strings.HasPrefix(v, "/") {
				said = note{takeover.NotSupported, "transport.command", "the program needs its whole path"}
			}
		case "flags":
			t.Set("flags", strings.NewReplacer("X", "").Replace(v), "")
		case "user":
			user, _, _ := strings.Cut(v, ":")
			t.Set("user", user, "")
		case "null_sender":
			t.Set("null_sender", v, "")
		}
		if name == "argv" {
			break
		}
	}
	i.pace(t, s.Name)
	if limit := s.Name + "_time_limit"; i.isSet(limit) {
		if v, err := duration(i.value(limit), 's'); err == nil {
			t.Set("time_limit", v, i.why(limit))
			i.took("transport.time_limit", limit)
		}
	}
	i.services[n] = said
	if said.verdict == takeover.Understood {
		i.t.Settings.Add("transport", t)
	}
}

// braced writes macros as ${name}.
func braced(words []string) []string {
	for n, w := range words {
		words[n] = macroWord.ReplaceAllString(w, "$${$1}")
	}
	return words
}

// spawn is a service that starts a program for each client: policy servers mostly.
func (i *importer) spawn(n int, s Service) {
	text := strings.Join(s.Args, " ")
	if strings.Contains(text, "policyd-spf") || strings.Contains(text, "policy-spf") {
		i.services[n] = note{takeover.Replaced, "spf.mail_from_reject", "SPF is checked by facteur itself"}
		return
	}
	i.services[n] = note{takeover.NotSupported, "policy.address",
		"start it by a systemd socket unit (Accept=yes) and name the socket in [[policy]]: " + strings.Join(s.Args, " ")}
}

// paceOrder is the order of the keys in the file.
var paceOrder = []string{"_destination_concurrency_limit", "_initial_destination_concurrency", "_destination_concurrency_failed_cohort_limit",
	"_destination_rate_delay", "_destination_recipient_limit", "_time_limit"}
