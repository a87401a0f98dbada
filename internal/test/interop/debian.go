package interop

import (
	"strconv"
	"strings"
)

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
	case "imap":
		return d.dovecot.Addr()
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
