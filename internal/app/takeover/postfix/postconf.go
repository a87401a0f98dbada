package postfix

import (
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/build"
	"facteur/internal/base/conf"
)

// Values are the settings under the names that Postfix has for them, in its notation:
// what postconf tells. Only what means the same is there.
func Values(c *config.Config) map[string]string {
	out := map[string]string{}
	for _, p := range parameters {
		if v, found := lookUp(reflect.ValueOf(*c), p.key); found {
			out[p.name] = notation(p, v)
		}
	}
	domainClasses(c, out)
	listening(c, out)
	sending(c, out)
	asking(c, out)
	out["mail_version"] = build.This().Version
	out["data_directory"], out["queue_directory"] = c.DataDir, c.DataDir
	out["config_directory"] = filepath.Dir(c.Path())
	if c.Path() == "" {
		out["config_directory"] = ""
	}
	out["alias_database"] = out["alias_maps"]
	_, out["mydomain"], _ = strings.Cut(c.Hostname, ".")
	out["smtpd_sasl_auth_enable"] = "yes"
	return out
}

// WhyNot says why a name of Postfix's has no value here; "" for names that Postfix does
// not have either.
func WhyNot(name string) string {
	if r, found := remarkOf(name); found {
		if r.key != "" {
			return strings.TrimPrefix(r.why+"; see "+r.key, "; ")
		}
		return r.why
	}
	if _, known := Defaults()[name]; known {
		return "facteur has nothing like it"
	}
	return ""
}

// lookUp finds the value of "table.key".
func lookUp(v reflect.Value, key string) (reflect.Value, bool) {
	name, rest, more := strings.Cut(key, ".")
	for n := range v.NumField() {
		if v.Type().Field(n).Tag.Get("toml") != name {
			continue
		}
		field := v.Field(n)
		switch {
		case !more:
			return field, true
		case field.Kind() == reflect.Struct:
			return lookUp(field, rest)
		}
		return reflect.Value{}, false
	}
	return reflect.Value{}, false
}

// notation writes a value as main.cf has it.
func notation(p parameter, v reflect.Value) string {
	switch x := v.Interface().(type) {
	case conf.Duration:
		return inUnits(x.Std())
	case conf.Size:
		return strconv.FormatInt(int64(x), 10)
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Bool:
		return map[bool]string{true: "yes", false: "no"}[v.Bool()]
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(max(v.Int(), 0), 10) // -1 is any number, for which Postfix has 0
	case reflect.Slice:
		items := make([]string, v.Len())
		for n := range items {
			items[n] = notation(p, v.Index(n))
		}
		return strings.Join(items, ", ")
	}
	return v.String()
}

// inUnits writes a time in the largest unit that has no rest.
func inUnits(d time.Duration) string {
	for _, u := range []struct {
		length time.Duration
		letter string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d > 0 && d%u.length == 0 {
			return strconv.FormatInt(int64(d/u.length), 10) + u.letter
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

func domainClasses(c *config.Config, out map[string]string) {
	classes := map[string]string{"local": "mydestination", "alias": "virtual_alias_domains", "relay": "relay_domains", "mailbox": "virtual_mailbox_domains", "": "virtual_mailbox_domains"}
	for _, name := range classes {
		out[name] = ""
	}
	for _, d := range c.Domains {
		name := classes[string(d.Class)]
		if d.AliasOf != "" {
			name = "virtual_alias_domains"
		}
		out[name] = strings.TrimPrefix(out[name]+", "+d.Name, ", ")
	}
	if out["myorigin"] == "" {
		out["myorigin"] = c.Home()
	}
}

// listening is where the server listens.
func listening(c *config.Config, out map[string]string) {
	var hosts []string
	for _, l := range c.Listen {
		if l.Service != config.SMTP || l.Address.Path != "" {
			continue
		}
		host := l.Address.Host
		if host == "" || host == "0.0.0.0" || host == "::" {
			host = "all"
		}
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	out["inet_interfaces"] = strings.Join(hosts, ", ")
	out["inet_protocols"] = string(c.Outbound.InetProtocols)
	if len(c.TLS.Certificate) > 0 {
		out["smtpd_tls_cert_file"], out["smtpd_tls_key_file"] = c.TLS.Certificate[0], c.TLS.Key[0]
	}
	out["smtpd_tls_security_level"] = "may"
}

func sending(c *config.Config, out map[string]string) {
	var hosts []string
	for _, h := range c.Outbound.Smarthost {
		hosts = append(hosts, net.JoinHostPort("["+strings.Trim(h.Host, "[]")+"]", strconv.Itoa(int(h.Port))))
	}
	out["relayhost"] = strings.Join(hosts, ", ")
	out["smtp_bind_address"], out["smtp_bind_address6"] = "", ""
	for _, a := range c.Outbound.BindAddress {
		if a.Is4() {
			out["smtp_bind_address"] = a.String()
		} else {
			out["smtp_bind_address6"] = a.String()
		}
	}
	if out["smtp_tls_security_level"] == "" {
		out["smtp_tls_security_level"] = map[bool]string{true: "dane", false: "may"}[c.DNS.TrustAD]
	}
	if least := out["smtp_tls_protocols"]; least != "" {
		out["smtp_tls_protocols"] = ">=TLSv" + least
	}
	out["smtp_helo_name"] = c.HeloName()
}

func asking(c *config.Config, out map[string]string) {
	var inside, outside []string
	for _, m := range c.Milters {
		local := slices.ContainsFunc(m.Services, func(s config.AskedService) bool { return s == "local" })
		if local {
			outside = append(outside, m.Address.String())
		}
		if !local || len(m.Services) > 1 {
			inside = append(inside, m.Address.String())
		}
	}
	out["smtpd_milters"], out["non_smtpd_milters"] = strings.Join(inside, ", "), strings.Join(outside, ", ")
}
