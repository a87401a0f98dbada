package interop

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Debian is Post made of a private Postfix and a private Dovecot: the oracle
// that the tests themselves are tested on. It knows the services smtp,
// submission, imap and, with imap, pop3.
type Debian struct {
	*Postfix
	dovecot    *Dovecot // nil when nobody asked for IMAP or submission
	root       string
	submission int // port, or 0
}

// NewDebian writes the configuration of both.
func NewDebian(t testing.TB, setup Setup) *Debian { return NewDebianWith(t, setup, nil) }

// NewDebianWith is NewDebian with more lines of main.cf, by parameter name.
func NewDebianWith(t testing.TB, setup Setup, main map[string]string) *Debian {
	t.Helper()
	setup = setup.withDefaults()
	NeedRoot(t)
	d := &Debian{root: Room(t)}
	uid, gid := Chown(t, d.root, "mail")
	if slices.Contains(setup.Services, "imap") || slices.Contains(setup.Services, "submission") {
		d.dovecot = NewDovecot(t, d.root)
	}
	if slices.Contains(setup.Services, "pop3") {
		d.dovecot.ServePOP3()
	}
	postfix := PostfixSetup{Main: debianMain(setup, d.root, uid, gid), Quiet: setup.Quiet}
	maps.Copy(postfix.Main, main)
	if setup.TLS {
		cert, key := SelfSigned(t, d.root)
		maps.Copy(postfix.Main, map[string]string{"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": cert, "smtpd_tls_key_file": key})
	}
	if slices.Contains(setup.Services, "submission") {
		d.submission = FreePort(t)
		postfix.Master = d.submissionService(t)
	}
	d.Postfix = NewPostfix(t, postfix)
	return d
}

// submissionService is the line of master.cf, as the how-tos have it.
func (d *Debian) submissionService(t testing.TB) string {
	cert, key := SelfSigned(t, d.root)
	return fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_cert_file=%s
  -o smtpd_tls_key_file=%s
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=%s
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
`, d.submission, cert, key, d.dovecot.authSocket())
}

// debianMain makes Postfix deliver to Maildirs itself, through virtual(8).
func debianMain(setup Setup, root string, uid, gid int) map[string]string {
	var boxes []string
	for _, address := range setup.Accounts {
		local, domain, _ := strings.Cut(address, "@")
		boxes = append(boxes, "{"+address+"="+domain+"/"+local+"/Maildir/}")
	}
	params := map[string]string{
		"virtual_mailbox_domains": strings.Join(setup.Domains, ","),
		"virtual_mailbox_base":    root,
		"virtual_mailbox_maps":    "inline:{" + strings.Join(boxes, ",") + "}",
		"virtual_uid_maps":        "static:" + strconv.Itoa(uid),
		"virtual_gid_maps":        "static:" + strconv.Itoa(gid),
		"virtual_minimum_uid":     "1",
		"virtual_mailbox_limit":   "0",
	}
	if setup.Trusted != "" {
		params["mynetworks"] = setup.Trusted
	}
	if setup.Smarthost != "" {
		host, port, _ := strings.Cut(setup.Smarthost, ":")
		params["relayhost"] = "[" + host + "]:" + port
	}
	return params
}

// Start implements Post.
func (d *Debian) Start() {
	d.t.Helper()
	d.Postfix.Start()
	if d.dovecot != nil {
		d.dovecot.Start()
	}
}

// Stop implements Post.
func (d *Debian) Stop() {
	d.t.Helper()
	d.Postfix.Stop()
	if d.dovecot != nil {
		d.dovecot.Stop()
	}
}

// Kill implements Post.
func (d *Debian) Kill() {
	d.Postfix.Kill()
	if d.dovecot != nil {
		d.dovecot.Kill()
	}
}

// Addr implements Post.
func (d *Debian) Addr(service string) string {
	d.t.Helper()
	switch service {
	case "smtp":
		return d.Postfix.Addr()
	case "submission":
		return Loopback(d.submission)
	case "imap":
		return d.dovecot.Addr()
	case "pop3":
		return Loopback(d.dovecot.pop3)
	}
	d.t.Fatalf("Debian has no service %s here", service)
	return ""
}

// Maildir implements Post.
func (d *Debian) Maildir(address string) string { return mailboxPath(d.root, address) }

// Processes implements Post.
func (d *Debian) Processes() []int {
	pids := []int{d.Postfix.PID()}
	if d.dovecot != nil {
		pids = append(pids, d.dovecot.PID())
	}
	return pids
}

// Log implements Post.
func (d *Debian) Log() string {
	if d.dovecot == nil {
		return d.Postfix.Log()
	}
	return d.Postfix.Log() + d.dovecot.Log()
}
