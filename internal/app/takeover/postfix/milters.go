package postfix

import (
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
)

// milters declares the milters, with whose mail they see.
func (i *importer) milters() {
	inside, outside := i.milterWords("smtpd_milters"), i.milterWords("non_smtpd_milters")
	for _, m := range inside {
		services := []string(nil)
		if slices.Contains(outside, m) {
			services = []string{"smtp", "submission", "local"}
		}
		i.milter("smtpd_milters", m, services)
	}
	for _, m := range outside {
		if !slices.Contains(inside, m) {
			i.milter("non_smtpd_milters", m, []string{"local"})
		}
	}
	i.took("milter.address", "smtpd_milters")
	i.took("milter.services", "non_smtpd_milters")
	for _, name := range []string{"milter_default_action", "milter_connect_timeout", "milter_command_timeout", "milter_content_timeout"} {
		p, _ := parameterOf(name)
		i.took(p.key, name)
	}
}

// milterWords are the words of a list of milters, "{ inet:host:port, … }" as one.
func (i *importer) milterWords(name string) (out []string) {
	for _, w := range i.words(name) {
		out = append(out, oneLine(unbrace(w)))
	}
	return out
}

func (i *importer) milter(name, given string, services []string) {
	words := Words(given)
	if len(words) == 0 {
		return
	}
	m := i.t.Settings.Append("milter")
	if len(i.t.Settings.All("milter")) == 1 {
		m.About(i.why("smtpd_milters", "non_smtpd_milters"))
	}
	m.Set("address", i.socket(words[0]), "")
	if services != nil {
		m.Set("services", services, "")
	}
	set := map[string]string{}
	for _, key := range []string{"default_action", "connect_timeout", "command_timeout", "content_timeout"} {
		if i.isSet("milter_" + key) {
			set[key] = i.value("milter_" + key)
		}
	}
	for _, w := range words[1:] {
		key, v, _ := strings.Cut(w, "=")
		set[strings.TrimSpace(key)] = strings.TrimSpace(v)
	}
	for _, key := range []string{"default_action", "connect_timeout", "command_timeout", "content_timeout"} {
		switch v, found := set[key]; {
		case !found:
		case key == "default_action":
			m.Set(key, v, "")
		default:
			if d, err := duration(v, 's'); err == nil {
				m.Set(key, d, "")
			}
		}
	}
	i.took("milter.address", name)
}

// socket is where a milter or policy server listens. Paths count from Postfix's queue.
func (i *importer) socket(s string) string {
	kind, rest, _ := strings.Cut(s, ":")
	switch kind {
	case "unix", "local":
		if !filepath.IsAbs(rest) {
			rest = filepath.Join(i.value("queue_directory"), rest)
		}
		return "unix:" + rest
	case "inet":
		if port, host, at := strings.Cut(rest, "@"); at {
			rest = host + ":" + port
		}
		if !strings.Contains(rest, ":") {
			rest = "127.0.0.1:" + rest
		}
		return "inet:" + strings.Replace(rest, "localhost:", "127.0.0.1:", 1)
	}
	return s
}

// headerChecks says what becomes of the tables that look into messages.
func (i *importer) headerChecks() {
	for _, name := range []string{"header_checks", "mime_header_checks", "nested_header_checks", "body_checks", "milter_header_checks"} {
		for _, word := range i.words(name) {
			switch {
			case !isTable(word):
			case name == "header_checks":
				i.headerTable(name, unbrace(word))
			default:
				i.note(name, takeover.NotSupported, "rule", word+`: write rules at the stage "end" (docs/RULES.md); facteur's conditions see the header fields and the size of the body`)
			}
		}
		i.took("rule", name)
	}
	for _, name := range []string{"smtp_header_checks", "smtp_body_checks", "smtp_mime_header_checks", "smtp_nested_header_checks"} {
		if i.value(name) != "" {
			i.note(name, takeover.NotSupported, "rule", "messages are not changed on their way out; a rule at the stage \"end\" can do it on their way in")
		}
	}
}
