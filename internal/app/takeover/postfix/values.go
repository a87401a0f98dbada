package postfix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/app/takeover"
)

// simple sets everything that has a setting of the same meaning, and is set.
func (i *importer) simple() {
	for _, p := range parameters {
		if p.form == inParts || !i.isSet(p.name) && !i.decides(p.name) {
			continue
		}
		value, err := i.convert(p)
		switch {
		case err != nil:
			i.note(p.name, takeover.NotSupported, p.key, err.Error())
		case value == nil && i.notes[p.name].verdict != "": // it was said why
		case value == nil:
			i.note(p.name, takeover.NotNeeded, p.key, "it is empty")
		default:
			i.set(p.key, value, i.comment(p))
			i.note(p.name, takeover.Understood, p.key, p.why)
		}
	}
}

// decides tells that a parameter's default is another than ours, and that it decides
// what mail is taken.
func (i *importer) decides(name string) bool {
	switch name {
	case "recipient_delimiter", "message_size_limit":
		return true
	case "append_dot_mydomain":
		return i.yes(name)
	case "alias_maps":
		return i.value("mydestination") != "" && len(i.maps(name)) > 0
	}
	return false
}

func (i *importer) comment(p parameter) string {
	if !i.isSet(p.name) {
		return fmt.Sprintf("%s = %s, as Postfix has it where nothing is set", p.name, oneLine(i.value(p.name)))
	}
	return i.why(p.name)
}

// convert says a value in our words; nil is one that says nothing.
func (i *importer) convert(p parameter) (any, error) {
	v := i.value(p.name)
	_, elsewhere := i.replaced[p.name]
	switch {
	case v == "" && p.form == asWords && !elsewhere: // nothing, where the default may be something
		return []string{}, nil
	case v == "" && p.form != asText:
		return nil, nil
	}
	switch p.form {
	case asNumber:
		return number(p, v)
	case asSwitch:
		return yesNo(v)
	case asTime:
		return duration(v, 's')
	case asHours:
		return duration(v, 'h')
	case asDays:
		return duration(v, 'd')
	case asSize:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of bytes", v)
		}
		if n == 0 {
			return nil, nil // no limit; ours stays
		}
		return strconv.FormatInt(n, 10), nil
	case asWords:
		return Words(v), nil
	case asMaps:
		if maps := i.maps(p.name); maps != nil {
			return maps, nil
		}
		return nil, nil
	case asAddress:
		if !strings.Contains(v, "@") {
			v += "@" + i.origin()
		}
	case asNetwork:
		return i.prefixes(p.name, Words(v)), nil
	}
	return v, nil
}

// number is a count. 0 is "unlimited" in Postfix, and never here.
func number(p parameter, v string) (any, error) {
	n, err := strconv.Atoi(v)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is no number", v)
	case n == 0 && strings.HasSuffix(p.name, "cohort_limit"):
		return -1, nil
	case n == 0:
		return 10_000, nil
	}
	return n, nil
}

func yesNo(v string) (any, error) {
	switch strings.ToLower(v) {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return nil, fmt.Errorf(`expected "yes" or "no", found %q`, v)
}

// duration reads "90", "15m" or "1w", with the unit that a bare number has.
func duration(v string, unit byte) (any, error) {
	digits := strings.TrimRight(v, "smhdw")
	if digits != v {
		unit = v[len(digits)]
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || len(v)-len(digits) > 1 {
		return nil, fmt.Errorf("%q is no time", v)
	}
	if unit == 'w' {
		n, unit = 7*n, 'd'
	}
	return fmt.Sprintf("%d%c", n, unit), nil
}

// limits are settings in which 0 or nothing means that there is no limit.
func (i *importer) limits() {
	for _, name := range []string{"smtpd_client_connection_count_limit", "smtpd_client_connection_rate_limit",
		"smtpd_client_message_rate_limit", "smtpd_client_recipient_rate_limit", "smtp_connection_reuse_count_limit", "queue_minfree"} {
		p, _ := parameterOf(name)
		v := i.value(name)
		n, err := strconv.Atoi(v)
		switch {
		case !i.isSet(name):
		case err != nil:
			i.note(name, takeover.NotSupported, p.key, v+" is no number")
		case n == 0:
			i.note(name, takeover.Replaced, p.key, "nothing is unlimited here; facteur's own limit stays")
		default:
			i.set(p.key, n, i.why(name))
			if name == "queue_minfree" {
				i.set(p.key, strconv.Itoa(n), i.why(name))
			}
			i.took(p.key, name)
		}
	}
	if i.isSet("fast_flush_domains") {
		domains := slices.DeleteFunc(i.patterns("fast_flush_domains", i.words("fast_flush_domains")), func(d string) bool {
			if strings.HasPrefix(d, "!") {
				i.note("fast_flush_domains", takeover.NotSupported, "session.etrn_domains", d+": nothing can be taken out of this list; leave the domain out")
			}
			return strings.HasPrefix(d, "!")
		})
		i.set("session.etrn_domains", slices.Compact(domains), i.why("fast_flush_domains"))
		i.took("session.etrn_domains", "fast_flush_domains")
	}
	i.outgoingTLS()
	i.bind()
}

// outgoingTLS is TLS to other servers.
func (i *importer) outgoingTLS() {
	const level = "outbound.tls_security_level"
	demanded := i.value("smtp_tls_security_level")
	if demanded == "" && i.yes("smtp_enforce_tls") { // its name of before 2.3
		demanded = "verify"
		if !i.yes("smtp_tls_enforce_peername") {
			demanded = "encrypt"
		}
		i.set(level, demanded, i.why("smtp_enforce_tls", "smtp_tls_enforce_peername"))
		i.took(level, "smtp_enforce_tls", "smtp_tls_enforce_peername")
	}
	switch v := i.value("smtp_tls_security_level"); v {
	case "", "may":
		i.note("smtp_tls_security_level", takeover.Understood, level, "TLS is used wherever it is offered; that is the default")
	case "none", "encrypt", "verify", "secure":
		i.set(level, v, i.why("smtp_tls_security_level"))
		i.took(level, "smtp_tls_security_level")
	case "dane", "dane-only":
		i.set(level, v, i.why("smtp_tls_security_level"))
		i.set("dns.trust_ad", true, "The resolver's word on DNSSEC is believed, as Postfix did: it has to be on this machine, or near.")
		i.note("smtp_tls_security_level", takeover.Understood, level, "with dns.trust_ad: the resolver's word on DNSSEC is believed")
	default:
		i.note("smtp_tls_security_level", takeover.NotSupported, level, "write a [[tls_policy]] for each destination")
	}
	if v := leastTLS(i.value("smtp_tls_protocols")); v != "" && i.isSet("smtp_tls_protocols") {
		i.set("outbound.tls_min_version", v, i.why("smtp_tls_protocols"))
	}
	i.note("smtp_tls_protocols", takeover.Understood, "outbound.tls_min_version", "")
	if v := i.value("smtp_tls_loglevel"); v != "0" && v != "" {
		i.set("outbound.tls_loglevel", 1, i.why("smtp_tls_loglevel"))
	}
	i.took("outbound.tls_loglevel", "smtp_tls_loglevel")
	if v := i.value("smtp_tls_CAfile"); v != "" && v != "/etc/ssl/certs/ca-certificates.crt" && i.there("smtp_tls_CAfile", v) {
		i.set("outbound.tls_ca_file", v, i.why("smtp_tls_CAfile"))
	}
	i.note("smtp_tls_CAfile", takeover.Understood, "outbound.tls_ca_file", "without it, the system's authorities count")
}

// leastTLS is the least version that a list of protocols leaves, "" if that is older
// than 1.2 or not said.
func leastTLS(v string) string {
	words := Words(v)
	for _, w := range words {
		if n, is := strings.CutPrefix(w, ">=TLSv"); is && (n == "1.2" || n == "1.3") {
			return n
		}
	}
	off := func(name string) bool { return slices.Contains(words, "!"+name) }
	switch only := slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "TLSv1.") }); {
	case only && !slices.Contains(words, "TLSv1") && !slices.Contains(words, "TLSv1.1") && slices.Contains(words, "TLSv1.2"):
		return "1.2"
	case off("TLSv1") && off("TLSv1.1") && off("TLSv1.2"):
		return "1.3"
	case off("TLSv1") && off("TLSv1.1"):
		return "1.2"
	}
	return ""
}

// bind is where outgoing connections come from.
func (i *importer) bind() {
	var from []string
	for _, name := range []string{"smtp_bind_address", "smtp_bind_address6"} {
		if v := strings.Trim(i.value(name), "[]"); v != "" && v != "0.0.0.0" && v != "::" {
			from = append(from, v)
			i.took("outbound.bind_address", name)
		}
	}
	if from != nil {
		i.set("outbound.bind_address", from, i.why("smtp_bind_address", "smtp_bind_address6"))
	}
	if v := i.protocols(i.value("inet_protocols")); v != "all" {
		i.set("outbound.inet_protocols", v, i.why("inet_protocols"))
	}
}

// protocols is "all", "ipv4" or "ipv6".
func (i *importer) protocols(v string) string {
	words := Words(v)
	four, six := slices.Contains(words, "ipv4"), slices.Contains(words, "ipv6")
	switch {
	case four && !six:
		return "ipv4"
	case six && !four:
		return "ipv6"
	}
	return "all"
}

// there tells that a file that a parameter names can be read, and complains otherwise.
func (i *importer) there(name, path string) bool {
	if _, err := i.file(path); err != nil {
		i.note(name, takeover.NotSupported, "", "the file can't be read: "+err.Error())
		return false
	}
	return true
}
