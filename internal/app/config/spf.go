package config

import (
	"slices"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/mail/spf"
)

// SPF is the check whether a host may send mail for a domain (RFC 7208). By default it
// refuses nobody: what it finds is written down, and counts with the rest.
type SPF struct {
	// Whether mail from strangers is checked. Mail of our own users and of trusted
	// networks is not.
	Enabled bool `toml:"enabled"`
	// What is refused because of the reverse-path: "unchecked" (it is not even looked at),
	// "never", "fail", "softfail" (and fail), "not_pass" (neutral, too). policyd-spf calls
	// this Mail_From_reject: No_Check, False, Fail, Softfail and SPF_Not_Pass.
	MailFromReject SPFLevel `toml:"mail_from_reject"`
	// What is refused because of the HELO name: the same, or "null_sender" (fail, for mail
	// with the null reverse-path only). policyd-spf calls this HELO_reject.
	HeloReject SPFLevel `toml:"helo_reject"`
	// Domains whose results are treated as if their records ended in -all: whatever is
	// neither pass nor none nor an error is refused. policyd-spf calls this
	// Reject_Not_Pass_Domains.
	RejectNotPassDomains []string `toml:"reject_not_pass_domains"`
	// Refuse only mail of domains that send none ("v=spf1 -all"). policyd-spf calls this
	// No_Mail.
	OnlyNoMail bool `toml:"only_no_mail"`
	// Refuse when the records are wrong. policyd-spf calls this PermError_reject.
	PermErrorReject bool `toml:"permerror_reject"`
	// Have it tried again later when the DNS can not tell. policyd-spf calls this
	// TempError_Defer.
	TempErrorDefer bool `toml:"temperror_defer"`
	// Refuse nobody, and only log what would have been refused. policyd-spf says
	// TestOnly = 0.
	TestOnly bool `toml:"test_only"`
	// Networks that are not checked, beside the trusted ones: your other mail exchangers,
	// hosts that forward for your users. policyd-spf calls this skip_addresses and
	// Whitelist.
	SkipAddresses []conf.Prefix `toml:"skip_addresses"`
	// HELO names that are not checked when they have the client's address. policyd-spf
	// calls this HELO_Whitelist.
	SkipHelo []string `toml:"skip_helo"`
	// Domains whose hosts, by their own SPF records, are not checked. policyd-spf calls
	// this Domain_Whitelist.
	SkipDomains []string `toml:"skip_domains"`
	// Domains whose hosts, by their confirmed names, are not checked. policyd-spf calls
	// this Domain_Whitelist_PTR.
	SkipNames []string `toml:"skip_names"`
	// The text of a refusal, with {rejectdefer}, {spf} (a sentence), {result}, {domain},
	// {ip}, {identity} and {explanation} (what the domain's owner says to those who fail).
	// policyd-spf calls this Reason_Message.
	ReasonMessage string `toml:"reason_message"`
	// Whether the recipient's address is left out of Received-SPF headers: those who get
	// the message also read who else got it. policyd-spf calls this Hide_Receiver.
	HideReceiver bool `toml:"hide_receiver"`
	// Where the result is written: "received-spf", "authentication-results", "both" or
	// "none". policyd-spf calls this Header_Type.
	Header SPFHeader `toml:"header"`
	// Large providers whose hosts, by the SPF records of these domains, are known to be
	// mail servers: they are spared the tests before the greeting. The records are read
	// again every few hours. postwhite makes such a list for Postfix's postscreen.
	Preapproved []string `toml:"preapproved"`
}

// SPFLevel is what is refused.
type SPFLevel spf.Level

// Form says what may be written.
func (SPFLevel) Form() string { return oneOf(spfLevels()...) }

// UnmarshalText takes one of the choices.
func (l *SPFLevel) UnmarshalText(text []byte) error { return choose(l, text, spfLevels()...) }

func spfLevels() []SPFLevel {
	return []SPFLevel{SPFLevel(spf.Unchecked), SPFLevel(spf.Never), SPFLevel(spf.NullSenderFail), SPFLevel(spf.OnFail), SPFLevel(spf.OnSoftFail), SPFLevel(spf.OnNotPass)}
}

// SPFHeader is where a result is written.
type SPFHeader string

// The places.
const (
	SPFReceived SPFHeader = "received-spf"
	SPFResults  SPFHeader = "authentication-results"
	SPFBoth     SPFHeader = "both"
	SPFNowhere  SPFHeader = "none"
)

// Form says what may be written.
func (SPFHeader) Form() string { return oneOf(SPFReceived, SPFResults, SPFBoth, SPFNowhere) }

// UnmarshalText takes one of the choices.
func (h *SPFHeader) UnmarshalText(text []byte) error {
	return choose(h, text, SPFReceived, SPFResults, SPFBoth, SPFNowhere)
}

// Received tells whether there is a Received-SPF field, Results whether SPF stands in
// Authentication-Results.
func (h SPFHeader) Received() bool { return h == SPFReceived || h == SPFBoth }

// Results: see Received.
func (h SPFHeader) Results() bool { return h == SPFResults || h == SPFBoth }

func defaultSPF() SPF {
	return SPF{
		Enabled: true, MailFromReject: SPFLevel(spf.Never), HeloReject: SPFLevel(spf.Never),
		ReasonMessage: spf.DefaultReason, HideReceiver: true, Header: SPFBoth,
	}
}

func (k *checker) spf() {
	s := &k.c.SPF
	k.canonicalNames("spf.reject_not_pass_domains", s.RejectNotPassDomains)
	k.canonicalNames("spf.skip_helo", s.SkipHelo)
	k.canonicalNames("spf.skip_domains", s.SkipDomains)
	k.canonicalNames("spf.skip_names", s.SkipNames)
	k.canonicalNames("spf.preapproved", s.Preapproved)
	if s.MailFromReject == SPFLevel(spf.NullSenderFail) {
		k.failf("spf.mail_from_reject", `"null_sender" is for helo_reject: the null reverse-path has no domain`)
	}
	// Each costs a whole check for each client.
	if len(s.SkipDomains) > 10 {
		k.failf("spf.skip_domains", "expected at most 10, found %d", len(s.SkipDomains))
	}
	if problem := reasonProblem(s.ReasonMessage); problem != "" {
		k.failf("spf.reason_message", "%s", problem)
	}
}

func reasonProblem(text string) string {
	for _, r := range text {
		if r < ' ' || r > '~' {
			return "expected printable ASCII: it stands in a reply of SMTP"
		}
	}
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return ""
		}
		name, behind, _ := strings.Cut(after, "}")
		if !slices.Contains(spf.Placeholders(), name) {
			return "there is no {" + name + "}; expected {" + strings.Join(spf.Placeholders(), "}, {") + "}"
		}
		rest = behind
	}
}

// Policy is what is done with results.
func (s SPF) Policy() spf.Policy {
	return spf.Policy{
		MailFrom: spf.Level(s.MailFromReject), Helo: spf.Level(s.HeloReject), NotPass: s.RejectNotPassDomains,
		OnlyNoMail: s.OnlyNoMail, RejectPermError: s.PermErrorReject, DeferTempError: s.TempErrorDefer,
		TestOnly: s.TestOnly, Reason: s.ReasonMessage,
	}
}

// Exemptions is who is not checked.
func (s SPF) Exemptions() spf.Exemptions {
	x := spf.Exemptions{Helo: s.SkipHelo, Domains: s.SkipDomains, Names: s.SkipNames}
	for _, p := range s.SkipAddresses {
		x.Addresses = append(x.Addresses, p.Prefix)
	}
	return x
}
