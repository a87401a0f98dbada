package postfix

import (
	"os"
	"path/filepath"
	"strings"

	"facteur/internal/app/takeover"
	"facteur/internal/base/conf"
	"facteur/internal/mail/spf"
)

// checkers are the programs that check who sent a letter, whose work facteur does itself, and sign ours:
// policyd-spf, opendmarc and opendkim.
func checkers() []other {
	return []other{
		{[]string{"postfix-policyd-spf-python/policyd-spf.conf"}, "=", policydSPF(), beside{verdict: takeover.NotNeeded, why: "SPF is part of the server"}},
		{[]string{"opendmarc.conf"}, " ", opendmarc(), beside{verdict: takeover.NotNeeded, why: "DMARC is part of the server"}},
		opendkimSettings(),
	}
}

// taken is a setting that is taken over.
func taken(key, why string, take func(value string) (any, string)) beside {
	return beside{verdict: takeover.Understood, key: key, why: why, take: func(i *importer, value string) string {
		v, problem := take(value)
		if problem == "" {
			i.set(key, v, "")
		}
		return problem
	}}
}

// isTrue is a truth in the forms that these programs know.
func isTrue(value string) bool {
	switch strings.ToLower(value) {
	case "1", "true", "yes", "t", "y":
		return true
	}
	return false
}

func truth(value string) (any, string)   { return isTrue(value), "" }
func untruth(value string) (any, string) { return !isTrue(value), "" }

// words are the entries of a list.
func words(value string) (any, string) {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }), ""
}

// domains are the same in lower case, without a dot before them.
func domainWords(value string) (any, string) {
	list, _ := words(strings.ToLower(value))
	out := list.([]string)
	for i := range out {
		out[i] = strings.TrimPrefix(out[i], ".")
	}
	return out, ""
}

func policydSPF() map[string]beside {
	test := taken("spf.test_only", "", untruth) // TestOnly = 0 is the test
	return map[string]beside{
		"TestOnly": test, "defaultSeedOnly": test,
		"HELO_reject":             taken("spf.helo_reject", "", spfLevel),
		"Mail_From_reject":        taken("spf.mail_from_reject", "", spfLevel),
		"Reject_Not_Pass_Domains": taken("spf.reject_not_pass_domains", "", domainWords),
		"No_Mail":                 taken("spf.only_no_mail", "", truth),
		"PermError_reject":        taken("spf.permerror_reject", "", truth),
		"TempError_Defer":         taken("spf.temperror_defer", "", truth),
		"skip_addresses":          skipped(),
		"Whitelist":               skipped(),
		"HELO_Whitelist":          taken("spf.skip_helo", "", domainWords),
		"Domain_Whitelist":        taken("spf.skip_domains", "", domainWords),
		"Domain_Whitelist_PTR":    taken("spf.skip_names", "", domainWords),
		"Hide_Receiver":           taken("spf.hide_receiver", "", truth),
		"Reason_Message":          taken("spf.reason_message", "", reason),
		"Header_Type":             taken("spf.header", "", headerType),
		"Authserv_Id":             {verdict: takeover.Replaced, key: "hostname", why: "the name of this server stands in Authentication-Results"},
		"debugLevel":              {verdict: takeover.NotNeeded, why: "facteur explain tells what was found"},
		"Lookup_Time":             {verdict: takeover.NotNeeded, why: "a check takes 20 seconds at most"},
		"Void_Limit":              {verdict: takeover.NotSupported, why: "it is 2, as in RFC 7208"},
		"Prospective":             {verdict: takeover.NotSupported, why: "facteur spf check --ip asks about any address"},

		"HELO_pass_restriction":      {verdict: takeover.NotSupported, why: `write it as a rule at rcpt: when = 'spf_helo == "pass"'`},
		"Mail_From_pass_restriction": {verdict: takeover.NotSupported, why: `write it as a rule at rcpt: when = 'spf == "pass"'`},
	}
}

// spfLevel is what is refused.
func spfLevel(value string) (any, string) {
	level, known := map[string]spf.Level{"false": spf.Never, "fail": spf.OnFail, "softfail": spf.OnSoftFail, "spf_not_pass": spf.OnNotPass,
		"null": spf.NullSenderFail, "no_check": spf.Unchecked}[strings.ToLower(value)]
	if !known {
		return nil, "expected Fail, Softfail, SPF_Not_Pass, False or No_Check"
	}
	return string(level), ""
}

// skipped are networks that are not checked; there are two names for them.
func skipped() beside {
	return beside{verdict: takeover.Understood, key: "spf.skip_addresses", take: func(i *importer, value string) string {
		list, _ := words(value)
		for _, text := range list.([]string) {
			var p conf.Prefix
			switch err := p.UnmarshalText([]byte(text)); {
			case strings.HasPrefix(strings.ToLower(text), "::ffff:"): // IPv4 in IPv6 is IPv4 here
			case err != nil:
				return err.Error()
			case !p.Addr().IsLoopback(): // which is trusted in any case
				i.skip = append(i.skip, text)
			}
		}
		if i.skip != nil {
			i.set("spf.skip_addresses", i.skip, "")
		}
		return ""
	}}
}

// withoutLevels is policyd-spf's default where Postfix asks it, and its file does not say
// what it refuses.
func (i *importer) withoutLevels() {
	for _, key := range []string{"mail_from_reject", "helo_reject"} {
		if i.asksSPF && !i.table("spf").Has(key) {
			i.set("spf."+key, string(spf.OnFail), "policyd-spf's default")
		}
	}
}

// withoutRejects is opendmarc's default where its file does not say RejectFailures.
func (i *importer) withoutRejects() {
	path := filepath.Join(filepath.Dir(i.o.Dir), "opendmarc.conf")
	if _, err := os.Stat(path); err == nil && !i.table("dmarc").Has("policy") {
		i.set("dmarc.policy", "score", "opendmarc without RejectFailures")
	}
}

// reason is the text of a refusal. A link says no more than the sentence.
func reason(value string) (any, string) {
	for _, link := range []string{" Please see {url}", " {url}", "{url}"} {
		value = strings.ReplaceAll(value, link, "")
	}
	return value, ""
}

func headerType(value string) (any, string) {
	switch strings.ToLower(value) {
	case "spf":
		return "received-spf", ""
	case "ar":
		return "authentication-results", ""
	}
	return nil, "expected SPF or AR"
}

func opendmarc() map[string]beside {
	always := func(why string) beside { return beside{verdict: takeover.Replaced, why: why} }
	never := func(why string) beside { return beside{verdict: takeover.NotSupported, why: why} }
	return map[string]beside{
		"Socket": {verdict: takeover.Understood, key: "milter.address", why: "it goes on as a milter; facteur does the same itself, and the milter may be taken away"},
		"RejectFailures": taken("dmarc.policy", "", func(value string) (any, string) {
			if isTrue(value) {
				return "honour", ""
			}
			return "score", ""
		}),
		"RejectMultiValueFrom": taken("dmarc.reject_multiple_from", "", truth),
		"RequiredHeaders": taken("dmarc.no_from", "", func(value string) (any, string) {
			if isTrue(value) {
				return "reject", ""
			}
			return "accept", ""
		}),
		"AuthservID":                 {verdict: takeover.Replaced, key: "hostname", why: "the name of this server stands in Authentication-Results"},
		"TrustedAuthservIDs":         {verdict: takeover.Understood, key: "dmarc.trusted_authserv_ids", take: (*importer).trustedIDs},
		"IgnoreHosts":                {verdict: takeover.Understood, key: "dmarc.ignore_hosts", take: (*importer).ignoredHosts},
		"IgnoreAuthenticatedClients": always("who logged in is never checked"),
		"SPFSelfValidate":            always("SPF is always asked here"),
		"SPFIgnoreResults":           always("SPF is always asked here, and nobody else is believed"),
		"PublicSuffixList":           always("organisations are found by the DNS (RFC 9989)"),
		"HistoryFile":                always("what is reported is in the data directory"),
		"DomainWhitelist":            taken("arc.trusted_sealers", "", domainWords),
		"DomainWhitelistFile":        never("name the domains in arc.trusted_sealers"),
		"FailureReports":             never("reports of single failures are not sent"),
		"CopyFailuresTo":             never("a rule at end can do it: when = 'dmarc == \"fail\"', then = \"bcc …\""),
		"HoldQuarantinedMessages":    never("they go to the junk folder; a rule at end can hold them: when = 'verdict == \"junk\"'"),
		"IgnoreMailFrom":             never("the author is anybody's word; name the hosts in dmarc.ignore_hosts"),
		"IgnoreMailTo":               never("what a letter is goes before who gets it"),
		"RejectString":               never("the refusal says which domain asks for it"),
	}
}

// trustedIDs are servers in front of this one; this one need not be told that it may
// believe itself.
func (i *importer) trustedIDs(value string) string {
	list, _ := domainWords(value)
	var others []string
	for _, id := range list.([]string) {
		if id != strings.ToLower(i.value("myhostname")) && id != "hostname" {
			others = append(others, id)
		}
	}
	if others != nil {
		i.set("dmarc.trusted_authserv_ids", others, "")
	}
	return ""
}

// ignoredHosts reads the file with the hosts. This machine itself is trusted in any case.
func (i *importer) ignoredHosts(path string) string {
	text, err := i.file(strings.TrimPrefix(path, "file:"))
	if err != nil {
		if os.IsNotExist(err) {
			return "the file is not there"
		}
		return "the file can't be read: " + err.Error()
	}
	var hosts []string
	for l := range strings.Lines(text) {
		l, _, _ = strings.Cut(l, "#")
		switch l = strings.ToLower(strings.TrimSpace(l)); l {
		case "", "localhost", "localhost.localdomain", "127.0.0.0/8", "127.0.0.1", "::1", "::1/128":
		default:
			hosts = append(hosts, l)
		}
	}
	if hosts != nil {
		i.set("dmarc.ignore_hosts", hosts, "")
	}
	return ""
}
