package postfix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/app/takeover"
)

// The stages of rules in their order.
var stages = []string{"connect", "helo", "mail", "rcpt", "data", "end"}

// restrictionLists are the lists of main.cf with the stage at which each is asked.
var restrictionLists = []struct{ name, stage string }{
	{"smtpd_client_restrictions", "connect"},
	{"smtpd_helo_restrictions", "helo"},
	{"smtpd_sender_restrictions", "mail"},
	{"smtpd_relay_restrictions", "rcpt"},
	{"smtpd_recipient_restrictions", "rcpt"},
	{"smtpd_data_restrictions", "data"},
	{"smtpd_end_of_data_restrictions", "end"},
}

// verdicts on conditions: what a restriction of Postfix is in the words of a rule.
type restriction struct {
	stage string // the first at which its facts are known
	when  string
	then  string // "" for what permits: it spares mail what follows
}

// restrictionWords are those without an argument.
var restrictionWords = map[string]restriction{
	"permit_mynetworks":                            {"connect", `trusted`, ""},
	"permit_sasl_authenticated":                    {"connect", `account != ""`, ""},
	"permit_tls_all_clientcerts":                   {"connect", `tls.cert_name != ""`, ""},
	"permit_inet_interfaces":                       {"connect", `client.in("127.0.0.0/8", "::1/128")`, ""},
	"permit_auth_destination":                      {"rcpt", `hosted(recipient.domain)`, ""},
	"reject_invalid_helo_hostname":                 {"helo", `!valid_hostname(helo)`, "reject 501 5.5.2 Invalid name"},
	"reject_non_fqdn_helo_hostname":                {"helo", `!fqdn(helo)`, "reject 504 5.5.2 Need fully-qualified hostname"},
	"reject_unknown_helo_hostname":                 {"helo", `!resolves(helo)`, "defer 450 4.7.1 Host not found"},
	"reject_unknown_client_hostname":               {"connect", `client.name == "unknown"`, "defer 450 4.7.25 Client host rejected: cannot find your hostname"},
	"reject_unknown_sender_domain":                 {"mail", `sender.domain != "" && !hosted(sender.domain) && !resolves(sender.domain)`, "defer 450 4.1.8 Sender address rejected: Domain not found"},
	"reject_unknown_recipient_domain":              {"rcpt", `recipient.domain != "" && !hosted(recipient.domain) && !resolves(recipient.domain)`, "defer 450 4.1.2 Recipient address rejected: Domain not found"},
	"reject_non_fqdn_sender":                       {"mail", `sender.address != "" && !fqdn(sender.domain)`, "reject 504 5.5.2 Sender address rejected: need fully-qualified address"},
	"reject_non_fqdn_recipient":                    {"rcpt", `recipient.domain != "" && !hosted(recipient.domain) && !fqdn(recipient.domain)`, "reject 504 5.5.2 Recipient address rejected: need fully-qualified address"},
	"reject_unauth_pipelining":                     {"connect", `"pipelining" in remarks`, "reject 503 5.5.0 Improper use of SMTP command pipelining"},
	"reject_multi_recipient_bounce":                {"data", `sender.address == "" && recipients > 1`, "reject 550 5.5.3 Multi-recipient bounce"},
	"reject_plaintext_session":                     {"connect", `!tls.active`, "defer 450 4.7.1 Session encryption is required"},
	"reject":                                       {"connect", ``, "reject 554 5.7.1 Access denied"},
	"defer":                                        {"connect", ``, "defer 450 4.3.2 Try again later"},
	"reject_sender_login_mismatch":                 {"mail", `account == "" && sender.address != "" && !local`, "reject 553 5.7.1 Sender address rejected: not logged in"},
	"reject_unauthenticated_sender_login_mismatch": {"mail", `account == "" && sender.address != "" && !local`, "reject 553 5.7.1 Sender address rejected: not logged in"},
}

// olderWords are names of before 2.3.
var olderWords = map[string]string{
	"reject_invalid_hostname": "reject_invalid_helo_hostname", "reject_non_fqdn_hostname": "reject_non_fqdn_helo_hostname",
	"reject_unknown_hostname": "reject_unknown_helo_hostname", "reject_unknown_client": "reject_unknown_client_hostname",
	"permit_tls_clientcerts": "permit_tls_clientcerts", "reject_maps_rbl": "reject_rbl_client", "check_relay_domains": "reject_unauth_destination",
}

// builtIn are restrictions that the server obeys without being told.
var builtIn = []string{"reject_unauth_destination", "defer_unauth_destination", "reject_unlisted_recipient", "reject_unlisted_sender",
	"reject_authenticated_sender_login_mismatch", "reject_known_sender_login_mismatch"}

// tableWords are restrictions that ask a table, with the fact that they ask it for.
var tableWords = map[string]struct{ stage, fact string }{
	"check_client_access":    {"connect", "client"},
	"check_helo_access":      {"helo", "helo"},
	"check_sender_access":    {"mail", "sender"},
	"check_recipient_access": {"rcpt", "recipient"},
	"check_sasl_access":      {"connect", "account"},
	"check_ccert_access":     {"connect", "tls.fingerprint"},
}

// waitingWords have an argument and wait for a part of facteur that is not there.
var waitingWords = []string{"reject_rbl_client", "reject_rhsbl_client", "reject_rhsbl_helo", "reject_rhsbl_sender", "reject_rhsbl_recipient",
	"reject_rhsbl_reverse_client", "permit_dnswl_client", "permit_rhswl_client"}

// restrictions turns the lists into rules and policy servers.
func (i *importer) restrictions() {
	i.senderLogins()
	i.demandTLS()
	lists := make([]*ruling, len(restrictionLists))
	for n, l := range restrictionLists {
		lists[n] = &ruling{importer: i, list: l.name, stage: i.stageFor(i.words(l.name), l.stage)}
		if i.isSet(l.name) {
			lists[n].about = i.why(l.name)
		}
	}
	for n, l := range restrictionLists {
		r, words := lists[n], i.words(l.name)
		if i.mayAccept(words) && i.followed(r.stage, lists[n+1:]) {
			r.class, r.asks = l.name, true
		}
		r.all(words)
		if r.made == 0 && i.isSet(l.name) {
			i.note(l.name, takeover.Understood, "", "the server does that by itself")
		}
		i.took("rule", l.name)
	}
	for _, class := range i.words("smtpd_restriction_classes") {
		if i.isSet(class) && i.classes[class] == "" {
			i.restrictionClass(class, "rcpt")
		}
	}
	i.took("rule.class", "smtpd_restriction_classes")
	if i.value("smtpd_etrn_restrictions") != "" {
		i.note("smtpd_etrn_restrictions", takeover.Replaced, "session.etrn", "who is trusted or has logged in may ask")
	}
}

// mayAccept tells lists in which a table or a class may say OK.
func (i *importer) mayAccept(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool {
		return isTable(w) || tableWords[i.newer(strings.ToLower(w))].fact != "" || slices.Contains(i.words("smtpd_restriction_classes"), w)
	})
}

// followed tells that rules of later lists may stand behind those of a list at a stage.
// In Postfix an OK ends its own list, and none of theirs is spared.
func (i *importer) followed(stage string, later []*ruling) bool {
	return stage == "end" && i.value("header_checks") != "" || slices.ContainsFunc(later, func(r *ruling) bool {
		words := i.words(r.list)
		return r.stage == stage && (i.mayAccept(words) || slices.ContainsFunc(words, func(w string) bool {
			w = i.newer(strings.ToLower(w))
			return restrictionWords[w].then != "" || w == "sleep"
		}))
	})
}

// stageFor is the first stage, not before at, at which all facts of a list are known.
// Postfix may ask for a recipient in the list of the client, because it asks that list when
// it knows the recipient.
func (i *importer) stageFor(words []string, at string) string {
	latest := slices.Index(stages, at)
	for _, w := range words {
		w = i.newer(w)
		known, found := restrictionWords[w]
		if !found {
			known.stage = tableWords[w].stage
		}
		latest = max(latest, slices.Index(stages, known.stage))
	}
	return stages[latest]
}

func (i *importer) newer(word string) string {
	if now := olderWords[word]; now != "" {
		return now
	}
	return word
}

// ruling is one list of restrictions that becomes rules.
type ruling struct {
	*importer
	list, stage string
	class       string
	asks        bool     // the rule that asks the class is not written yet
	about       string   // the comment above the first rule
	guards      []string // conditions of what was permitted before
	warn        bool     // warn_if_reject stands before the next
	made        int      // rules and policy servers
	rules       int
}

func (r *ruling) all(words []string) {
	for n := 0; n < len(words); n++ {
		word := r.newer(strings.ToLower(words[n]))
		if isTable(words[n]) { // the old form: a table by itself
			r.access("check_"+map[string]string{"connect": "client", "helo": "helo", "mail": "sender"}[r.stage]+"_access", words[n])
			continue
		}
		argument := ""
		if takesArgument(word) && n+1 < len(words) {
			n++
			argument = words[n]
		}
		if word == "permit" {
			return
		}
		r.one(word, argument, words[n])
		if word != "warn_if_reject" {
			r.warn = false
		}
		if word == "reject" || word == "defer" {
			return // nothing behind it is asked
		}
	}
}

func takesArgument(word string) bool {
	return strings.HasPrefix(word, "check_") || slices.Contains(waitingWords, word) || word == "sleep"
}

// one makes what a restriction asks for.
func (r *ruling) one(word, argument, given string) {
	known, found := restrictionWords[word]
	switch {
	case found && known.then == "":
		r.guards = append(r.guards, known.when)
	case slices.Contains(builtIn, word):
		if word == "reject_unlisted_sender" {
			r.set("access.reject_unlisted_sender", true, r.why(r.list))
		}
		r.note(r.list, takeover.Understood, "rule", "")
	case strings.HasSuffix(word, "sender_login_mismatch"):
		r.senderMismatch(word, known)
	case found:
		r.rule(word, known.when, known.then)
	case tableWords[word].fact != "":
		r.access(word, argument)
	case word == "check_policy_service":
		r.policy(argument)
	case slices.Contains(waitingWords, word):
		r.note(r.list, takeover.Waits, "", word+" "+argument+": lists in the DNS come with the filter of spam")
	case word == "warn_if_reject":
		r.warn = true
	case word == "sleep":
		r.rule("sleep", "", "sleep "+strconv.Itoa(min(seconds(argument), 10))+"s")
	case word == "permit_tls_clientcerts":
		r.certificates()
	case word == "reject_unknown_reverse_client_hostname":
		r.note(r.list, takeover.NotSupported, "rule", word+`: facteur knows only names that lead back to the address (client.name == "unknown" refuses more)`)
	case slices.Contains(r.words("smtpd_restriction_classes"), given):
		r.restrictionClass(given, r.stage)
		r.rule("class "+given, "", "class "+given)
	default:
		r.note(r.list, takeover.NotSupported, "rule", strings.TrimSpace(word+" "+argument)+" has no counterpart")
	}
}

func seconds(s string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(s, "s"))
	return n
}

// ask writes the rule that asks the class of a list.
func (r *ruling) ask() {
	r.asks = false
	outside := &ruling{importer: r.importer, list: r.list, stage: r.stage, about: r.about}
	outside.rule(r.list, "", "ask "+r.class)
	r.about = ""
}

// rule writes one rule. What was permitted before it is spared.
func (r *ruling) rule(name, when, then string) {
	if r.warn {
		then = "warn " + name
	}
	if r.asks {
		r.ask()
	}
	t := r.t.Settings.Append("rule")
	t.About(r.about)
	r.about = ""
	t.Set("name", r.unused(name), "")
	t.Set("stage", r.stage, "")
	if when = r.condition(when); when != "" {
		t.Set("when", when, "")
	}
	t.Set("then", then, "")
	if r.class != "" {
		t.Set("class", r.class, "")
	}
	r.made++
	r.rules++
}

// condition is when, of mail that nothing before it permitted.
func (r *ruling) condition(when string) string {
	var all []string
	for _, g := range r.guards {
		all = append(all, not(g))
	}
	if when != "" {
		all = append(all, when)
	}
	return strings.Join(all, " && ")
}

// not turns a condition round, as a person would write it.
func not(condition string) string {
	if left, right, found := strings.Cut(condition, " != "); found && !strings.Contains(right, " ") {
		return left + " == " + right
	}
	return "!" + condition
}

// access asks a table and does what it says.
func (r *ruling) access(word, source string) {
	fact := tableWords[word].fact
	if fact == "" {
		r.note(r.list, takeover.NotSupported, "rule", word+" "+source+" has no counterpart")
		return
	}
	listed, ok := r.importer.list(r.list, unbrace(source))
	if !ok {
		return
	}
	for _, e := range r.use(r.list, unbrace(source)).entries {
		for _, class := range Words(e.Value) {
			if slices.Contains(r.words("smtpd_restriction_classes"), class) {
				r.restrictionClass(class, r.stage)
			}
		}
	}
	then := "listed"
	if r.warn {
		then = "warn " + word
	}
	r.rule(word+" "+listed, fmt.Sprintf("in_list(%q, %s)", listed, fact), then)
}

// restrictionClass writes the rules of a restriction class, once.
func (i *importer) restrictionClass(name, stage string) {
	if i.classes[name] != "" {
		return
	}
	i.classes[name] = stage
	c := &ruling{importer: i, list: name, class: name, about: i.why(name)}
	words := i.words(name)
	c.stage = i.stageFor(words, "connect")
	c.all(words)
	if c.rules == 0 { // it permits, or what it refuses is done elsewhere
		permitted := strings.Join(c.guards, " || ")
		c.guards, c.warn = nil, false
		switch {
		case slices.Contains(words, "permit"):
			c.rule(name+" permits", "", "accept")
		case permitted != "":
			c.rule(name+" permits", permitted, "accept")
		default:
			c.rule(name+" leaves it to others", "", "continue")
		}
	}
	i.took("rule.class", name)
}

// certificates spares clients whose certificates relay_clientcerts has.
func (r *ruling) certificates() {
	for _, word := range r.words("relay_clientcerts") {
		listed, ok := r.importer.list("relay_clientcerts", word)
		if ok {
			r.guards = append(r.guards, fmt.Sprintf("in_list(%q, tls.fingerprint)", listed))
			r.note("relay_clientcerts", takeover.NotSupported, "client_certificate",
				"the fingerprints have to be SHA-256; a certificate that may send to anywhere is a [[client_certificate]] with its account")
		}
	}
}

// policy is a policy server.
func (r *ruling) policy(argument string) {
	given := unbrace(argument)
	words := Words(given)
	if len(words) == 0 {
		return
	}
	socket := r.socket(words[0])
	if strings.Contains(socket, "policyd-spf") || strings.Contains(socket, "policy-spf") {
		r.asksSPF = true
		r.note(r.list, takeover.Replaced, "spf.mail_from_reject", words[0]+": SPF is checked by facteur itself")
		return
	}
	p := r.t.Settings.Append("policy")
	p.About(r.about)
	r.about = ""
	r.made++
	p.Set("address", socket, "")
	// Postfix asks the lists before that of the recipient when it knows the recipient, and
	// says so to the server; many do nothing at another stage.
	if early := slices.Index(stages, r.stage) < slices.Index(stages, "rcpt"); r.stage != "rcpt" && (!early || r.value("smtpd_delay_reject") == "no" && r.class == "") {
		p.Set("stages", []string{r.stage}, "")
	}
	if len(r.guards) > 0 {
		p.Set("when", r.condition(""), "")
	}
	if v := r.value("smtpd_policy_service_default_action"); r.isSet("smtpd_policy_service_default_action") {
		p.Set("default_action", v, "")
	}
	for _, w := range words[1:] {
		name, v, _ := strings.Cut(w, "=")
		switch name = strings.TrimSpace(name); name {
		case "timeout":
			if d, err := duration(strings.TrimSpace(v), 's'); err == nil {
				p.Set("timeout", d, "")
			}
		case "default_action":
			p.Set("default_action", strings.TrimSpace(v), "")
		case "policy_context":
			p.Set("context", strings.TrimSpace(v), "")
		}
	}
	r.note(r.list, takeover.Understood, "policy", "policy servers are asked behind the rules")
}

// demandTLS refuses mail in clear where smtpd_tls_security_level says so; the services for
// users demand TLS by themselves.
func (i *importer) demandTLS() {
	const name = "smtpd_tls_security_level"
	var ports, closed int
	for _, s := range i.master {
		_, port := hostPort(s.Name)
		if s.Err != nil || s.Type == "unix" || s.Type == "inet" && i.disabled(s) || s.Command != "smtpd" || i.serviceOf(s, port) != "smtp" {
			continue
		}
		ports++
		if i.demandsTLS(s) {
			closed++
		}
	}
	switch {
	case ports == 0 && !i.demandsTLS(Service{}), ports > 0 && closed == 0:
		return
	case closed < ports:
		i.note(name, takeover.NotSupported, "rule", "some ports demand TLS of other servers, and others don't; a rule can't tell two listeners of the service smtp apart")
		return
	}
	r := i.t.Settings.Append("rule")
	r.About(strings.TrimPrefix(i.why(name, "smtpd_enforce_tls")+"\nMail is taken under TLS only.", "\n"))
	r.Set("name", i.unused(name), "")
	r.Set("stage", "mail", "")
	r.Set("when", `service == "smtp" && !tls.active`, "")
	r.Set("then", "reject 530 5.7.0 Must issue a STARTTLS command first", "")
	i.took("rule", name)
}

// demandsTLS tells that an SMTP server of master.cf takes nothing in clear.
func (i *importer) demandsTLS(s Service) bool {
	level := i.optionOf(s, "smtpd_tls_security_level")
	return level == "encrypt" || level == "" && i.optionOf(s, "smtpd_enforce_tls") == "yes"
}

// senderLogins is who may send as whom.
func (i *importer) senderLogins() {
	const name = "smtpd_sender_login_maps"
	if !i.isSet(name) {
		return
	}
	if tables := i.maps(name); tables != nil {
		i.set("submission.sender_logins", tables, i.why(name))
	}
	i.note(name, takeover.Understood, "submission.sender_logins", "the sender of a user is always checked")
}

// senderMismatch refuses who has not logged in, and sends as somebody whom
// smtpd_sender_login_maps has. Of users the server checks that by itself.
func (r *ruling) senderMismatch(word string, known restriction) {
	const name = "smtpd_sender_login_maps"
	var owned []string
	for _, given := range r.words(name) {
		if !isTable(given) {
			continue
		}
		listed, ok := r.importer.list(name, unbrace(given))
		if !ok {
			continue
		}
		owned = append(owned, fmt.Sprintf("in_list(%q, sender.address)", listed))
		if kind, _, _ := strings.Cut(r.use(name, unbrace(given)).source, ":"); kind != "regexp" && kind != "pcre" { // asked for whole addresses only
			owned = append(owned, fmt.Sprintf(`in_list(%q, sender.user + "@" + sender.domain)`, listed), fmt.Sprintf(`in_list(%q, "@" + sender.domain)`, listed))
		}
	}
	if owned == nil {
		r.note(r.list, takeover.Understood, "rule", word+": without "+name+" no sender has an owner who would have to log in")
		return
	}
	r.rule(word, known.when+" && ("+strings.Join(owned, " || ")+")", known.then)
}
