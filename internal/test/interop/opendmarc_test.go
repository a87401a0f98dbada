package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"facteur/internal/mail/authres"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	"facteur/internal/test/sim"
)

// opendmarcZone is what both sides ask. Records whose meaning RFC 9989 has changed
// are not in it: OpenDMARC is of RFC 7489.
const opendmarcZone = `
_dmarc.example.org. TXT "v=DMARC1; p=reject; sp=quarantine"
sub.example.org. A 192.0.2.1
_dmarc.strict.example. TXT "v=DMARC1; p=reject; adkim=s; aspf=s"
_dmarc.soft.example. TXT "v=DMARC1;p=quarantine;rua=mailto:a@b.example!10m;fo=1;"
_dmarc.none.example. TXT "v=DMARC1; p=none"
_dmarc.own.example. TXT "v=DMARC1; p=reject"
_dmarc.sub.own.example. TXT "v=DMARC1; p=none"
`

// opendmarcScript runs in namespaces of its own, where the name server of
// /etc/resolv.conf is ours.
const opendmarcScript = `set -e
ip link set lo up
echo 'nameserver 127.0.0.1' > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
unbound -c unbound.conf >unbound.log 2>&1 &
for i in $(seq 100); do opendmarc-check example.org >/dev/null 2>&1 && break; sleep 0.1; done
for letter in letter-*; do
	echo "== $letter"
	export OPENDMARC_TEST_ENVFROM="$(cat sender-$letter)"
	opendmarc -f -v -v -c opendmarc.conf -t $letter 2>&1
done
kill %1
`

// Row 170: OpenDMARC comes to the same results.
func TestOpenDMARC(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"unshare", "ip", "unbound", "opendmarc", "opendmarc-check"} {
		Need(t, program)
	}
	cases := []struct {
		from, spf string
		dkim      []string // "domain result"
	}{
		{"a@example.org", "pass example.org", nil},
		{"a@example.org", "pass bounce.example.org", nil},
		{"a@example.org", "fail example.org", nil},
		{"a@example.org", "pass evil.example", []string{"evil.example pass"}},
		{"a@example.org", "", []string{"evil.example pass", "mail.example.org pass"}},
		{"a@example.org", "", []string{"example.org fail"}},
		{"a@sub.example.org", "", []string{"example.org pass"}},
		{"a@sub.example.org", "pass evil.example", nil},
		{"a@strict.example", "pass mail.strict.example", []string{"mail.strict.example pass"}},
		{"a@strict.example", "pass strict.example", nil},
		{"a@soft.example", "softfail soft.example", nil},
		{"a@none.example", "fail none.example", nil},
		{"a@sub.own.example", "fail own.example", nil},
		{"a@nothing.example", "pass nothing.example", nil},
		{"Bank <a@example.org> (x@none.example)", "fail none.example", nil},
		{"\"a@none.example\" <a@example.org>", "pass none.example", nil},
	}
	dir := Room(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	zone := sim.Zone(t, opendmarcZone)
	var want []string
	for i, c := range cases {
		letter, q := evidence(c.from, c.spf, c.dkim)
		write(fmt.Sprintf("letter-%02d", i), letter)
		write(fmt.Sprintf("sender-letter-%02d", i), "<x@"+q.SPF.Domain+">")
		q.Exists = zone.Exists
		r := dmarc.Evaluate(context.Background(), zone.LookupTXT, q)
		want = append(want, fmt.Sprintf("%s p=%s from %s", r.Status, r.Published(), r.Asked))
	}
	var local strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(opendmarcZone), "\n") {
		fmt.Fprintf(&local, "  local-data: '%s'\n", line)
	}
	write("unbound.conf", "server:\n  interface: 127.0.0.1\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: \""+dir+"\"\n  pidfile: \"\"\n  use-syslog: no\n  module-config: \"iterator\"\n"+
		"  local-zone: \".\" static\n"+local.String()+"remote-control:\n  control-enable: no\n")
	write("opendmarc.conf", "AuthservID mx.example.net\nTrustedAuthservIDs mx.example.net\nPublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat\nSocket inet:18893@127.0.0.1\n")
	out := Run(t, "", Need(t, "bash"), "-c", "cd "+dir+" && exec unshare "+apart(t)+" bash -c '"+strings.ReplaceAll(opendmarcScript, "'", `'\''`)+"'")
	for i, said := range strings.Split(out, "== letter-")[1:] {
		if got := opendmarcSaid(said); got != want[i] {
			t.Errorf("row 170 %+v: OpenDMARC says %q, we %q\n%s", cases[i], got, want[i], said)
		}
	}
	if n := strings.Count(out, "== letter-"); n != len(cases) {
		t.Errorf("%d of %d letters were judged:\n%s", n, len(cases), out)
	}
}

// evidence is a letter with what was found out about it, for both sides.
func evidence(from, spf string, dkim []string) (letter string, q dmarc.Question) {
	found := authres.Results{ID: "mx.example.net"}
	if result, domain, ok := strings.Cut(spf, " "); ok {
		q.SPF = dmarc.SPF{Domain: domain, Status: result}
		found.Methods = append(found.Methods, authres.Method{Name: "spf", Result: result, Properties: []authres.Property{{Type: "smtp", Name: "mailfrom", Value: domain}}})
	}
	for _, d := range dkim {
		domain, result, _ := strings.Cut(d, " ")
		q.DKIM = append(q.DKIM, dmarc.DKIM{Domain: domain, Status: result})
		found.Methods = append(found.Methods, authres.Method{Name: "dkim", Result: result, Properties: []authres.Property{{Type: "header", Name: "d", Value: domain}}})
	}
	letter = string(found.Field()) + "From: " + from + "\r\nTo: b@example.net\r\nSubject: x\r\n\r\nHello\r\n"
	q.Header = message.Header(letter)
	return letter, q
}

var opendmarcField = regexp.MustCompile(`hvalue='(mx\.example\.net; dmarc=.*)'`)

// opendmarcSaid reads the field that it would have added, which our parser takes.
func opendmarcSaid(out string) string {
	m := opendmarcField.FindStringSubmatch(out)
	if m == nil {
		return ""
	}
	r, err := authres.Parse(m[1])
	if err != nil || len(r.Methods) != 1 {
		return err.Error()
	}
	policy, _, _ := strings.Cut(strings.TrimPrefix(r.Methods[0].Comment, "p="), " ")
	return fmt.Sprintf("%s p=%s from %s", r.Methods[0].Result, policy, r.Methods[0].Property("header", "from"))
}

// apart are the namespaces of unshare in which OpenDMARC can have a resolver of its own. A
// machine that gives none is no reason to fail.
func apart(t *testing.T) string {
	for _, flags := range []string{"--mount --net", "--user --map-root-user --mount --net"} {
		if exec.Command("unshare", append(strings.Fields(flags), "ip", "link", "set", "lo", "up")...).Run() == nil {
			return flags
		}
	}
	t.Skip("this machine has no namespaces for us")
	return ""
}
