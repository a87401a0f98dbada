package interop

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"facteur/internal/mail/spf"
	"facteur/internal/net/dns"
	"facteur/internal/test/sim"
)

// spfWorld is a small world of records as people write them, right and wrong.
const spfWorld = `
	plain.example.       TXT "v=spf1 mx a ip4:198.51.100.0/24 ip6:2001:db8:1::/48 -all"
	plain.example.       A 192.0.2.1
	plain.example.       AAAA 2001:db8::1
	plain.example.       MX 10 mx.plain.example.
	mx.plain.example.    A 192.0.2.2
	mx.plain.example.    AAAA 2001:db8::2
	big.example.         TXT "v=spf1 include:plain.example include:soft.example ?all"
	soft.example.        TXT "v=spf1 a:mx.plain.example/28//64 ~all"
	moved.example.       TXT "v=spf1 redirect=big.example"
	macro.example.       TXT "v=spf1 exists:%{ir}.%{v}._spf.%{d2} exists:%{l1r-}.%{o}.users.example ~all exp=why.example"
	why.example.         TXT "%{c} is not %{h} for %{s}"
	1.2.0.192.in-addr._spf.macro.example. A 127.0.0.2
	list.macro.example.users.example.      A 127.0.0.2
	named.example.       TXT "v=spf1 ptr -all"
	1.2.0.192.in-addr.arpa. PTR a.named.example.
	2.2.0.192.in-addr.arpa. PTR b.named.example.
	a.named.example.     A 192.0.2.1
	b.named.example.     A 192.0.2.99
	twice.example.       TXT "v=spf1 -all"
	twice.example.       TXT "v=spf1 +all"
	wrong.example.       TXT "v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all"
	nothing.example.     TXT "something else"
	loop.example.        TXT "v=spf1 include:loop.example -all"
	void.example.        TXT "v=spf1 a:x.void.example a:y.void.example a:z.void.example ip4:192.0.2.1 -all"
	many.example.        TXT "v=spf1 a a a a a a a a a a a -all"
	many.example.        A 203.0.113.1
	gone.example.        TXT "v=spf1 include:nobody.example -all"
	upper.example.       TXT "V=SPF1 IP4:192.0.2.1 -ALL"
	nomail.example.      TXT "v=spf1 -all"
	down.example.        TXT "v=spf1 a:broken.example ip4:192.0.2.1 -all"
	!servfail broken.example
	!servfail down2.example
`

// The script of each peer reads "ip sender helo" lines and writes a result for each.
const (
	pythonSPF = `
import sys, spf, dns.resolver
r = dns.resolver.Resolver(configure=False)
r.nameservers, r.port, r.timeout, r.lifetime = ['127.0.0.1'], int(sys.argv[1]), 20, 20
dns.resolver.default_resolver = r
for line in sys.stdin:
    ip, sender, helo = line.split()
    print(spf.check2(i=ip, s=sender, h=helo, querytime=60)[0])
`
	perlSPF = `
use Mail::SPF; use Net::DNS;
my $r = Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => shift, retry => 2, retrans => 10);
my $s = Mail::SPF::Server->new(dns_resolver => $r);
while (<STDIN>) {
    my ($ip, $sender, $helo) = split;
    my $q = Mail::SPF::Request->new(versions => [1], scope => 'mfrom', identity => $sender, ip_address => $ip, helo_identity => $helo);
    print $s->process($q)->code, "\n";
}
`
)

// Row 163: the results are those of Debian's SPF programs, the one under policyd-spf and
// the one under spfquery.
func TestSPFAgrees(t *testing.T) {
	t.Parallel()
	questions := spfQuestions()
	d, err := sim.StartDNS("127.0.0.1:0", spfWorld)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	r, err := dns.New(dns.Config{Servers: []string{d.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(d.Addr())
	for name, answers := range map[string][]string{
		"pyspf":     spfPeer(t, questions, "/usr/bin/python3", "-c", pythonSPF, port),
		"Mail::SPF": spfPeer(t, questions, Need(t, "perl"), "-e", perlSPF, port),
	} {
		if len(answers) != len(questions) {
			t.Fatalf("%s: %d answers to %d questions:\n%s", name, len(answers), len(questions), strings.Join(answers, "\n"))
		}
		for i, line := range questions {
			words := strings.Fields(line)
			q := spf.Question{IP: netip.MustParseAddr(words[0]), Sender: words[1], Helo: words[2]}
			if got := spf.Check(context.Background(), r.SPF(), q); string(got.Status) != answers[i] {
				t.Errorf("%s: %s says %s: %+v", line, name, answers[i], got)
			}
		}
	}
}

func spfPeer(t *testing.T, questions []string, name string, args ...string) []string {
	t.Helper()
	out, err := TryRun(t, strings.Join(questions, "\n")+"\n", name, args...)
	if err != nil {
		Missing(t, "%s can not check SPF: %v\n%s", name, err, out)
	}
	return strings.Fields(out)
}

// spfQuestions are all clients for all domains.
func spfQuestions() (list []string) {
	for _, ip := range []string{"192.0.2.1", "192.0.2.2", "198.51.100.77", "203.0.113.9", "2001:db8::1", "2001:db8:1:2::3"} {
		for _, domain := range []string{"plain", "big", "soft", "moved", "macro", "named", "twice", "wrong", "nothing", "loop", "void", "many", "gone", "upper", "nomail", "down", "down2", "nobody"} {
			list = append(list, fmt.Sprintf("%s list-x@%s.example helo.example", ip, domain))
		}
	}
	return list
}

// policyd is Debian's policyd-spf, with our name server in the place of the system's.
const policyd = `
import sys, dns.resolver
r = dns.resolver.Resolver(configure=False)
r.nameservers, r.port, r.timeout, r.lifetime = ['127.0.0.1'], int(sys.argv[1]), 20, 20
dns.resolver.default_resolver = r
import spf_engine.policyd_spf
sys.argv = ['policyd-spf', sys.argv[2]]
spf_engine.policyd_spf.main()
`

// Rows 164 and 165: what policyd-spf does with its settings, ours do; row 163: the header
// that it writes is the one that we write.
func TestSPFAsPolicyd(t *testing.T) {
	t.Parallel()
	d, err := sim.StartDNS("127.0.0.1:0", spfWorld+"\nhelo.example. TXT \"v=spf1 ip4:192.0.2.1 ip4:203.0.113.9 -all\"\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	r, err := dns.New(dns.Config{Servers: []string{d.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(d.Addr())
	relay := netip.MustParsePrefix("198.51.100.0/24")
	for _, c := range []struct {
		conf   string
		policy spf.Policy
		exempt spf.Exemptions
	}{
		{"", spf.Policy{MailFrom: spf.OnFail, Helo: spf.OnFail}, spf.Exemptions{}},
		{"Mail_From_reject = Softfail\nHELO_reject = False", spf.Policy{MailFrom: spf.OnSoftFail, Helo: spf.Never}, spf.Exemptions{}},
		{"Mail_From_reject = SPF_Not_Pass\nHELO_reject = No_Check\nPermError_reject = True\nTempError_Defer = True", spf.Policy{MailFrom: spf.OnNotPass, Helo: spf.Unchecked, RejectPermError: true, DeferTempError: true}, spf.Exemptions{}},
		{"Mail_From_reject = False\nHELO_reject = Null\nReject_Not_Pass_Domains = big.example", spf.Policy{MailFrom: spf.Never, Helo: spf.NullSenderFail, NotPass: []string{"big.example"}}, spf.Exemptions{}},
		{"TestOnly = 0", spf.Policy{MailFrom: spf.OnFail, Helo: spf.OnFail, TestOnly: true}, spf.Exemptions{}},
		{"No_Mail = True\nHELO_reject = False", spf.Policy{MailFrom: spf.OnFail, Helo: spf.Never, OnlyNoMail: true}, spf.Exemptions{}},
		{"Whitelist = 198.51.100.0/24\nDomain_Whitelist = soft.example", spf.Policy{MailFrom: spf.OnFail, Helo: spf.OnFail}, spf.Exemptions{Addresses: []netip.Prefix{relay}, Domains: []string{"soft.example"}}},
	} {
		t.Run("rows 163 164 165 "+strings.ReplaceAll(c.conf, "\n", " "), func(t *testing.T) {
			t.Parallel()
			var asked strings.Builder
			var want []string
			for _, line := range policydQuestions() {
				w := strings.Fields(line)
				sender := strings.Trim(w[1], "-")
				fmt.Fprintf(&asked, "request=smtpd_access_policy\ninstance=i%d\nclient_address=%s\nsender=%s\nhelo_name=%s\nrecipient=you@example.org\n\n", len(want), w[0], sender, w[2])
				q := spf.Question{IP: netip.MustParseAddr(w[0]), Sender: sender, Helo: w[2]}
				want = append(want, line+": "+asPolicyd(spf.Judge(context.Background(), r.SPF(), c.policy, c.exempt, q, ""), q))
			}
			conf := WriteFile(t, t.TempDir()+"/policyd-spf.conf", "debugLevel = -1\nHide_Receiver = Yes\n"+c.conf+"\n")
			out, err := TryRun(t, asked.String(), "/usr/bin/python3", "-c", policyd, port, conf)
			if err != nil {
				Missing(t, "policyd-spf does not run: %v\n%s", err, out)
			}
			var got []string
			for _, answer := range strings.Split(strings.TrimSpace(out), "\n\n") {
				if len(got) < len(want) {
					got = append(got, policydQuestions()[len(got)]+": "+policydSaid(answer))
				}
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				for i := range want {
					if i >= len(got) || got[i] != want[i] {
						t.Errorf("policyd-spf: %s\nours:        %s", append(got, "nothing")[min(i, len(got))], want[i])
					}
				}
			}
		})
	}
}

func policydQuestions() (list []string) {
	for _, ip := range []string{"192.0.2.1", "198.51.100.77", "203.0.113.9"} {
		for _, sender := range []string{"a@plain.example", "a@big.example", "a@soft.example", "a@nomail.example", "a@twice.example", "a@down2.example", "a@nothing.example", "-"} {
			list = append(list, ip+" "+sender+" helo.example", ip+" "+sender+" nothing.example")
		}
	}
	return list
}

// asPolicyd is a judgement in the words of policydSaid.
func asPolicyd(j spf.Judgement, q spf.Question) string {
	switch {
	case j.Exempt != "":
		return "exempt"
	case j.Decision.Action != spf.Accept:
		return string(j.Decision.Action) + " " + j.Decision.Code
	case j.Decision.Would != spf.Accept: // TestOnly: policyd-spf is silent then
		return "dunno"
	case j.ForHeader() == nil:
		return "dunno"
	}
	if j.ForHeader().Identity == spf.Helo { // it has a sentence in the place of "(helo)"
		return "Received-SPF: " + strings.ToUpper(string(j.ForHeader().Status[:1])) + string(j.ForHeader().Status[1:]) + " identity=helo"
	}
	return "Received-SPF: " + spf.Header(*j.ForHeader(), q)
}

// policydSaid is an answer of policyd-spf, without its texts for people.
func policydSaid(answer string) string {
	answer = strings.TrimSpace(strings.TrimPrefix(answer, "action="))
	words := strings.Fields(answer)
	switch {
	case words[0] == "550":
		return "reject " + words[1]
	case words[0] == "defer_if_permit":
		return "defer " + words[1]
	case strings.Contains(answer, "X-Comment: SPF "):
		return "exempt"
	case words[0] == "prepend" && strings.Contains(answer, "identity=helo;"):
		return "Received-SPF: " + words[2] + " identity=helo"
	case words[0] == "prepend":
		return strings.TrimPrefix(answer, "prepend ")
	}
	return words[0]
}
