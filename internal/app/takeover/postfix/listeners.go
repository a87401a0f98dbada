package postfix

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
)

// listeners declares where the server listens: what master.cf has, and the socket of
// the command sendmail.
func (i *importer) listeners() {
	declared := 0
	for n, s := range i.master {
		if s.Err != nil {
			i.services[n] = note{takeover.Unknown, "", s.Err.Error()}
			continue
		}
		if s.Type == "inet" && i.disabled(s) {
			i.turnedOff(n, s)
			continue
		}
		if s.Type == "inet" {
			if i.inet(n, s) {
				declared++
			}
			continue
		}
		i.inner(n, s)
	}
	i.took("listen", "master_service_disable")
	switch have := len(i.t.Settings.All("listen")) > 0; {
	case declared > 0:
	case len(i.master) > 0:
		i.t.Report.Add(takeover.Line{File: i.masterFile(), Verdict: takeover.Understood, Key: "listen",
			Why: "it has no port by which mail comes in, and none is opened; programs of this machine send by the command sendmail"})
	case !have && slices.Equal(i.words("inet_interfaces"), []string{"all"}):
		return // the standard listeners
	default: // Dovecot's are there and more than those are wanted, or not on all addresses
		i.standard()
	}
	l := i.t.Settings.Append("listen")
	l.About("Programs of this machine, by the command sendmail.")
	l.Set("service", "local", "")
	l.Set("address", "unix:/run/facteur/sendmail.sock", "")
	if !i.dovecot {
		i.imap()
	}
}

// standard declares the ports of a Postfix whose master.cf nobody has.
func (i *importer) standard() {
	for _, service := range []string{"smtp", "submission", "submissions"} {
		if i.t.Settings.Find("listen", "service", service) != nil {
			continue
		}
		for _, address := range i.addressesOf("", ports[service]) {
			l := i.t.Settings.Append("listen")
			l.Set("service", service, "")
			l.Set("address", address, "")
		}
	}
}

// disabled tells that master_service_disable names a service. The first word that does
// counts, and "!" before it spares the service.
func (i *importer) disabled(s Service) bool {
	for _, word := range i.words("master_service_disable") {
		pattern, spared := strings.CutPrefix(word, "!")
		if pattern == s.Type || pattern == s.Name+"/"+s.Type || pattern == s.Name+"."+s.Type { // "." before 2.11
			return !spared
		}
	}
	return false
}

func (i *importer) turnedOff(n int, s Service) {
	off := note{takeover.NotNeeded, "listen", "master_service_disable turns it off"}
	i.services[n] = off
	for m := range s.Options {
		i.options[option{n, m}] = off
	}
}

// imap says what is missing beside SMTP.
func (i *importer) imap() {
	i.t.Report.Add(takeover.Line{File: i.masterFile(), Verdict: takeover.NotNeeded,
		Why: "Postfix has no IMAP and POP3; \"facteur import dovecot\" brings them, or [[listen]] with service = \"imap\" and \"imaps\"", Key: "listen"})
}

// inner is a service that is no port.
func (i *importer) inner(n int, s Service) {
	if _, said := i.services[n]; said {
		return
	}
	switch {
	case s.Command == "smtpd" && s.Type == "pass":
		i.services[n] = note{takeover.Understood, "pregreet", "the SMTP server behind postscreen"}
		i.smtpdOptions(n, s, "smtp", nil)
	case s.Command == "smtpd":
		i.services[n] = note{takeover.NotSupported, "listen", "only listeners on ports are taken over; [[listen]] can have a Unix socket"}
	case slices.Contains([]string{"error", "retry", "discard", "local", "virtual"}, s.Command):
		i.services[n] = note{takeover.Understood, "transport", "it is there without being declared"}
	case s.Command == "qmqpd":
		i.services[n] = note{takeover.NotSupported, "", "there is no QMQP here"}
	default:
		i.services[n] = note{takeover.NotNeeded, "", "facteur is one process"}
	}
	for m := range s.Options {
		if _, said := i.options[option{n, m}]; !said && s.Command != "smtpd" {
			i.options[option{n, m}] = note{takeover.NotNeeded, "", "facteur is one process"}
		}
	}
}

// inet is a port. It tells whether it was declared.
func (i *importer) inet(n int, s Service) bool {
	if s.Command != "smtpd" && s.Command != "postscreen" {
		i.services[n] = note{takeover.NotSupported, "listen", "facteur has no " + s.Command}
		return false
	}
	host, port := hostPort(s.Name)
	service := i.serviceOf(s, port)
	if i.isReturn(s, host, port) {
		i.services[n] = note{takeover.NotNeeded, "", "here mail came back from a content filter; there is none"}
		for m := range s.Options {
			i.options[option{n, m}] = note{takeover.NotNeeded, "", "the port is not needed"}
		}
		return false
	}
	addresses := i.addressesOf(host, port)
	var first *takeover.Table
	for _, a := range addresses {
		l := i.t.Settings.Append("listen")
		l.Set("service", service, "")
		l.Set("address", a, "")
		if service == "smtp" && i.optionOf(s, "smtpd_sasl_auth_enable") == "yes" {
			l.Set("auth", true, "Users may log in here, under TLS (smtpd_sasl_auth_enable).")
		}
		if first == nil {
			first = l
			l.About(fmt.Sprintf("master.cf:%d: %s", s.Line, oneLine(strings.Split(s.Text, "\n")[0])))
		}
		i.smtpdOptions(n, s, service, l)
	}
	i.services[n] = note{takeover.Understood, "listen", "service " + service}
	return len(addresses) > 0
}

// hostPort divides the name of a service: "smtp", "127.0.0.1:10025", "[::1]:25".
func hostPort(name string) (host, port string) {
	at := strings.LastIndexByte(name, ':')
	if at >= 0 {
		host = strings.Trim(name[:at], "[]")
	}
	port = name[at+1:]
	if known := ports[port]; known != "" {
		port = known
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	return host, port
}

// serviceOf is what is spoken: submission is where only users come in.
func (i *importer) serviceOf(s Service, port string) string {
	users := i.optionOf(s, "smtpd_sasl_auth_enable") == "yes"
	closed := false
	for _, name := range []string{"smtpd_client_restrictions", "smtpd_relay_restrictions", "smtpd_recipient_restrictions"} {
		words := Words(i.optionOf(s, name))
		closed = closed || len(words) > 0 && words[len(words)-1] == "reject" && slices.Contains(words, "permit_sasl_authenticated")
	}
	switch {
	case i.optionOf(s, "smtpd_tls_wrappermode") == "yes" || port == "465":
		return "submissions"
	case port == "587" || users && closed && port != "25":
		return "submission"
	}
	return "smtp"
}

// optionOf is what a parameter is for a service.
func (i *importer) optionOf(s Service, name string) string {
	if v, found := s.Option(name); found {
		return i.expand(name, v)
	}
	return i.value(name)
}

// isReturn tells a port by which a content filter gives mail back.
func (i *importer) isReturn(s Service, host, port string) bool {
	if port == "25" || port == "587" || port == "465" {
		return false
	}
	if v, found := s.Option("content_filter"); found && v == "" && (i.value("content_filter") != "" || i.anyFilter()) {
		return true
	}
	a, err := netip.ParseAddr(host)
	_, overrides := s.Option("receive_override_options")
	return err == nil && a.IsLoopback() && overrides
}

func (i *importer) anyFilter() bool {
	return slices.ContainsFunc(i.master, func(s Service) bool {
		v, _ := s.Option("content_filter")
		return v != ""
	})
}

// addressesOf are the addresses of a port, by inet_interfaces and inet_protocols.
func (i *importer) addressesOf(host, port string) (out []string) {
	protocols := i.protocols(i.value("inet_protocols"))
	hosts := []string{host}
	if host == "" {
		hosts = i.words("inet_interfaces")
	}
	for _, h := range hosts {
		h = strings.Trim(h, "[]")
		switch {
		case h == "all" && protocols == "ipv4":
			out = append(out, "0.0.0.0:"+port)
		case h == "all":
			out = append(out, ":"+port)
		case h == "loopback-only" || h == "localhost":
			if protocols != "ipv6" {
				out = append(out, "127.0.0.1:"+port)
			}
			if protocols != "ipv4" {
				out = append(out, "[::1]:"+port)
			}
		default:
			a, err := netip.ParseAddr(h)
			if err != nil {
				i.note("inet_interfaces", takeover.NotSupported, "listen.address", h+" is a name; facteur listens on addresses")
				continue
			}
			if a.Is4() && protocols != "ipv6" || a.Is6() && protocols != "ipv4" {
				out = append(out, netip.AddrPortFrom(a, 0).String())
				out[len(out)-1] = strings.TrimSuffix(out[len(out)-1], ":0") + ":" + port
			}
		}
	}
	return slices.Compact(out)
}

// smtpdOptions takes the -o of an SMTP server.
func (i *importer) smtpdOptions(n int, s Service, service string, l *takeover.Table) {
	users := service != "smtp"
	for m, p := range s.Options {
		v := i.expand(p.Name, p.Value)
		said := note{takeover.NotSupported, "listen", "facteur has this for all listeners together"}
		switch main := i.value(p.Name); p.Name {
		case "smtpd_tls_wrappermode", "smtpd_tls_security_level", "smtpd_sasl_auth_enable", "smtpd_tls_auth_only", "smtpd_enforce_tls", "smtpd_use_tls":
			said = note{takeover.Understood, "listen.service", "that is what the service " + service + " is"}
			if v == "no" || v == "none" {
				said = note{takeover.Replaced, "listen.service", "log-in and STARTTLS are part of the service " + service}
			}
		case "smtpd_client_restrictions", "smtpd_relay_restrictions", "smtpd_recipient_restrictions", "smtpd_sender_restrictions", "smtpd_helo_restrictions",
			"smtpd_data_restrictions", "smtpd_end_of_data_restrictions":
			said = i.restrictionOption(p.Name, v, users)
		case "smtpd_tls_req_ccert":
			said = demandedCertificate(v)
		case "smtpd_upstream_proxy_protocol":
			said = note{takeover.Understood, "listen.proxy_protocol", "name the proxies in proxy_networks"}
			if l != nil && v != "" {
				l.Set("proxy_protocol", true, "")
				l.Set("proxy_networks", []string{"127.0.0.0/8"}, "Name the proxies here; nobody else may connect.")
			}
		case "smtpd_tls_protocols", "smtpd_tls_mandatory_protocols":
			if least := leastTLS(v); least != "" && l != nil {
				l.Set("tls_min_version", least, "")
			}
			said = note{takeover.Understood, "listen.tls_min_version", ""}
		case "syslog_name", "milter_macro_daemon_name", "smtpd_banner", "myhostname", "smtpd_reject_unlisted_recipient", "smtpd_delay_reject", "smtpd_sasl_type",
			"smtpd_sasl_path", "smtpd_sasl_security_options", "smtpd_sasl_tls_security_options", "smtpd_sasl_local_domain", "local_header_rewrite_clients", "smtpd_tls_ask_ccert":
			said = note{takeover.NotNeeded, "", "listeners differ by their service, not by this"}
		case "mynetworks", "smtpd_recipient_limit", "smtpd_sender_login_maps", "smtpd_milters", "content_filter":
			if v == main {
				said = note{takeover.NotNeeded, "", "it is the same everywhere"}
			} else if v == "" && p.Name == "smtpd_milters" {
				said = note{takeover.Replaced, "milter.services", "milter.services says whose mail each milter sees"}
			} else if p.Name == "content_filter" {
				r, _ := remarkOf(p.Name)
				said = note{r.verdict, r.key, r.why}
			}
		default:
			if r, known := remarkOf(p.Name); known && r.verdict != takeover.Understood {
				said = note{r.verdict, r.key, r.why}
			} else if _, known := i.defaults[p.Name]; !known && !i.isSet(p.Name) {
				said = note{takeover.Unknown, "", "Postfix has no such parameter"}
			} else if v == main {
				said = note{takeover.NotNeeded, "", "it is the same everywhere"}
			}
		}
		i.options[option{n, m}] = said
	}
}

// restrictionOption judges restrictions of one listener.
func (i *importer) restrictionOption(name, v string, users bool) note {
	words := Words(v)
	plain := !slices.ContainsFunc(words, func(w string) bool {
		w = i.newer(w)
		return restrictionWords[w].then != "" && w != "reject" || tableWords[w].fact != "" || strings.HasPrefix(w, "check_")
	})
	switch {
	case v == i.value(name):
		return note{takeover.NotNeeded, "", "it is the same everywhere"}
	case plain && (users || !slices.Contains(words, "reject")):
		return note{takeover.Understood, "listen.service", "users log in there; nobody else sends to anywhere"}
	}
	return note{takeover.NotSupported, "rule", `a rule can ask for its listener: when = 'service == "submission" && …'`}
}
