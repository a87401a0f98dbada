package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Verifiers of DKIM signatures that Debian has. Each takes letters in files and tells for
// each whether its only signature holds, asking the name server at an address.
type DKIMVerifier func(t testing.TB, dns string, files []string) map[string]bool

// DKIMVerifiers are all of them.
func DKIMVerifiers() map[string]DKIMVerifier {
	return map[string]DKIMVerifier{"opendkim": opendkimVerify, "dkimpy": dkimpyVerify, "Mail::DKIM": mailDKIMVerify, "rspamd": rspamdVerify}
}

// opendkimVerify runs OpenDKIM's filter over files, without a milter.
func opendkimVerify(t testing.TB, dns string, files []string) map[string]bool {
	t.Helper()
	program, dir := Need(t, "opendkim"), closedRoom(t)
	host, port, _ := net.SplitHostPort(dns)
	WriteFile(t, filepath.Join(dir, "unbound.conf"), fmt.Sprintf("server:\n\tlocal-zone: \"test.\" nodefault\n\tdo-not-query-localhost: no\n\tmodule-config: \"iterator\"\nforward-zone:\n\tname: \".\"\n\tforward-addr: %s@%s\n", host, port))
	conf := WriteFile(t, filepath.Join(dir, "conf"), "Mode v\nSyslog no\nMinimumKeyBits 1024\nResolverConfiguration "+filepath.Join(dir, "unbound.conf")+"\n")
	results := make(map[string]bool)
	for _, file := range files {
		out, _ := TryRun(t, "", program, "-x", conf, "-vvv", "-t", file)
		results[file] = strings.Contains(out, "verification (s=") && strings.Contains(out, ") succeeded")
	}
	return results
}

const dkimpyVerifier = `
import sys, dkim, dns.resolver
host, port = sys.argv[1].rsplit(":", 1)
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = [host], int(port)
def txt(name, timeout=5):
    try:
        for record in resolver.resolve(name.decode().rstrip("."), "TXT"):
            return b"".join(record.strings)
    except Exception:
        return None
for file in sys.argv[2:]:
    message = open(file, "rb").read()
    print("%s\t%s" % (file, "pass" if dkim.verify(message, dnsfunc=txt) else "fail"))
`

// dkimpyVerify needs Debian's own interpreter: it has the module.
func dkimpyVerify(t testing.TB, dns string, files []string) map[string]bool {
	t.Helper()
	return passed(Run(t, "", needPython(t), append([]string{"-c", dkimpyVerifier, dns}, files...)...))
}

func needPython(t testing.TB) string {
	t.Helper()
	const python = "/usr/bin/python3"
	if _, err := TryRun(t, "", python, "-c", "import dkim, nacl, dns.resolver"); err != nil {
		Missing(t, "python3-dkim is not installed")
	}
	return python
}

const mailDKIMVerifier = `
use strict; use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS;
my ($host, $port) = shift(@ARGV) =~ /(.*):(.*)/;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => [$host], port => $port, recurse => 1));
for my $file (@ARGV) {
    my $dkim = Mail::DKIM::Verifier->new();
    open(my $in, "<:raw", $file) or die $!;
    while (<$in>) { s/\r?\n$/\r\n/; $dkim->PRINT($_); }
    $dkim->CLOSE;
    print $file, "\t", $dkim->result, "\n";
}
`

func mailDKIMVerify(t testing.TB, dns string, files []string) map[string]bool {
	t.Helper()
	return passed(Run(t, "", needMailDKIM(t), append([]string{"-e", mailDKIMVerifier, dns}, files...)...))
}

func needMailDKIM(t testing.TB) string {
	t.Helper()
	perl := Need(t, "perl")
	if _, err := TryRun(t, "", perl, "-MMail::DKIM::Verifier", "-e", "1"); err != nil {
		Missing(t, "libmail-dkim-perl is not installed")
	}
	return perl
}

// passed reads "file TAB result" a line.
func passed(out string) map[string]bool {
	results := make(map[string]bool)
	for line := range strings.Lines(out) {
		if file, result, found := strings.Cut(strings.TrimSpace(line), "\t"); found {
			results[file] = result == "pass"
		}
	}
	return results
}

// Rspamd is a private rspamd that knows DKIM and nothing else.
type Rspamd struct {
	port    int
	process *Process
}

const rspamdConf = `options {
	pidfile = "%[1]s/pid"; tempdir = "%[1]s"; hs_cache_dir = "%[1]s"; url_tld = "%[1]s/tld"; filters = "dkim"; local_addrs = [];
	dns { nameserver = ["%[3]s"]; timeout = 5s; retransmits = 3; }
}
logging { type = "console"; level = "info"; }
worker "normal" { bind_socket = "127.0.0.1:%[2]d"; count = 1; }
dkim { trusted_only = false; }
modules { path = "/usr/share/rspamd/plugins/dkim_signing.lua"; }
dkim_signing {
	enabled = true; sign_authenticated = true; allow_hdrfrom_mismatch = true; allow_username_mismatch = true; use_domain = "header"; use_esld = false;
	domain { "example.test" { selectors = [%[4]s] } }
}
`

// StartRspamd starts one that asks the name server at dns, and signs for example.test
// with keys, in files by their selectors.
func StartRspamd(t testing.TB, dns string, keys map[string]string) *Rspamd {
	t.Helper()
	program, dir := Need(t, "rspamd"), Room(t)
	r := &Rspamd{port: FreePort(t)}
	WriteFile(t, filepath.Join(dir, "tld"), "test\n")
	var selectors []string
	for selector, file := range keys {
		selectors = append(selectors, fmt.Sprintf("{ selector = %q; path = %q; }", selector, file))
	}
	conf := WriteFile(t, filepath.Join(dir, "conf"), fmt.Sprintf(rspamdConf, dir, r.port, dns, strings.Join(selectors, ", ")))
	r.process = Spawn(t, nil, program, "-i", "-f", "-c", conf)
	WaitListening(t, "tcp", Loopback(r.port), r.process)
	return r
}

// rspamdReply is what is looked at of an answer.
type rspamdReply struct {
	Symbols   map[string]struct{ Options []string }
	Signature json.RawMessage `json:"dkim-signature"`
}

// check shows it a letter, as coming from a stranger or from a user.
func (r *Rspamd) check(t testing.TB, letter []byte, user string) (reply rspamdReply) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+Loopback(r.port)+"/checkv2", bytes.NewReader(letter))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("IP", "192.0.2.1")
	if user != "" {
		request.Header.Set("User", user)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.process.Output())
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
		t.Fatal(err)
	}
	return reply
}

// Sign gives the values of the DKIM-Signature fields that it puts on a letter of a user.
func (r *Rspamd) Sign(t testing.TB, letter []byte, user string) (values []string) {
	t.Helper()
	raw := r.check(t, letter, user).Signature
	if err := json.Unmarshal(raw, &values); err == nil {
		return values
	}
	var one string
	if err := json.Unmarshal(raw, &one); err != nil {
		t.Fatalf("rspamd did not sign: %s\n%s", raw, r.process.Output())
	}
	return []string{one}
}

func rspamdVerify(t testing.TB, dns string, files []string) map[string]bool {
	t.Helper()
	r := StartRspamd(t, dns, nil)
	results := make(map[string]bool)
	for _, file := range files {
		letter, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		symbols := r.check(t, letter, "").Symbols
		_, allowed := symbols["R_DKIM_ALLOW"]
		_, rejected := symbols["R_DKIM_REJECT"]
		results[file] = allowed && !rejected
	}
	return results
}

const dkimpySigner = `
import sys, dkim
domain, selector, algorithm, header, body, length, keyfile = [a.encode() for a in sys.argv[1:8]]
key = open(keyfile, "rb").read()
for file in sys.argv[8:]:
    message = open(file, "rb").read()
    field = dkim.sign(message, selector, domain, key, canonicalize=(header, body), signature_algorithm=algorithm, length=length == b"l")
    open(file + ".signed", "wb").write(field + message)
`

// DKIMPySign signs letters in files into FILE.signed. The key of Ed25519 is a seed in
// base64, that of RSA in PEM form.
func DKIMPySign(t testing.TB, domain, selector, algorithm, header, body string, length bool, key string, files []string) {
	t.Helper()
	l := ""
	if length {
		l = "l"
	}
	Run(t, "", needPython(t), append([]string{"-c", dkimpySigner, domain, selector, algorithm, header, body, l, key}, files...)...)
}

const mailDKIMSigner = `
use strict; use Mail::DKIM::Signer;
my ($domain, $selector, $method, $key) = splice(@ARGV, 0, 4);
for my $file (@ARGV) {
    my $dkim = Mail::DKIM::Signer->new(Algorithm => "rsa-sha256", Method => $method, Domain => $domain, Selector => $selector, KeyFile => $key);
    open(my $in, "<:raw", $file) or die $!;
    local $/; my $text = <$in>;
    $dkim->PRINT($text); $dkim->CLOSE;
    open(my $out, ">:raw", "$file.signed") or die $!;
    print $out $dkim->signature->as_string, "\r\n", $text;
}
`

// MailDKIMSign signs letters in files into FILE.signed, by RSA.
func MailDKIMSign(t testing.TB, domain, selector, canons, key string, files []string) {
	t.Helper()
	Run(t, "", needMailDKIM(t), append([]string{"-e", mailDKIMSigner, domain, selector, canons, key}, files...)...)
}
