package doctor

import "context"

// Provider is a large receiver of mail, and where it helps those who send to it (rows 218,
// 219, 228 and 231).
type Provider struct {
	Name string
	// Programme tells what it thinks of a server or domain, after a registration.
	Programme, ProgrammeURL string
	// UnblockURL is where to ask when it refuses mail.
	UnblockURL string
}

// Providers are those that most mail goes to.
func Providers() []Provider {
	return []Provider{
		{"Google (Gmail)", "Postmaster Tools: reputation, complaints, authentication", "https://postmaster.google.com/", "https://support.google.com/mail/contact/gmail_bulk_sender_escalation"},
		{"Microsoft (Outlook.com, Hotmail)", "SNDS (traffic and reputation of addresses) and JMRP (complaints as letters)", "https://sendersupport.olc.protection.outlook.com/snds/", "https://olcsupport.office.com/"},
		{"Microsoft 365 (Exchange Online)", "", "", "https://sender.office.com/"},
		{"Yahoo and AOL", "Sender Hub, with the Complaint Feedback Loop (CFL)", "https://senders.yahooinc.com/", "https://senders.yahooinc.com/contact/"},
		{"Apple (iCloud)", "", "", "https://support.apple.com/en-us/102322"},
		{"Orange, Wanadoo", "Signal Spam feedback loop", "https://www.signal-spam.fr/", "https://postmaster.orange.fr/"},
		{"Free, Alice", "", "", "https://postmaster.free.fr/"},
		{"La Poste", "", "", "https://www.laposte.net/postmaster"},
		{"GMX, WEB.DE, 1&1", "", "", "https://postmaster.gmx.net/en/"},
		{"T-Online", "", "", "https://postmaster.t-online.de/index.en.html"},
		{"Comcast", "Feedback loop", "https://postmaster.comcast.net/", "https://spa.xfinity.com/report"},
		{"Mail.ru", "Postmaster", "https://postmaster.mail.ru/", "https://postmaster.mail.ru/"},
		{"Cloudmark", "", "", "https://csi.cloudmark.com/en/reset/"},
		{"Barracuda", "", "", "https://www.barracudacentral.org/rbl/removal-request"},
		{"Spamhaus", "", "", "https://check.spamhaus.org/"},
	}
}

// Tools test a letter, or look at a domain from outside.
func Tools() []Provider {
	return []Provider{
		{Name: "mail-tester", Programme: "send a letter, read how it scores", ProgrammeURL: "https://www.mail-tester.com/"},
		{Name: "MXToolbox", Programme: "records, block lists, dialogue", ProgrammeURL: "https://mxtoolbox.com/"},
		{Name: "multirbl", Programme: "some hundred block lists at once", ProgrammeURL: "https://multirbl.valli.org/"},
		{Name: "learndmarc", Programme: "send a letter, see SPF, DKIM and DMARC step by step", ProgrammeURL: "https://www.learndmarc.com/"},
		{Name: "Hardenize", Programme: "TLS, MTA-STS, DANE, DNSSEC", ProgrammeURL: "https://www.hardenize.com/"},
		{Name: "internet.nl", Programme: "a mail domain against the standards", ProgrammeURL: "https://internet.nl/test-mail/"},
		{Name: "CheckTLS", Programme: "TLS to a mail host, step by step", ProgrammeURL: "https://www.checktls.com/TestReceiver"},
	}
}

// checkProviders reminds of what only a person can do.
func checkProviders(_ context.Context, w *World, r *report) {
	if !w.direct() {
		return
	}
	f := r.add(Note, "Large providers tell what they think of this server to whoever registers.").
		because("Once for each: whether they know of complaints, and why mail goes to spam.").link("docs/DOCTOR.md#providers")
	for _, p := range Providers() {
		if p.ProgrammeURL != "" {
			f.do("; " + p.Name + ": " + p.Programme + ": " + p.ProgrammeURL)
		}
	}
}
