package postfix

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"facteur/internal/app/takeover"
)

// opendkimSettings is what becomes of the settings of opendkim.conf(5). Keys are not
// copied by an import, which writes settings only: "facteur dkim import" takes them over.
func opendkimSettings() other {
	keys := beside{verdict: takeover.Understood, key: "dkim_key", why: "the keys that it names stand below; \"facteur dkim import\" takes them over"}
	known := map[string]beside{
		"KeyFile": keys, "KeyTable": keys, "SigningTable": keys, "Domain": keys, "Selector": keys,
		"Socket":               {verdict: takeover.Understood, key: "milter.address", why: "it goes on as a milter until its keys are taken over; take it out of the settings then, or letters are signed twice"},
		"Canonicalization":     taken("dkim.canonicalization", "", canonicalization),
		"SignatureTTL":         {verdict: takeover.Replaced, key: "dkim.expiration", why: "signatures have no end unless it is set; at least 1h"},
		"RequireSafeKeys":      {verdict: takeover.NotNeeded, why: "files that are open to others are refused"},
		"On-KeyNotFound":       {verdict: takeover.Replaced, key: "dkim.require", why: "a letter leaves without a signature, or comes again"},
		"InternalHosts":        {verdict: takeover.Replaced, key: "trusted_networks", why: "who may send through this server is signed for"},
		"ExternalIgnoreList":   {verdict: takeover.Replaced, key: "trusted_networks", why: "who may send through this server is signed for"},
		"MinimumKeyBits":       {verdict: takeover.Replaced, key: "dkim.minimum_key_bits", why: "1024 bits at least (RFC 8301)"},
		"OversignHeaders":      {verdict: takeover.Replaced, key: "dkim.oversign", why: "From is oversigned always, and what a reader takes for the truth"},
		"SignHeaders":          {verdict: takeover.Replaced, key: "dkim.headers", why: "the default has what RFC 6376 asks for"},
		"SubDomains":           {verdict: takeover.NotNeeded, why: "a domain signs for those below it that have no keys"},
		"AuthservID":           {verdict: takeover.Replaced, key: "hostname", why: "results bear the name of this machine"},
		"Mode":                 {verdict: takeover.NotNeeded, why: "letters of users are signed, those of strangers checked"},
		"MultipleSignatures":   {verdict: takeover.NotNeeded, why: "all keys that are for an author sign"},
		"AlwaysAddARHeader":    {verdict: takeover.NotNeeded, why: "results are always told"},
		"SignatureAlgorithm":   {verdict: takeover.NotNeeded, why: "rsa-sha256 and ed25519-sha256, as the key is"},
		"SenderHeaders":        {verdict: takeover.NotSupported, why: "From chooses the key, as DMARC does"},
		"BodyLengthDB":         {verdict: takeover.NotSupported, why: "a signature covers the whole body"},
		"ReplaceRules":         {verdict: takeover.NotSupported, why: "what is signed is what leaves"},
		"SoftwareHeader":       {verdict: takeover.NotSupported, why: "no such field is added"},
		"LDAPKeepaliveIdle":    {verdict: takeover.NotSupported, why: "keys are files"},
		"RemoveOldSignatures":  {verdict: takeover.NotSupported, why: "signatures of others stay"},
		"StrictTestMode":       {verdict: takeover.NotSupported, why: "there is no such mode"},
		"VBR-Certifiers":       {verdict: takeover.NotSupported, why: "nobody is asked to vouch (VBR)"},
		"SendReports":          {verdict: takeover.NotSupported, why: "reports of failures are not sent"},
		"SignatureTTLVariance": {verdict: takeover.NotSupported, why: "there is no such thing"},
	}
	return other{[]string{"opendkim.conf", "opendkim/*.conf"}, " ", known, beside{verdict: takeover.NotNeeded, why: "DKIM is part of the server"}}
}

// canonicalization is opendkim's setting, whose body is simple where it is left out.
func canonicalization(value string) (any, string) {
	header, body, both := strings.Cut(strings.ToLower(value), "/")
	if !both {
		body = "simple"
	}
	for _, form := range []string{header, body} {
		if form != "simple" && form != "relaxed" {
			return nil, fmt.Sprintf("%q is no canonical form", value)
		}
	}
	return header + "/" + body, ""
}

// opendkim tells of each key of an opendkim whether it can be taken over, and for whom it
// signs beside its own domain.
func (i *importer) opendkim() {
	above, told := filepath.Dir(i.o.Dir), map[string]bool{}
	for _, conf := range []string{filepath.Join(above, "opendkim.conf"), filepath.Join(above, "opendkim", "opendkim.conf")} {
		if _, err := os.Stat(conf); err != nil {
			continue
		}
		keys, remarks, err := takeover.ReadOpenDKIM(conf)
		if err != nil {
			i.t.Report.Add(takeover.Line{File: conf, Verdict: takeover.NotSupported, Why: "its keys can't be read: " + err.Error()})
		}
		for _, text := range remarks {
			i.t.Report.Add(takeover.Line{File: conf, Verdict: takeover.NotSupported, Why: text})
		}
		for _, k := range keys {
			told[k.File] = true
			i.t.Report.Add(keyLine(conf, k))
		}
	}
	i.keyFiles(above, told)
}

// keyLine is the line of the report for a key.
func keyLine(conf string, k takeover.OpenDKIMKey) takeover.Line {
	line := takeover.Line{File: conf, Text: oneLine(strings.TrimSpace(k.Name + " " + k.Domain + ":" + k.Selector + ":" + k.File)), Verdict: takeover.Understood, Key: "dkim_key"}
	line.Why = "\"facteur dkim import " + conf + "\" takes the key over, and it signs at once"
	if len(k.For) > 0 {
		line.Why += "; it prints the [[dkim_key]] for " + strings.Join(k.For, ", ")
	}
	if k.Err != nil {
		line.Verdict, line.Why = takeover.NotSupported, "the key can't be taken over: "+k.Err.Error()
	}
	return line
}

// keyFiles names the keys that lie where opendkim's usually do, and that no table names.
func (i *importer) keyFiles(above string, told map[string]bool) {
	for _, pattern := range []string{"opendkim/keys/*.private", "opendkim/keys/*/*.private", "dkimkeys/*.private", "opendkim/*.private"} {
		paths, _ := filepath.Glob(filepath.Join(above, filepath.FromSlash(pattern)))
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !told[path] {
				i.t.Report.Add(takeover.Line{File: path, Verdict: takeover.NotSupported, Why: "no KeyTable or KeyFile names this key, so nobody can tell whose it is; a [[dkim_key]] with domain, selector and file makes it sign"})
			}
		}
	}
}
