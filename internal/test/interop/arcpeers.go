package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// ARCVerifiers are those of Debian's programs that follow ARC chains; they are used as those
// of signatures are.
func ARCVerifiers() map[string]DKIMVerifier {
	return map[string]DKIMVerifier{"dkimpy": dkimpyChain, "Mail::DKIM": mailDKIMChain, "rspamd": rspamdChain}
}

const dkimpyChainVerifier = `
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
    cv, results, reason = dkim.arc_verify(open(file, "rb").read(), dnsfunc=txt)
    print("%s\t%s" % (file, cv.decode()))
`

func dkimpyChain(t testing.TB, dns string, files []string) map[string]bool {
	t.Helper()
	return passed(Run(t, "", needPython(t), append([]string{"-c", dkimpyChainVerifier, dns}, files...)...))
}

const mailDKIMChainVerifier = `
use strict; use Mail::DKIM::ARC::Verifier; use Mail::DKIM::DNS; use Net::DNS;
my ($host, $port) = shift(@ARGV) =~ /(.*):(.*)/;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => [$host], port => $port, recurse => 1));
for my $file (@ARGV) {
    my $arc = Mail::DKIM::ARC::Verifier->new();
    open(my $in, "<:raw", $file) or die $!;
    while (<$in>) { s/\r?\n$/\r\n/; $arc->PRINT($_); }
    $arc->CLOSE;
    print $file, "\t", $arc->result, "\n";
}
`

func mailDKIMChain(t testing.TB, dns string, files []string) map[string]bool {
	t.Helper()
	return passed(Run(t, "", needMailDKIM(t), append([]string{"-e", mailDKIMChainVerifier, dns}, files...)...))
}

const rspamdARCConf = `options {
	pidfile = "%[1]s/pid"; tempdir = "%[1]s"; hs_cache_dir = "%[1]s"; url_tld = "%[1]s/tld"; filters = "dkim"; local_addrs = [];
	dns { nameserver = ["%[3]s"]; timeout = 5s; retransmits = 3; }
}
logging { type = "console"; level = "info"; }
worker "normal" { bind_socket = "127.0.0.1:%[2]d"; count = 1; }
dkim { trusted_only = false; }
modules { path = "/usr/share/rspamd/plugins/arc.lua"; }
arc { enabled = true; }
`

func rspamdChain(t testing.TB, dns string, files []string) map[string]bool {
	t.Helper()
	program, dir := Need(t, "rspamd"), Room(t)
	r := &Rspamd{port: FreePort(t)}
	WriteFile(t, filepath.Join(dir, "tld"), "test\n")
	conf := WriteFile(t, filepath.Join(dir, "conf"), fmt.Sprintf(rspamdARCConf, dir, r.port, dns))
	r.process = Spawn(t, nil, program, "-i", "-f", "-c", conf)
	WaitListening(t, "tcp", Loopback(r.port), r.process)
	results := make(map[string]bool)
	for _, file := range files {
		letter, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, results[file] = r.check(t, letter, "").Symbols["ARC_ALLOW"]
	}
	return results
}

const dkimpySealer = `
import sys, dkim
domain, selector, server, keyfile = [a.encode() for a in sys.argv[1:5]]
key = open(keyfile, "rb").read()
for file in sys.argv[5:]:
    message = open(file, "rb").read()
    fields = dkim.arc_sign(message, selector, domain, key, server)
    open(file + ".sealed", "wb").write(b"".join(fields) + message)
`

const mailDKIMSealer = `
use strict; use Mail::DKIM::ARC::Signer;
my ($domain, $selector, $server, $key) = splice(@ARGV, 0, 4);
for my $file (@ARGV) {
    my $arc = Mail::DKIM::ARC::Signer->new(Algorithm => "rsa-sha256", Domain => $domain, Selector => $selector, SrvId => $server, KeyFile => $key, Chain => "ar");
    open(my $in, "<:raw", $file) or die $!;
    local $/; my $text = <$in>;
    $arc->PRINT($text); $arc->CLOSE;
    die $arc->{details} || $arc->result unless $arc->result eq "sealed";
    open(my $out, ">:raw", "$file.sealed") or die $!;
    print $out join("\r\n", $arc->as_strings), "\r\n", $text;
}
`

// ARCSealers put a set on letters in files, into FILE.sealed: by RSA, with what the
// Authentication-Results of a server say.
func ARCSealers() map[string]func(t testing.TB, domain, selector, server, key string, files []string) {
	return map[string]func(t testing.TB, domain, selector, server, key string, files []string){
		"dkimpy": func(t testing.TB, domain, selector, server, key string, files []string) {
			Run(t, "", needPython(t), append([]string{"-c", dkimpySealer, domain, selector, server, key}, files...)...)
		},
		"Mail::DKIM": func(t testing.TB, domain, selector, server, key string, files []string) {
			Run(t, "", needMailDKIM(t), append([]string{"-e", mailDKIMSealer, domain, selector, server, key}, files...)...)
		},
	}
}
