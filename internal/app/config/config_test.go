package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/base/conf"
)

var update = flag.Bool("update", false, "write docs/SETTINGS.md anew")

// smallest is the file that the design promises to go on working.
const smallest = `hostname = "mail.example.org"
data_dir = "/var/lib/facteur"
trusted_networks = ["127.0.0.0/8", "::1/128"]

[[domain]]
name = "example.org"

[[listen]]
service = "smtp"            # smtp, submission, submissions, lmtp, imap, imaps, pop3, pop3s, sieve, http, https
address = "127.0.0.1:2525"

[outbound]
smarthost = ["127.0.0.1:2626"]     # absent: MX look-up

[dns]
servers = ["127.0.0.1:5353"]       # absent: /etc/resolv.conf; trust_ad = true where the path to them is trusted

[limits]
exempt = ["127.0.0.0/8"]           # whom the per-client limits spare
`

func TestSmallestFile(t *testing.T) {
	t.Parallel()
	c, err := Parse("/etc/facteur/facteur.toml", []byte(smallest))
	if err != nil {
		t.Fatal(err)
	}
	if errs := c.Check(); len(errs) > 0 {
		t.Fatal(errs)
	}
	got := fmt.Sprint(c.Hostname, c.DataDir, c.TrustedNetworks, c.DomainNames(), c.Listen[0].Service, c.Listen[0].Address, c.Outbound.Smarthost, c.DNS.Servers, c.Limits.Exempt, c.HeloName())
	want := "mail.example.org /var/lib/facteur [127.0.0.0/8 ::1/128] [example.org] smtp 127.0.0.1:2525 [127.0.0.1:2626] [127.0.0.1:5353] [127.0.0.0/8] mail.example.org"
	if got != strings.Replace(want, " ", "", 0) && strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// "A config with hostname and one domain is a working, secure server."
func TestDefaultsAreComplete(t *testing.T) {
	t.Parallel()
	c, err := Parse("facteur.toml", []byte("hostname = 'mail.example.org'\n[[domain]]\nname = 'example.org'"))
	if err != nil {
		t.Fatal(err)
	}
	if errs := c.Check(); len(errs) > 0 {
		t.Fatal(errs)
	}
	if len(c.Listen) != 6 || c.Outbound.AllowPrivate || c.DNS.TrustAD {
		t.Errorf("%+v", c)
	}
	for _, n := range c.TrustedNetworks {
		if !n.Addr().IsLoopback() {
			t.Errorf("%v may relay without being asked for", n)
		}
	}
}

func TestPathsAndPortsAreCompleted(t *testing.T) {
	t.Parallel()
	c, err := Parse("/etc/facteur/facteur.toml", []byte(`
data_dir = "data"
[[listen]]
service = "imaps"
address = "127.0.0.1"
[tls]
certificate = ["tls/cert.pem", "/abs.pem"]
[outbound]
port = 2626
smarthost = ["127.0.0.1", "[mx.example]:587"]
[dns]
servers = ["::1"]
[log]
destination = "mail.log"
`))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.DataDir, c.Listen[0].Address, c.TLS.Certificate, c.Outbound.Smarthost, c.DNS.Servers, c.Log.Destination)
	if want := "/etc/facteur/data127.0.0.1:993[/etc/facteur/tls/cert.pem /abs.pem] [127.0.0.1:2626 mx.example:587] [[::1]:53] /etc/facteur/mail.log"; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key, open := file("cert", 0o644), file("key", 0o640), file("open", 0o644)
	everybodys := filepath.Join(dir, "everybodys")
	if err := errors.Join(os.Mkdir(everybodys, 0o700), os.Chmod(everybodys, 0o777)); err != nil {
		t.Fatal(err)
	}
	const host = "hostname = 'mx.example.org'\n"
	for _, test := range []struct{ name, in, want string }{
		{"hostname missing", "", `f: hostname: is missing; expected the full name of this machine, such as "mail.example.org"`},
		{"hostname short", "hostname = 'mx'", `f:1:12: hostname: "mx" is not a full name; expected a full name such as "mail.example.org"`},
		{"hostname is an address", "hostname = '192.0.2.1'", `f:1:12: hostname: "192.0.2.1" is an address, not a name; expected a full name such as "mail.example.org"`},
		{"hostname is no name", "hostname = 'a b.example'", `f:1:12: hostname: "a b.example" is not a domain name; expected a full name such as "mail.example.org"`},
		{"REL-017 open relay", "trusted_networks = ['10.0.0.0/8', '0.0.0.0/0', '::/0']\n" + host, `f:1:35: trusted_networks[1]: 0.0.0.0/0 is a large part of the Internet, and everybody there could send to anywhere; expected at most a /8` +
			"\n" + `f:1:48: trusted_networks[2]: ::/0 is a large part of the Internet, and everybody there could send to anywhere; expected at most a /16`},
		{"domain without a name", host + "[[domain]]", `f:2:3: domain[0].name: is missing`},
		{"domain twice", host + "[[domain]]\nname='a.example'\n[[domain]]\nname='A.Example.'", `f:5:6: domain[1].name: the domain "A.Example." is declared twice`},
		{"domain is no name", host + "[[domain]]\nname='[192.0.2.1]'", `f:3:6: domain[0].name: "[192.0.2.1]" is not a domain name`},
		{"no listener", host + "listen = []", `f:2:1: listen: there is none; a server that listens nowhere receives nothing`},
		{"listener twice (MAP-012)", host + "[[listen]]\nservice='smtp'\naddress=':25'\n[[listen]]\nservice='imap'\naddress=':25'", `f:7:9: listen[1].address: another listener already has :25`},
		{"listener without a socket", host + "[[listen]]\nservice='local'\naddress='127.0.0.1:25'", `f:4:9: listen[0].address: the service "local" needs a Unix socket, such as "unix:/run/facteur/sendmail.sock"`},
		{"listener without a service", host + "[[listen]]\naddress=':25'", `f:2:3: listen[0].service: is missing; expected "smtp", "submission", "submissions", "lmtp", "local", "imap", "imaps", "pop3", "pop3s", "auth", "saslauthd" or "policy"`},
		{"listener on a name", host + "[[listen]]\nservice='smtp'\naddress='mx.example:25'", `f:4:9: listen[0].address: expected an IP address before the port, found "mx.example"`},
		{"certificate missing", host + "[tls]\ncertificate=['/nowhere/c']\nkey=['" + key + "']", `f:3:14: tls.certificate[0]: stat /nowhere/c: no such file or directory`},
		{"key missing", host + "[tls]\ncertificate=['" + cert + "']\nkey=['/nowhere/k']", `f:4:6: tls.key[0]: stat /nowhere/k: no such file or directory`},
		{"no key", host + "[tls]\ncertificate=['" + cert + "']", `f:2:2: tls.key: there are 1 certificates and 0 keys; each certificate needs its key`},
		{"MAP-011 key for everybody", host + "[tls]\ncertificate=['" + cert + "']\nkey=['" + open + "']", `f:4:6: tls.key[0]: ` + open + ` is open to others (mode 0644); chmod 600 it`},
		{"MAP-011 data for everybody", "data_dir='" + everybodys + "'\n" + host, `f:1:10: data_dir: ` + everybodys + ` can be written by everybody (mode 0777); chmod 700 it`},
		{"data is a file", "data_dir='" + cert + "'\n" + host, `f:1:10: data_dir: ` + cert + ` is not a directory`},
		{"0 is no limit", host + "recipient_limit = 0", `f:2:19: recipient_limit: expected at least 100, found 0`},
		{"no quota", host + "[mailbox]\ndefault_quota = 1024", `f:3:17: mailbox.default_quota: expected at least 1M, or "unlimited"`},
		{"backoff", host + "[queue]\nminimal_backoff_time='2h'", `f:2:2: queue.maximal_backoff_time: is shorter than minimal_backoff_time`},
		{"lifetime", host + "[queue]\nmaximal_queue_lifetime='0s'", `f:3:24: queue.maximal_queue_lifetime: expected more than 0s; mail is not given up at once`},
		{"bind", host + "[outbound]\nbind_address=['192.0.2.1','::1','192.0.2.2']", `f:3:33: outbound.bind_address[2]: at most one IPv4 and one IPv6 address can be given`},
		{"two mistakes", "recipient_limit = 1", "f: hostname: is missing; expected the full name of this machine, such as \"mail.example.org\"\nf:1:19: recipient_limit: expected at least 100, found 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse("f", []byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(errors.Join(c.Check()...)); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestServicesToCome(t *testing.T) {
	t.Parallel()
	_, err := Parse("f", []byte("[[listen]]\nservice = 'sieve'"))
	if got := fmt.Sprint(err); got != `f:2:11: listen[0].service: the service "sieve" is not built yet; expected "smtp", "submission", "submissions", "lmtp", "local", "imap", "imaps", "pop3", "pop3s", "auth", "saslauthd" or "policy"` {
		t.Error(got)
	}
}

func TestLoadAndFind(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := Load("none.toml"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile("facteur.toml", []byte("hostname = 'mx.example.org'\ndata_dir='d'"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := Find("")
	if err != nil || filepath.Base(path) != "facteur.toml" || !filepath.IsAbs(path) {
		t.Fatal(path, err)
	}
	c, err := Load(path)
	if err != nil || c.Path() != path || c.DataDir != filepath.Join(filepath.Dir(path), "d") {
		t.Errorf("%+v, %v", c, err)
	}
	if named, err := Find("x.toml"); named != "x.toml" || err != nil {
		t.Error(named, err)
	}
}

// What is printed as defaults is a settings file, and the one that it claims.
func TestDefaultsCanBeReadBack(t *testing.T) {
	t.Parallel()
	var defaults bytes.Buffer
	if err := WriteDefaults(&defaults); err != nil {
		t.Fatal(err)
	}
	c, err := Parse("facteur.toml", defaults.Bytes())
	if err != nil {
		t.Fatalf("%v in\n%s", err, defaults.String())
	}
	var diff bytes.Buffer
	if err := c.WriteDiff(&diff); err != nil || diff.Len() > 0 {
		t.Errorf("the defaults differ from the defaults by\n%s (%v)", diff.String(), err)
	}
}

func TestShowAndDiff(t *testing.T) {
	t.Parallel()
	c, err := Parse("/etc/facteur/facteur.toml", []byte(smallest))
	if err != nil {
		t.Fatal(err)
	}
	var show, diff bytes.Buffer
	if err := errors.Join(c.WriteShow(&show), c.WriteDiff(&diff)); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("/etc/facteur/facteur.toml", show.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var second bytes.Buffer
	if err := again.WriteDiff(&second); err != nil || second.String() != diff.String() {
		t.Errorf("show loses something:\n%s\nbecame\n%s", diff.String(), second.String())
	}
	want := `hostname = "mail.example.org"

[[domain]]
name = "example.org"

[[listen]]
service = "smtp"
address = "127.0.0.1:2525"

[outbound]
smarthost = ["127.0.0.1:2626"]

[dns]
servers = ["127.0.0.1:5353"]

[limits]
exempt = ["127.0.0.0/8"]
`
	if diff.String() != want {
		t.Errorf("got\n%s", diff.String())
	}
}

// docs/SETTINGS.md is current.
func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	const page = "../../../docs/SETTINGS.md"
	var now bytes.Buffer
	if err := WriteReference(&now); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(page, now.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(page)
	if err != nil || !bytes.Equal(kept, now.Bytes()) {
		t.Errorf("docs/SETTINGS.md is not what the doc comments say: go test ./internal/app/config -update (%v)", err)
	}
}

func TestEverySettingIsDocumented(t *testing.T) {
	t.Parallel()
	tables, err := Default().tables()
	if err != nil {
		t.Fatal(err)
	}
	settings := 0
	for _, table := range tables {
		if table.Doc == "" && table.Header != "" {
			t.Errorf("%s has no doc comment", table.Header)
		}
		for _, s := range table.Settings {
			settings++
			if s.Doc == "" {
				t.Errorf("%s %s has no doc comment", table.Header, s.Name)
			}
		}
	}
	if settings < 30 {
		t.Errorf("only %d settings were found", settings)
	}
}

// INV-23: any file is either refused with a reason or gives a whole Config.
func FuzzParse(f *testing.F) {
	f.Add(smallest)
	f.Add("hostname = 'x.example'\nlisten = []\n[tls]\nkey = ['x']")
	f.Fuzz(func(t *testing.T, in string) {
		c, err := Parse("facteur.toml", []byte(in))
		if (c == nil) == (err == nil) {
			t.Fatalf("%v and %v", c, err)
		}
		if err != nil {
			return
		}
		for _, err := range c.Check() {
			if e, ok := errors.AsType[*conf.Error](err); !ok || strings.Contains(e.Text, "\n") {
				t.Fatalf("%v is no line for people", err)
			}
		}
	})
}

func TestListeners(t *testing.T) {
	for name, test := range map[string]struct{ entry, want string }{
		"a Unix socket": {"service=\"smtp\"\naddress=\"unix:/run/x\"\nmode=\"0600\"", ""},
		"a proxy":       {"service=\"smtp\"\nproxy_protocol=true\nproxy_networks=[\"10.0.0.1\"]", ""},
		"ABU-020 a proxy that is anybody": {"service=\"smtp\"\nproxy_protocol=true",
			"listen[0].proxy_networks: is missing"},
		"ABU-020 proxies of the whole world": {"service=\"smtp\"\nproxy_protocol=true\nproxy_networks=[\"0.0.0.0/0\"]",
			"listen[0].proxy_networks[0]: 0.0.0.0/0 is everybody"},
		"networks without proxies": {"service=\"smtp\"\nproxy_networks=[\"10.0.0.1\"]",
			"listen[0].proxy_networks: is without effect"},
		"old TLS":         {"service=\"submission\"\ntls_min_version=\"1.0\"\ntls_ciphers=[\"TLS_RSA_WITH_AES_128_CBC_SHA\"]", ""},
		"no TLS":          {"service=\"submission\"\ntls_min_version=\"SSLv3\"", `listen[0].tls_min_version: expected "1.0"`},
		"a broken cipher": {"service=\"submission\"\ntls_ciphers=[\"TLS_RSA_WITH_RC4_128_SHA\"]", `"TLS_RSA_WITH_RC4_128_SHA" is not among`},
		"devices": {"service=\"submission\"\naddress=\":2587\"\ndevice_clients=[\"10.0.0.9\"]\ndevice_senders=[\"scan@example.org\"]\n" +
			"device_recipients=[\"example.org\", \"a@b.example\"]", ""},
		"devices of the world": {"service=\"submission\"\ndevice_clients=[\"10.0.0.0/8\"]\ndevice_senders=[\"scan@example.org\"]\ndevice_recipients=[\"example.org\"]",
			"listen[0].device_clients[0]: 10.0.0.0/8 is too wide"},
		"devices that send as anybody": {"service=\"submission\"\ndevice_clients=[\"10.0.0.9\"]\ndevice_recipients=[\"example.org\"]",
			"listen[0].device_senders: is missing"},
		"devices that send anywhere": {"service=\"submission\"\ndevice_clients=[\"10.0.0.9\"]\ndevice_senders=[\"scan@example.org\"]",
			"listen[0].device_recipients: is missing"},
		"devices on port 25": {"service=\"smtp\"\ndevice_clients=[\"10.0.0.9\"]\ndevice_senders=[\"scan@example.org\"]\ndevice_recipients=[\"example.org\"]",
			`listen[0].device_clients: devices use the service "submission"`},
		"nobody's devices": {"service=\"submission\"\ndevice_rate=5", "listen[0].device_clients: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse("facteur.toml", []byte("hostname=\"mail.example.org\"\ndata_dir=\"/nowhere\"\n[[listen]]\n"+test.entry+"\n"))
			if err == nil {
				err = errors.Join(c.Check()...)
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for entry, want := range map[string]string{
		"connections=10000\nconnections_per_client=5\nconnection_rate=10\nrate_time_unit=\"30s\"\nmemory=\"512M\"": "",
		"memory=\"1M\"":             "limits.memory: expected at least 64M",
		"connection_rate=0":         "limits.connection_rate: expected at least 1",
		"rate_time_unit=\"0s\"":     "limits.rate_time_unit: expected 1s to 1d",
		"connections_per_client=0":  "limits.connections_per_client: expected at least 1",
		"connections_per_account=0": "limits.connections_per_account: expected at least 1",
	} {
		c, err := Parse("facteur.toml", []byte("hostname=\"mail.example.org\"\ndata_dir=\"/nowhere\"\n[limits]\n"+entry+"\n"))
		if err == nil {
			err = errors.Join(c.Check()...)
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
}

func TestREL017WideNetworksAreTold(t *testing.T) {
	for network, want := range map[string]bool{
		"192.0.2.0/24": false, "192.0.2.0/23": true, "2001:db8::/48": false, "2001:db8::/47": true,
		"127.0.0.0/8": false, "::ffff:192.0.2.0/120": false, "::ffff:192.0.0.0/112": true, "172.17.0.0/16": true,
	} {
		c, err := Parse("facteur.toml", []byte("hostname=\"mail.example.org\"\ntrusted_networks=[\""+network+"\"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(c.Warnings(), "\n")
		if strings.Contains(got, "may send to anywhere without logging in") != want {
			t.Errorf("%s: %q", network, got)
		}
	}
}
