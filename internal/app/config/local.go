package config

// Local is the service for programs of this machine.
const Local Service = "local"

// SendmailSocket is where programs of this machine hand over mail, in the standard
// set-up. Its directory belongs to the server's user and may be entered by everybody;
// systemd makes it (RuntimeDirectory=facteur), or root's server does.
const SendmailSocket = "/run/facteur/sendmail.sock"

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
