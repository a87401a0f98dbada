package greylist

// Operator is somebody who sends for many, and whom it is of no use to have wait.
type Operator struct {
	// Domain is what the confirmed names of his hosts end in, or what SPF or DKIM prove.
	Domain string
	// Why: "pool" retries from many hosts, under other networks and senders; "once" is known
	// to give up, or to take hours, after a temporary refusal; "hurry" sends what is of no
	// use minutes later: codes to log in with, alerts.
	Why string
}

// Operators are those whom the settings name by default. It is a list by experience, of
// few: all of them run mail servers with a queue, which is what greylisting finds out, so
// that nothing is lost by leaving them out; the spam that comes from there is for the
// filter. Who is proven to be of such a domain need not have a name in it.
func Operators() []Operator {
	return []Operator{
		{"amazonses.com", "pool"},
		{"apple.com", "pool"},
		{"facebook.com", "once"},
		{"facebookmail.com", "once"},
		{"free.fr", "pool"},
		{"github.com", "hurry"},
		{"google.com", "pool"},
		{"icloud.com", "pool"},
		{"laposte.net", "pool"},
		{"linkedin.com", "pool"},
		{"mail-out.ovh.net", "pool"}, // not ovh.net: machines that anybody rents are called so
		{"mailgun.net", "pool"},
		{"messagingengine.com", "pool"},
		{"orange.fr", "pool"},
		{"outlook.com", "pool"},
		{"paypal.com", "hurry"},
		{"proofpoint.com", "pool"},
		{"sendgrid.net", "pool"},
		{"yahoo.com", "pool"},
	}
}
