package config

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

// Check looks for what the types of single values can not see: names that are
// none, listeners twice, files that are missing or open to everybody. Every
// mistake is one error, with its line where the file has one.
func (c *Config) Check() []error {
	k := checker{c: c}
	k.identity()
	k.trusted()
	k.maps()
	k.domains()
	k.addresses()
	k.access()
	k.spf()
	k.greylist()
	k.brake()
	k.dmarc()
	k.dkim()
	k.arc()
	k.dnsLists()
	k.attachments()
	k.scanners()
	k.submission()
	k.programs()
	k.listeners()
	k.certificates()
	k.outbound()
	k.transports()
	k.tlsPolicies()
	k.schedule()
	k.rewrite()
	k.forwarding()
	k.unix()
	k.notices()
	k.filter()
	k.filterPolicies()
	k.quarantine()
	k.reputation()
	k.limits()
	k.mailbox()
	k.auth()
	k.directories()
	k.journey()
	k.reports()
	k.learn()
	k.namespace()
	k.session()
	k.pop3()
	k.preGreet()
	k.doctor()
	k.dataDir()
	return k.errs
}

type checker struct {
	c    *Config
	errs []error
}

func (k *checker) failf(key, format string, args ...any) {
	k.errs = append(k.errs, k.c.positions.Errorf(key, format, args...))
}

func (k *checker) identity() {
	if k.c.Hostname == "" {
		k.failf("hostname", `is missing; expected the full name of this machine, such as "mail.example.org"`)
	} else if err := checkName(k.c.Hostname); err != nil {
		k.failf("hostname", `%v; expected a full name such as "mail.example.org"`, err)
	}
}

// trusted refuses networks so wide that the server would relay for the world:
// wider than 10.0.0.0/8, and than any that a registry gives away (REL-017).
func (k *checker) trusted() {
	for i, p := range k.c.TrustedNetworks {
		least := 16
		if p.Addr().Is4() {
			least = 8
		}
		if p.Bits() < least {
			k.failf(fmt.Sprintf("trusted_networks[%d]", i),
				"%s is a large part of the Internet, and everybody there could send to anywhere; expected at most a /%d", p, least)
		}
	}
}

func (k *checker) domains() {
	seen := map[string]bool{}
	for i, d := range k.c.Domains {
		key := fmt.Sprintf("domain[%d].name", i)
		name, err := canonicalName(d.Name)
		switch {
		case d.Name == "":
			k.failf(key, "is missing")
		case err != nil:
			k.failf(key, "%v", err)
		case seen[name]:
			k.failf(key, "the domain %q is declared twice", d.Name)
		default:
			if err := k.c.declared(d).Check(); err != nil {
				k.failf(fmt.Sprintf("domain[%d]", i), "%v", err)
			}
		}
		seen[name] = true
	}
}

func (k *checker) certificates() {
	t := k.c.TLS
	if len(t.Certificate) != len(t.Key) {
		k.failf("tls.key", "there are %d certificates and %d keys; each certificate needs its key", len(t.Certificate), len(t.Key))
	}
	for i, path := range t.Certificate {
		if _, err := os.Stat(path); err != nil {
			k.failf(fmt.Sprintf("tls.certificate[%d]", i), "%v", err)
		}
	}
	for i, path := range t.Key {
		key := fmt.Sprintf("tls.key[%d]", i)
		info, err := os.Stat(path)
		if err != nil {
			k.failf(key, "%v", err)
		} else if m := info.Mode().Perm(); m&0o037 != 0 {
			// Readable by a group is the habit of Debian's ssl-cert; more is not.
			k.failf(key, "%s is open to others (mode %04o); chmod 600 it", path, m)
		}
	}
}

func (k *checker) schedule() {
	q := k.c.Queue
	if q.MinimalBackoffTime.Std() < time.Second {
		k.failf("queue.minimal_backoff_time", "expected at least 1s")
	}
	if q.MaximalBackoffTime < q.MinimalBackoffTime {
		k.failf("queue.maximal_backoff_time", "is shorter than minimal_backoff_time")
	}
	if q.MaximalQueueLifetime <= 0 {
		k.failf("queue.maximal_queue_lifetime", "expected more than 0s; mail is not given up at once")
	}
	if q.BounceQueueLifetime <= 0 {
		k.failf("queue.bounce_queue_lifetime", "expected more than 0s")
	}
}

func (k *checker) atLeast(key string, value, least int64) {
	if value < least {
		k.failf(key, "expected at least %d, found %d", least, value)
	}
}

// dataDir refuses a directory that everybody can write to: whoever can put
// files there can put mail and accounts there.
func (k *checker) dataDir() {
	if k.c.DataDir == "" {
		k.failf("data_dir", "is empty; expected a directory")
		return
	}
	info, err := os.Stat(k.c.DataDir)
	switch {
	case err != nil:
		// Whoever starts the server makes it, or says why not.
	case !info.IsDir():
		k.failf("data_dir", "%s is not a directory", k.c.DataDir)
	case info.Mode().Perm()&0o002 != 0:
		k.failf("data_dir", "%s can be written by everybody (mode %04o); chmod 700 it", k.c.DataDir, info.Mode().Perm())
	}
}

// canonicalName is a domain in the form that everything compares; an address
// literal is none.
func canonicalName(domain string) (string, error) {
	name, err := address.CanonicalDomain(domain)
	if err != nil || name[0] == '[' {
		return "", fmt.Errorf("%q is not a domain name", domain)
	}
	return name, nil
}

// checkName wants the full name of a machine: at least two labels, no address.
func checkName(host string) error {
	name, err := canonicalName(host)
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Errorf("%q is an address, not a name", host)
	}
	if !strings.Contains(name, ".") || strings.Contains(name, "_") {
		return fmt.Errorf("%q is not a full name", host)
	}
	return nil
}
