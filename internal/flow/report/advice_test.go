package report

import (
	"net/netip"
	"strings"
	"testing"

	mail "facteur/internal/mail/report"
	"facteur/internal/store/report"
)

// kind is letters of one source that fared alike.
func kind(count int64, dkim, spf, disposition string, more func(*mail.Record)) mail.Record {
	r := mail.Record{Source: netip.MustParseAddr("192.0.2.1"), Count: count, DKIM: dkim, SPF: spf, Disposition: disposition, HeaderFrom: "a.test"}
	if more != nil {
		more(&r)
	}
	return r
}

func signed(domain, result string) func(*mail.Record) {
	return func(r *mail.Record) {
		r.Signatures = append(r.Signatures, mail.Signature{Domain: domain, Selector: "s1", Result: result})
	}
}

// from is the envelope sender's domain, with what SPF says of it, as Google tells it: in the
// results alone.
func from(domain, result string) func(*mail.Record) {
	return func(r *mail.Record) {
		r.SPFChecks = append(r.SPFChecks, mail.SPFCheck{Domain: domain, Result: result})
	}
}

func why(typ, comment string) func(*mail.Record) {
	return func(r *mail.Record) { r.Reasons = append(r.Reasons, mail.Reason{Type: typ, Comment: comment}) }
}

func all(list ...func(*mail.Record)) func(*mail.Record) {
	return func(r *mail.Record) {
		for _, f := range list {
			f(r)
		}
	}
}

// Rows 225 and 226: a line of advice for each source, which is true whoever it is.
func TestAdvice(t *testing.T) {
	ours, list := from("a.test", "pass"), from("list.test", "pass")
	for name, c := range map[string]struct {
		policy string
		kinds  []mail.Record
		want   string
	}{
		"both": {"reject", []mail.Record{kind(5, "pass", "pass", "none", all(ours, signed("a.test", "pass")))}, "in order"},
		"SPF alone": {"none", []mail.Record{kind(5, "fail", "pass", "none", ours)},
			"SPF alone: sign with DKIM, or these letters fail when they are forwarded"},
		"own server without SPF": {"none", []mail.Record{kind(5, "pass", "fail", "none", all(from("bounce.a.test", "fail"), signed("a.test", "pass")))},
			"DKIM holds, SPF does not cover it: add it to SPF if it is yours; a forwarder needs nothing"},
		"forwarder, DKIM intact": {"reject", []mail.Record{kind(5, "pass", "fail", "none", all(from("forwarder.test", "pass"), signed("a.test", "pass")))},
			"forwarder, or a service that signs for you; DKIM intact: nothing to do"},
		"now one, now the other": {"none", []mail.Record{kind(5, "pass", "fail", "none", signed("a.test", "pass")), kind(1, "fail", "pass", "none", ours)},
			"in order: each letter passes SPF or DKIM"},
		"forwarder that changes some": {"none", []mail.Record{kind(5, "pass", "fail", "none", signed("a.test", "pass")), kind(2, "fail", "fail", "none", signed("a.test", "fail"))},
			"2 of 7 letters fail though you signed them: a forwarder or list that changes letters, most likely; nothing to do"},
		"list, or a wrong key": {"reject", []mail.Record{kind(1204, "fail", "fail", "reject", all(list, signed("a.test", "fail")))},
			"1,204 letters fail both though they have your signature: a list or forwarder that changes letters, or, if it is yours, its key is not the one in the DNS"},
		"list that receivers know": {"reject", []mail.Record{kind(10, "fail", "fail", "none", all(list, why("mailing_list", "")))},
			"10 letters fail both, by a forwarder or mailing list, and receivers let them pass: nothing to do"},
		"ARC vouches": {"reject", []mail.Record{kind(1, "fail", "fail", "none", why("local_policy", "arc=pass as.1.d=list.test"))},
			"1 letter fails both, by a forwarder or mailing list, and receivers let them pass: nothing to do"},
		"sampled out is no forwarder": {"quarantine", []mail.Record{kind(3, "fail", "fail", "none", why("sampled_out", ""))},
			"3 letters fail both: if it is yours, add it to SPF and sign with DKIM; if not, it is spoofing or a forwarder; receivers did not heed p=quarantine"},
		"one of many forwarded": {"none", []mail.Record{kind(1, "fail", "fail", "none", why("forwarded", "")), kind(8, "fail", "fail", "none", nil)},
			"9 letters fail both: if it is yours, add it to SPF and sign with DKIM; if not, it is spoofing, and p=none lets it through: p=quarantine or p=reject would stop it"},
		"own server that signs some": {"reject", []mail.Record{kind(90, "fail", "pass", "none", ours), kind(10, "fail", "fail", "reject", from("web.test", "none"))},
			"10 of 100 letters fail; SPF has this source, but they have another return path and no signature: sign all mail with DKIM"},
		"sender in our name": {"none", []mail.Record{kind(1204, "fail", "fail", "none", all(from("shop.test", "pass"), signed("esp.test", "pass")))},
			"1,204 letters fail both: if esp.test, shop.test sends for you, let it sign with DKIM for your domain; if not, it is spoofing, and p=none lets it through: p=quarantine or p=reject would stop it"},
		"own server without both": {"none", []mail.Record{kind(4, "fail", "fail", "none", from("a.test", "softfail"))},
			"4 letters fail both: they have your return path; if it is yours, add it to SPF or sign with DKIM; if not, it is spoofing, and p=none lets it through: p=quarantine or p=reject would stop it"},
		"spoof stopped": {"reject", []mail.Record{kind(80, "fail", "fail", "reject", from("nowhere.test", "none"))},
			"80 letters fail both: if it is yours, add it to SPF and sign with DKIM; if not, it is spoofing, and your policy stops it"},
		"spoof stopped by some": {"reject", []mail.Record{kind(8, "fail", "fail", "reject", nil), kind(8, "fail", "fail", "none", nil)},
			"16 letters fail both: if it is yours, add it to SPF and sign with DKIM; if not, it is spoofing, and your policy stops 8 of them"},
		"a policy for names below": {"none", []mail.Record{kind(2, "fail", "fail", "none", func(r *mail.Record) { r.HeaderFrom = "x.a.test" })},
			"2 letters fail both: if it is yours, add it to SPF and sign with DKIM; if not, it is spoofing or a forwarder; receivers did not heed p=reject"},
		"another domain that ends like ours": {"none", []mail.Record{kind(2, "fail", "fail", "none", all(from("nota.test", "fail"), signed("nota.test", "fail")))},
			"2 letters fail both: if it is yours, add it to SPF and sign with DKIM; if not, it is spoofing, and p=none lets it through: p=quarantine or p=reject would stop it"},
		"nothing": {"none", []mail.Record{kind(0, "fail", "fail", "none", nil)}, "no letters"},
	} {
		t.Run(name, func(t *testing.T) {
			sums := report.SumUp([]*mail.Aggregate{{Published: mail.Published{Domain: "a.test", P: c.policy, SP: "reject"}, Records: c.kinds}})
			if got := Advice(sums[0]); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Each result type of RFC 8460 §4.3 has its advice, and one that is not known is shown.
func TestTLSAdvice(t *testing.T) {
	for _, result := range []string{"starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted", "validation-failure",
		"tlsa-invalid", "dnssec-invalid", "dane-required", "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"} {
		if got := TLSAdvice(report.TLSFailures{Result: result, Host: "mx.a.test"}); strings.HasPrefix(got, result) {
			t.Errorf("%s: %s", result, got)
		}
	}
	if got := TLSAdvice(report.TLSFailures{Result: "new", Reason: "R"}); got != "new: R" {
		t.Error(got)
	}
}
