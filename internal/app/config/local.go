package config

import "facteur/internal/base/conf"

// SendmailSocket is where programs of this machine hand over mail, in the standard
// set-up. Its directory belongs to the server's user and may be entered by everybody;
// systemd makes it (RuntimeDirectory=facteur), or root's server does.
const SendmailSocket = "/run/facteur/sendmail.sock"

// localMode lets every user of the machine connect: the system tells us who it is.
const localMode = 0o666

// standardLocal is the listener for programs of this machine of a file that names no
// listeners.
func standardLocal() Listener {
	return Listener{Service: Local, Address: conf.Socket{Path: SendmailSocket}}
}

// Standard tells the listener that the server can do without where the directory of
// its socket can't be had: a mail server that does not start is worse than one that
// the programs of its machine can't reach.
func (l Listener) Standard() bool { return l.Service == Local && l.Address.Path == SendmailSocket }

// LocalSocket is the path of the socket on which programs of this machine hand over
// mail, or "".
func (c *Config) LocalSocket() string {
	for _, l := range c.Listen {
		if l.Service == Local {
			return l.Address.Path
		}
	}
	return ""
}

// local wants a Unix socket for the service "local": over it, the system says who is
// there.
func (k *checker) local(key string, l Listener) {
	if l.Service == Local && l.Address.Path == "" {
		k.failf(key+".address", `the service "local" needs a Unix socket, such as "unix:%s"`, SendmailSocket)
	}
}
