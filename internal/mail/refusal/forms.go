package refusal

// The hosts of operators, as their MX records have them.
const (
	google    = "google.com googlemail.com"
	microsoft = "outlook.com hotmail.com mx.microsoft"
	yahoo     = "yahoodns.net yahoo.com aol.com"
	orange    = "orange.fr wanadoo.fr"
	laPoste   = "laposte.net"
	free      = "free.fr proxad.net"
	sfr       = "sfr.fr"
	unitedNet = "gmx.net gmx.com web.de kundenserver.de perfora.net 1and1.com ionos.com"
	apple     = "icloud.com apple.com"
	comcast   = "comcast.net"
	tOnline   = "t-online.de"
)

// Where to read on.
const (
	googleHelp     = "https://support.google.com/mail/answer/81126"
	microsoftHelp  = "https://olcsupport.office.com/"
	microsoftList  = "https://sender.office.com/"
	microsoftCodes = "https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/non-delivery-reports-in-exchange-online"
	yahooHelp      = "https://senders.yahooinc.com/smtp-error-codes/"
	orangeHelp     = "https://postmaster.orange.fr/"
	laPosteHelp    = "https://postmaster.laposte.net/"
	freeHelp       = "https://postmaster.free.fr/"
	unitedHelp     = "https://postmaster.gmx.net/en/error-messages"
	appleHelp      = "https://support.apple.com/102322"
	comcastHelp    = "https://postmaster.comcast.net/smtp-error-codes.php"
	cloudmarkHelp  = "https://csi.cloudmark.com/en/reset/"
)

// unknownWords say that there is no such recipient.
var unknownWords = []string{
	"user unknown", "unknown user", "no such user", "user not found", "unknown recipient", "recipient unknown",
	"unknown address", "address unknown", "unknown mailbox", "no such mailbox", "no such recipient",
	"no such address", "no such person", "no mailbox here", "mailbox not found", "mailbox unavailable",
	"mailbox does not exist", "mailbox doesn't exist", "does not exist", "doesn't exist", "do not exist",
	"user doesn't have", "no user*here", "no account by that name", "recipient not found",
	"recipient address rejected: unverified", "undeliverable address", "invalid recipient", "invalid mailbox",
	"not a valid mailbox", "not a known user", "not our customer", "unrouteable address", "unroutable address",
	"destinataire inconnu", "utilisateur inconnu", "destinataire invalide", "destinataire*invalide",
	"address not present in directory", "unknown local part", "unknown in*recipient table",
	"unknown in*mailbox table",
}

// forms are the refusals that are known; the first that fits counts. First those of one
// operator or list, whose words are their own, then what many servers say.
var forms = []form{
	// What we say ourselves: of a host whose TLS is not good enough, and of what is wrong in
	// this house. First of all: the names and certificates in these texts are strangers', and
	// have any words in them. No reply of a host is read as one of these.
	{id: "our-tls-demand", own: true, says: []string{
		"tls is required*host*(needed: tls, whoever the host proves to be)", "tls is required*host*(needed: for the password)",
		"cannot start tls with host*(needed: tls, whoever the host proves to be)", "cannot start tls with host*(needed: for the password)",
		"host*(needed: a good certificate for the right name", "host*(needed: a certificate as the settings name it",
	}, means: "tls-demand"},
	{id: "our-tls-not-offered", own: true, says: []string{"tls is required, but was not offered by host", "tls is required, but host*refused to start tls"}, means: "no-tls"},
	{id: "our-tls-failed", own: true, says: []string{"server certificate not verified: host", "cannot start tls with host"}, means: "bad-tls"},
	{id: "our-tlsa", own: true, says: []string{"tlsa lookup error for", "has no usable tlsa records that dnssec validates"}, means: "tlsa"},
	{id: "our-mta-sts", own: true, says: []string{"the mta-sts policy of*does not name the mail host"}, means: "mta-sts"},
	{id: "our-requiretls", own: true, says: []string{"the message must travel under tls all the way"}, means: "requiretls"},
	{id: "our-settings", own: true, says: []string{"mail system configuration error"}, means: "our-settings"},
	{id: "our-table", own: true, says: []string{"transport table lookup failure"}, means: "our-table"},
	{id: "our-bind", own: true, says: []string{"connect to*bind*cannot assign requested address"}, means: "our-bind"},
	{id: "our-resolver", own: true, says: []string{"name service error for*asking*connection refused"}, means: "our-resolver"},
	// Microsoft: outlook.com, hotmail, live, and companies' mail there.
	{id: "microsoft-s3140", who: "Microsoft", says: []string{"s3140"}, means: "blocked", link: microsoftHelp},
	{id: "microsoft-s3150", who: "Microsoft", says: []string{"s3150"}, means: "blocked", link: microsoftHelp},
	{id: "microsoft-dynamic", who: "Microsoft", says: []string{"dy-00#", "hotmail does not relay dynamically-assigned ip ranges"}, means: "dynamic", link: microsoftHelp},
	{id: "microsoft-rate", who: "Microsoft", at: microsoft, says: []string{"rp-00#", "limits for how many messages can be sent per hour"}, means: "slow", link: microsoftHelp},
	{id: "microsoft-reputation-rate", who: "Microsoft", at: microsoft, on: "4.7.650-652", means: "suspended", link: microsoftHelp},
	{id: "microsoft-block-list", who: "Microsoft", at: microsoft, says: []string{"messages from*weren't sent*on our block list", "sc-00#"}, means: "blocked", link: microsoftHelp},
	{id: "microsoft-policy", who: "Microsoft", at: microsoft, says: []string{"ou-00#"}, means: "policy", link: microsoftHelp},
	{id: "microsoft-banned-ip", who: "Microsoft", on: "5.7.606-649", says: []string{"banned sending ip", "access denied"}, means: "blocked", link: microsoftList},
	{id: "microsoft-banned-sender", who: "Microsoft", at: microsoft, on: "5.7.511", means: "blocked", link: "https://learn.microsoft.com/defender-office-365/external-senders-use-the-delist-portal-to-unblock-yourself"},
	{id: "microsoft-new-ip", who: "Microsoft", at: microsoft, on: "5.7.708", means: "reputation", link: microsoftCodes},
	{id: "microsoft-tenant-quota", who: "Microsoft", at: microsoft, on: "5.7.700-707 5.7.750 5.1.90", means: "quota", link: microsoftCodes},
	{id: "microsoft-busy", who: "Microsoft", at: microsoft, on: "4.7.500 4.7.550 4.3.2 4.3.1", says: []string{"server busy", "access denied, please try again later", "system not accepting network messages", "insufficient system resources"}, means: "busy"},
	{id: "microsoft-authentication-level", who: "Microsoft", on: "5.7.515", says: []string{"required authentication level", "access denied"}, means: "unauthenticated", link: "https://techcommunity.microsoft.com/blog/microsoftdefenderforoffice365blog/strengthening-email-ecosystem-outlook%E2%80%99s-new-requirements-for-high%E2%80%90volume-senders/4399730"},
	{id: "microsoft-dmarc", who: "Microsoft", on: "5.7.509", says: []string{"does not pass dmarc"}, means: "dmarc", link: microsoftCodes},
	{id: "microsoft-spf", who: "Microsoft", at: microsoft, on: "5.7.23", means: "spf", link: microsoftCodes},
	{id: "microsoft-no-from", who: "Microsoft", at: microsoft, on: "5.7.512", means: "format", link: microsoftCodes},
	{id: "microsoft-customer-list", who: "Microsoft", at: microsoft, on: "5.7.513", means: "restricted", link: microsoftCodes},
	{id: "microsoft-log-in", who: "Microsoft", on: "5.7.57", says: []string{"client*not authenticated"}, means: "log-in", link: microsoftCodes},
	{id: "microsoft-send-as", who: "Microsoft", on: "5.7.60 5.7.1", says: []string{"client does not have permissions to send as this sender", "sendasdenied"}, means: "sender", link: microsoftCodes},
	{id: "microsoft-relay", who: "Microsoft", on: "5.7.64 5.7.367-368", says: []string{"tenantattribution", "relay access denied"}, means: "relay", link: microsoftCodes},
	{id: "microsoft-members", who: "Microsoft", says: []string{"resolver.rst.*", "sendernotauthenticatedforgroup", "resolver.rst.authrequired", "restricttorecipients"}, means: "restricted", link: microsoftCodes},
	{id: "microsoft-full", who: "Microsoft", says: []string{"quotaexceededexception", "storedrv*mailbox full"}, means: "full"},
	{id: "microsoft-mailbox-rate", who: "Microsoft", on: "x.2.121-122", means: "busy-mailbox", link: microsoftCodes},
	{id: "microsoft-unknown", who: "Microsoft", at: microsoft, on: "5.4.1 5.5.0 5.1.10", says: []string{"recipient address rejected: access denied", "mailbox unavailable", "resolver.adr", "recipient not found", "recipientnotfound"}, means: "unknown"},
	{id: "microsoft-disabled", who: "Microsoft", at: microsoft, says: []string{"account is disabled", "mailbox is disabled"}, means: "disabled"},

	// Gmail and domains with Google.
	{id: "google-dmarc", who: "Gmail", on: "x.7.26 5.7.1", says: []string{"not accepted due to domain's dmarc policy", "unauthenticated email from*dmarc policy"}, means: "dmarc", link: "https://support.google.com/mail/answer/2451690"},
	{id: "google-unauthenticated", who: "Gmail", at: google, on: "x.7.26 x.7.40", means: "unauthenticated", link: googleHelp},
	{id: "google-spf", who: "Gmail", at: google, on: "x.7.27 x.7.24", means: "spf", link: googleHelp},
	{id: "google-dkim", who: "Gmail", at: google, on: "x.7.30", means: "dkim", link: googleHelp},
	{id: "google-alignment", who: "Gmail", at: google, on: "x.7.32", means: "dmarc", link: googleHelp},
	{id: "google-tls", who: "Gmail", at: google, on: "x.7.29", means: "tls", link: googleHelp},
	{id: "google-no-ptr", who: "Gmail", at: google, on: "x.7.25 x.7.23", means: "no-ptr", link: googleHelp},
	{id: "google-ipv6", who: "Gmail", at: google, says: []string{"does not meet ipv6 sending guidelines"}, means: "no-ptr", link: googleHelp},
	{id: "google-rate", who: "Gmail", at: google, on: "x.7.28", means: "slow", link: "https://support.google.com/mail/answer/81126#sending-practices"},
	{id: "google-rate-old", who: "Gmail", at: google, on: "x.7.0 x.7.1", says: []string{"unusual rate of unsolicited mail"}, means: "slow", link: googleHelp},
	{id: "google-low-reputation-ip", who: "Gmail", at: google, says: []string{"low reputation of the sending ip"}, means: "reputation", link: "https://support.google.com/mail/answer/188131"},
	{id: "google-low-reputation-domain", who: "Gmail", at: google, says: []string{"low reputation of the sending domain"}, means: "domain-reputation", link: "https://support.google.com/mail/answer/188131"},
	{id: "google-not-direct", who: "Gmail", at: google, says: []string{"not authorized to send email directly to our servers"}, means: "dynamic", link: "https://support.google.com/mail/answer/10336"},
	{id: "google-content", who: "Gmail", at: google, says: []string{"content presents a potential security issue"}, means: "danger", link: "https://support.google.com/mail/answer/6590"},
	{id: "google-format", who: "Gmail", at: google, says: []string{"not rfc 5322 compliant", "messages missing a valid address in from", "messages missing a valid message-id", "multiple addresses in from"}, means: "format", link: googleHelp},
	{id: "google-unsolicited", who: "Gmail", at: google, on: "x.7.0 x.7.1", says: []string{"likely unsolicited mail", "message is likely suspicious", "message is suspicious"}, means: "spam", link: "https://support.google.com/mail/?p=UnsolicitedMessageError"},
	{id: "google-mailbox-rate", who: "Gmail", at: google, on: "x.2.1", says: []string{"receiving mail at a rate", "receiving mail too quickly"}, means: "busy-mailbox", link: "https://support.google.com/mail/answer/6592"},
	{id: "google-disabled", who: "Gmail", at: google, on: "5.2.1", means: "disabled", link: "https://support.google.com/mail/?p=DisabledUser"},
	{id: "google-full", who: "Gmail", at: google, on: "x.2.2", means: "full", link: "https://support.google.com/mail/?p=OverQuotaPerm"},
	{id: "google-unknown", who: "Gmail", at: google, on: "5.1.1", means: "unknown", link: "https://support.google.com/mail/?p=NoSuchUser"},
	{id: "google-quota", who: "Gmail", at: google, on: "5.4.5 4.7.1", says: []string{"sending limit exceeded", "sending quota exceeded", "user sending limit"}, means: "quota", link: "https://support.google.com/mail/answer/22839"},
	{id: "google-log-in", who: "Gmail", at: google, on: "5.7.0 5.7.8 5.7.9 5.7.14", says: []string{"authentication required", "username and password not accepted", "application-specific password required", "please log in"}, means: "log-in", link: "https://support.google.com/mail/?p=BadCredentials"},
	{id: "google-later", who: "Gmail", at: google, on: "4.7.0", says: []string{"try again later", "ip not in whitelist"}, means: "slow", link: googleHelp},

	// Yahoo and AOL, and what is there.
	{id: "yahoo-deferred", who: "Yahoo", on: "4", says: []string{"ts01", "ts02", "tss04", "tss05", "temporarily deferred due to*user complaints", "deferred due to unexpected volume"}, means: "suspended", link: yahooHelp},
	{id: "yahoo-rejected", who: "Yahoo", says: []string{"ts03", "tss09", "tss11", "all messages from*will be permanently deferred"}, means: "blocked", link: yahooHelp},
	{id: "yahoo-spamhaus", who: "Yahoo", says: []string{"bl21", "bl23"}, means: "listed", link: "https://check.spamhaus.org/"},
	{id: "yahoo-unauthenticated", who: "Yahoo", at: yahoo, says: []string{"requires all senders to authenticate"}, means: "unauthenticated", link: yahooHelp},
	{id: "yahoo-unknown-many", who: "Yahoo", at: yahoo, says: []string{"excessive unknown recipients", "too many bad recipients"}, means: "invalid", link: yahooHelp},
	{id: "yahoo-greylisted", who: "Yahoo", at: yahoo, says: []string{"[gl01]", "message temporarily deferred"}, means: "greylisted", link: yahooHelp},
	{id: "yahoo-phishing", who: "Yahoo", at: yahoo, says: []string{"[ph01]", "[ur01]", "message not allowed"}, means: "danger", link: yahooHelp},
	{id: "yahoo-policy", who: "Yahoo", at: yahoo, on: "x.7.9 554", says: []string{"not accepted for policy reasons", "au01"}, means: "dmarc", link: yahooHelp},
	{id: "yahoo-connections", who: "Yahoo", at: yahoo, says: []string{"max message per connection reached", "resources temporarily not available", "resources temporarily unavailable", "connection limit"}, means: "slow", link: yahooHelp},
	{id: "yahoo-unknown", who: "Yahoo", at: yahoo, says: []string{"this user doesn't have a*account", "mailbox not found", "not a valid mailbox"}, means: "unknown", link: yahooHelp},
	{id: "yahoo-disabled", who: "Yahoo", at: yahoo, says: []string{"mailbox is disabled", "is no longer active"}, means: "disabled", link: yahooHelp},
	{id: "aol-dynamic", who: "AOL", says: []string{"rtr:bb", "rtr:du", "rtr:rd"}, means: "dynamic", link: yahooHelp},
	{id: "aol-blocked", who: "AOL", says: []string{"rtr:*connecting ip", "rtr:ch", "rtr:bg", "rtr:ge", "rtr:sc", "dyn:t1", "rly:b#", "rly:bd", "rly:cs#", "con:b1"}, means: "blocked", link: yahooHelp},
	{id: "aol-slow", who: "AOL", says: []string{"rtr:rl", "rly:bl"}, means: "slow", link: yahooHelp},
	{id: "aol-no-ptr", who: "AOL", says: []string{"dns:nr", "dns:b1", "dns:b2"}, means: "no-ptr", link: yahooHelp},
	{id: "aol-link", who: "AOL", says: []string{"hvu:b#", "hvu:b##", "hvc:b1"}, means: "link", link: yahooHelp},

	// Orange and La Poste: the same codes, by their last three digits.
	{id: "orange-spamhaus", who: "Orange", says: []string{"ofr###_101", "ofr_101"}, means: "listed", link: "https://check.spamhaus.org/"},
	{id: "orange-blocked", who: "Orange", says: []string{"ofr###_102", "ofr_102", "ofr###_103", "ofr_103", "adresse ip source bloquee pour incident de spam"}, means: "blocked", link: cloudmarkHelp},
	{id: "orange-connections", who: "Orange", says: []string{"ofr###_104", "ofr_104", "ofr###_105", "ofr_105", "ofr###_109", "ofr_109"}, means: "slow", link: orangeHelp},
	{id: "orange-later", who: "Orange", says: []string{"ofr_999", "ofr###_999", "ofr###_201", "ofr###_505", "ofr_505"}, means: "suspended", link: orangeHelp},
	{id: "orange-spf", who: "Orange", says: []string{"ofr###_401", "ofr_401"}, means: "spf", link: orangeHelp},
	{id: "orange-log-in", who: "Orange", says: []string{"ofr###_402", "ofr_402", "ofr_305", "ofr###_305"}, means: "log-in", link: orangeHelp},
	{id: "orange-sender", who: "Orange", says: []string{"ofr_403", "ofr###_403", "ofr###_405", "ofr_405", "ofr###_415", "ofr_415"}, means: "sender", link: orangeHelp},
	{id: "orange-unknown", who: "Orange", says: []string{"ofr###_416", "ofr_416", "ofr###_418", "ofr_418"}, means: "unknown"},
	{id: "orange-full", who: "Orange", says: []string{"ofr###_417", "ofr_417"}, means: "full"},
	{id: "orange-disabled", who: "Orange", says: []string{"ofr###_420", "ofr_420", "ofr###_426", "ofr_426"}, means: "disabled"},
	{id: "orange-spam", who: "Orange", says: []string{"ofr###_506", "ofr_506", "ofr###_510", "ofr_510", "ouk_513"}, means: "spam", link: orangeHelp},
	{id: "orange-size", who: "Orange", says: []string{"ofr###_514", "ofr_514"}, means: "size"},
	{id: "orange-dmarc", who: "Orange", says: []string{"ofr###_517", "ofr_517"}, means: "dmarc", link: orangeHelp},
	{id: "laposte-spamhaus", who: "La Poste", says: []string{"lpn###_101", "lpnaaa_101"}, means: "listed", link: "https://check.spamhaus.org/"},
	{id: "laposte-blocked", who: "La Poste", says: []string{"lpn###_102", "lpn###_103", "lpn###_630"}, means: "blocked", link: laPosteHelp},
	{id: "laposte-connections", who: "La Poste", says: []string{"lpn###_104", "lpn###-104", "lpn###_105", "lpn###_107", "lpn###_109"}, means: "slow", link: laPosteHelp},
	{id: "laposte-later", who: "La Poste", says: []string{"lpn###_505", "lpn###_423", "lpn###_424"}, means: "suspended", link: laPosteHelp},
	{id: "laposte-spf", who: "La Poste", says: []string{"lpn###_401"}, means: "spf", link: laPosteHelp},
	{id: "laposte-log-in", who: "La Poste", says: []string{"lpn###_402"}, means: "log-in", link: laPosteHelp},
	{id: "laposte-sender", who: "La Poste", says: []string{"lpn###_405", "lpn###_421"}, means: "sender", link: laPosteHelp},
	{id: "laposte-unknown", who: "La Poste", says: []string{"lpn###_416", "lpn416"}, means: "unknown"},
	{id: "laposte-disabled", who: "La Poste", says: []string{"lpn###_420", "lpn###_426"}, means: "disabled"},
	{id: "laposte-refused", who: "La Poste", says: []string{"lpn###_510", "lpn###_108"}, means: "spam", link: laPosteHelp},
	{id: "laposte-dmarc", who: "La Poste", says: []string{"lpn###_517"}, means: "dmarc", link: laPosteHelp},

	// Free and SFR.
	{id: "free-spam", who: "Free", at: free, on: "5", says: []string{"spam detected"}, means: "spam", link: freeHelp},
	{id: "free-invalid", who: "Free", at: free, says: []string{"too many invalid recipients", "too many errors from your ip"}, means: "invalid", link: freeHelp},
	{id: "free-slow", who: "Free", at: free, says: []string{"too many connections from your ip", "too much load", "too many messages from your ip"}, means: "slow", link: freeHelp},
	{id: "free-blocked", who: "Free", at: free, says: []string{"your ip*blacklisted", "too many spams from your ip"}, means: "blocked", link: freeHelp},
	{id: "sfr-spam", who: "SFR", at: sfr, on: "5", says: []string{"rejected per spam policy", "message content rejected"}, means: "spam"},
	{id: "sfr-blocked", who: "SFR", says: []string{"sfr_in_#01", "sfr_in_#02"}, means: "suspended", link: "https://www.postmastery.com/all-about-isp-sfr-and-smtp-error-codes-sfr_in_xxx/"},
	{id: "sfr-invalid", who: "SFR", says: []string{"sfr_in_#03", "sfr_in_#04"}, means: "invalid", link: "https://www.postmastery.com/all-about-isp-sfr-and-smtp-error-codes-sfr_in_xxx/"},
	{id: "sfr-slow", who: "SFR", says: []string{"sfr_in_#05"}, means: "slow", link: "https://www.postmastery.com/all-about-isp-sfr-and-smtp-error-codes-sfr_in_xxx/"},

	// Other large providers.
	{id: "gmx-no-ptr", who: "GMX, WEB.DE and IONOS", at: unitedNet, says: []string{"invalid dns ptr resource record", "no-ptr"}, means: "no-ptr", link: unitedHelp},
	{id: "gmx-blocked", who: "GMX, WEB.DE and IONOS", at: unitedNet, says: []string{"bad dns ptr resource record", "ip address is block listed", "ip address is blacklisted", "nemesis*sender ip", "reject due to policy restrictions"}, means: "blocked", link: unitedHelp},
	{id: "gmx-dynamic", who: "GMX, WEB.DE and IONOS", at: unitedNet, says: []string{"dynamic ip", "dialup"}, means: "dynamic", link: unitedHelp},
	{id: "gmx-spf", who: "GMX, WEB.DE and IONOS", at: unitedNet, says: []string{"reject due to spf policy"}, means: "spf", link: unitedHelp},
	{id: "gmx-dmarc", who: "GMX, WEB.DE and IONOS", at: unitedNet, says: []string{"reject due to dmarc policy"}, means: "dmarc", link: unitedHelp},
	{id: "gmx-slow", who: "GMX, WEB.DE and IONOS", at: unitedNet, on: "4", says: []string{"too many connections", "sending limits", "mail rate limit"}, means: "slow", link: unitedHelp},
	{id: "apple-policy", who: "Apple", at: apple, says: []string{"[cs01]", "[cs02]", "[hm07]", "[hm08]", "hm07", "hm08"}, means: "spam", link: appleHelp},
	{id: "apple-volume", who: "Apple", at: apple, on: "4", says: []string{"deferred due to excessive volume"}, means: "slow", link: appleHelp},
	{id: "apple-later", who: "Apple", at: apple, on: "4.7.1", says: []string{"service unavailable"}, means: "busy", link: appleHelp},
	{id: "comcast-slow", who: "Comcast", says: []string{"rl######", "too many sessions opened"}, means: "slow", link: comcastHelp},
	{id: "comcast-blocked", who: "Comcast", says: []string{"bl######", "comcast block for spam"}, means: "blocked", link: "https://postmaster.comcast.net/block-removal-request.html"},
	{id: "t-online-reputation", who: "T-Online", says: []string{"none/bad reputation"}, means: "reputation", link: "https://postmaster.t-online.de/"},
	{id: "t-online-blocked", who: "T-Online", at: tOnline, on: "554", says: []string{"ask your postmaster"}, means: "blocked", link: "https://postmaster.t-online.de/"},

	// Block lists and filters that many servers use.
	{id: "spamhaus-open-resolver", who: "Spamhaus", on: "5 4", says: []string{"spamhaus*public resolver", "spamhaus*open resolver", "spamhaus.org/returnc", "error: open resolver"}, means: "trouble", link: "https://www.spamhaus.org/returnc/pub/"},
	{id: "spamhaus-domain", who: "Spamhaus", says: []string{"dbl.spamhaus.org", "spamhaus dbl", "spamhaus.org/dbl", "spamhaus.org/query/domain", "spamhaus.org/query/dbl"}, means: "link", link: "https://check.spamhaus.org/"},
	{id: "spamhaus-pbl", who: "Spamhaus", says: []string{"pbl.spamhaus.org", "spamhaus.org/pbl", "spamhaus pbl", "spamhaus.org/query/pbl"}, means: "dynamic", link: "https://check.spamhaus.org/"},
	{id: "spamhaus", who: "Spamhaus", says: []string{"zen.spamhaus.org", "sbl.spamhaus.org", "xbl.spamhaus.org", "sbl-xbl.spamhaus.org", "css.spamhaus.org", "zen.dq.spamhaus.net", "spamhaus.org/query", "spamhaus.org/lookup", "spamhaus.org/sbl", "spamhaus.org/xbl", "spamhaus.org/css", "blocked using spamhaus", "listed*spamhaus"}, names: []string{"spamhaus"}, means: "listed", link: "https://check.spamhaus.org/"},
	{id: "spamcop", who: "SpamCop", says: []string{"bl.spamcop.net", "spamcop.net/bl.shtml", "spamcop.net/w3m"}, names: []string{"spamcop"}, means: "listed", link: "https://www.spamcop.net/bl.shtml"},
	{id: "barracuda", who: "Barracuda", says: []string{"b.barracudacentral.org", "barracudacentral.org", "barracudanetworks.com/reputation", "bcc.barracuda"}, means: "listed", link: "https://www.barracudacentral.org/rbl/removal-request"},
	{id: "sorbs-dynamic", who: "SORBS", says: []string{"dul.dnsbl.sorbs.net"}, means: "dynamic"},
	{id: "sorbs", who: "SORBS", says: []string{"dnsbl.sorbs.net", "sorbs.net"}, means: "listed"},
	{id: "uceprotect", who: "UCEPROTECT", says: []string{"dnsbl-#.uceprotect.net", "uceprotect.net"}, names: []string{"uceprotect"}, means: "listed", link: "https://www.uceprotect.net/en/rblcheck.php"},
	{id: "abusix", who: "Abusix", says: []string{"combined.mail.abusix.zone", "abusix.zone", "lookup.abusix.com"}, names: []string{"abusix"}, means: "listed", link: "https://lookup.abusix.com/"},
	{id: "cloudmark", who: "Cloudmark", says: []string{"csi.cloudmark.com", "cloudmark.com/reset-request", "cloudmark*reset"}, means: "blocked", link: cloudmarkHelp},
	{id: "proofpoint-ip", who: "Proofpoint", says: []string{"ipcheck.proofpoint.com", "blocked by proofpoint dynamic reputation", "pdr:", "blocked - see https://ipcheck.proofpoint.com"}, means: "blocked", link: "https://ipcheck.proofpoint.com/"},
	{id: "mimecast-blocked", who: "Mimecast", says: []string{"csi.mimecast", "mimecast*blacklist", "mimecast*block list", "local ct ip reputation"}, means: "blocked", link: "https://community.mimecast.com/"},
	{id: "trendmicro-dynamic", who: "Trend Micro", says: []string{"trend micro*dynamic user list", "dul.mail-abuse"}, means: "dynamic", link: "https://servicecentral.trendmicro.com/en-us/ers/"},
	{id: "trendmicro", who: "Trend Micro", says: []string{"trend micro", "mail-abuse.com", "mail-abuse.org", "ers.trendmicro.com"}, means: "listed", link: "https://servicecentral.trendmicro.com/en-us/ers/"},
	{id: "sender-score", who: "Sender Score", says: []string{"senderscore.org", "senderscore.com", "sender score"}, means: "reputation", link: "https://senderscore.org/"},
	{id: "talos", who: "Cisco Talos", says: []string{"talosintelligence.com", "senderbase.org", "ironport*sbrs", "sbrs score"}, means: "reputation", link: "https://talosintelligence.com/reputation_center"},
	{id: "spamrats", who: "SpamRATS", says: []string{"spamrats.com"}, means: "listed", link: "https://www.spamrats.com/lookup.php"},
	{id: "mailspike", who: "Mailspike", names: []string{"mailspike"}, means: "listed", link: "https://www.mailspike.org/iplookup.html"},
	{id: "psbl", who: "PSBL", says: []string{"psbl.surriel.com", "psbl.org"}, means: "listed", link: "https://psbl.org/"},
	{id: "invaluement", who: "Invaluement", names: []string{"invaluement"}, means: "listed", link: "https://www.invaluement.com/lookup/"},
	{id: "0spam", who: "0spam", names: []string{"0spam"}, means: "listed", link: "https://0spam.org/"},
	{id: "surbl", who: "SURBL", says: []string{"surbl.org", "multi.surbl"}, means: "link", link: "https://surbl.org/surbl-analysis"},
	{id: "uribl", who: "URIBL", says: []string{"uribl.com", "multi.uribl"}, means: "link", link: "https://lookup.uribl.com/"},
	{id: "listed", says: []string{"blocked using", "listed in rbl", "in rbl", "rbl restriction", "dnsbl", "blocklisted", "block list", "blacklist", "blacklisted", "black list", "rejected because*is listed", "is listed at", "found in*rbl"}, means: "listed"},

	// What many servers say. First what the words tell, then what the codes tell.
	{id: "greylisted", says: []string{"greylist", "greylisted", "greylisting", "graylist", "graylisted", "graylisting", "grey-listed", "grey listed", "gray listed", "postgrey.schweikert.ch", "try again in*seconds", "retry in*seconds"}, on: "4", means: "greylisted"},
	{id: "too-many-incoming", says: []string{"too many incoming emails", "receiving mail at a rate", "receiving mail too quickly", "recipient*too many messages"}, means: "busy-mailbox"},
	{id: "unknown-many", says: []string{"too many invalid recipients", "too many unknown recipients", "too many bad recipients", "too many unknown users", "too many errors"}, means: "invalid"},
	{id: "daily-quota", says: []string{"daily*quota exceeded", "daily*limit exceeded", "sending quota exceeded", "sending limit exceeded", "outgoing*limit", "hourly*limit", "message submission rate"}, means: "quota"},
	{id: "too-fast", says: []string{"too many connections", "too many concurrent", "too many sessions", "too many simultaneous", "too many messages", "too many mails", "too many emails", "too much mail", "connection limit", "connection rate limit", "rate limit", "rate limited", "rate-limited", "ratelimited", "rate limiting", "exceeded*rate", "rate*exceeded", "slow down", "throttled", "throttling", "sending too fast", "too many requests", "concurrent connections", "connection frequency limited", "excessive volume"}, means: "slow"},
	{id: "no-ptr", says: []string{"reverse dns", "reverse hostname", "cannot find your reverse", "cannot find your hostname", "no ptr", "ptr record", "missing ptr", "rdns", "fcrdns", "without reverse", "unable to resolve your ip", "client host rejected: cannot find your hostname"}, means: "no-ptr"},
	{id: "helo", says: []string{"helo command rejected", "helo*invalid", "invalid helo", "bad helo", "ehlo*rejected", "helo name", "helo does not resolve", "helo hostname"}, means: "helo"},
	{id: "dynamic", says: []string{"dynamic ip", "dynamically-assigned", "dynamically assigned", "dynamic/residential", "dynamic or residential", "residential ip", "dialup", "dial-up", "use your isp's", "use your provider's"}, means: "dynamic"},
	{id: "dmarc", says: []string{"dmarc*record", "dmarc*policy", "dmarc*fail", "dmarc*failed", "dmarc*fails", "fails dmarc", "failed dmarc", "pass dmarc", "dmarc check", "dmarc evaluation"}, names: []string{"dmarc"}, means: "dmarc"},
	{id: "spf", says: []string{"spf fail", "spf check failed", "spf failed", "spf validation failed", "spf softfail", "failed spf", "fails spf", "spf-result=fail", "sender policy framework", "openspf", "open-spf", "rejected*spf", "spf*not allowed", "spf*rejected", "spf: *", "not permitted sender", "not designated"}, means: "spf"},
	{id: "dkim", says: []string{"dkim*fail", "dkim*failed", "no dkim", "dkim*invalid", "dkim*missing", "bad dkim", "no valid dkim", "dkim*not valid"}, means: "dkim"},
	{id: "unauthenticated", says: []string{"unauthenticated email", "sender is unauthenticated", "neither spf nor dkim"}, means: "unauthenticated"},
	{id: "tls", on: "5 4", says: []string{"must issue a starttls", "starttls is required", "starttls required", "tls is required", "tls required", "encryption required", "encryption needed", "requires tls", "tls encryption"}, means: "tls"},
	{id: "log-in", says: []string{"authentication required", "authentication is required", "authentification requise", "authentication failed", "authentication credentials invalid", "invalid credentials", "must authenticate", "smtp auth required", "username and password not accepted", "bad username or password", "incorrect authentication data"}, means: "log-in"},
	{id: "relay", says: []string{"relay access denied", "relaying denied", "relay not permitted", "relaying not allowed", "relay denied", "unable to relay", "not permitted to relay", "relaying prohibited", "relay*prohibited", "we do not relay", "no relaying", "not a local domain", "domain isn't in my list of allowed rcpthosts", "domain*not hosted here"}, means: "relay"},
	{id: "loop", says: []string{"too many hops", "mail loops back", "mail loop", "loop detected", "routing loop", "hop count exceeded", "too many received headers"}, means: "loop"},
	{id: "sender", says: []string{"sender address rejected", "sender verify failed", "sender verification failed", "sender domain must", "domain of sender address*does not", "domain of sender address*not exist", "invalid sender", "sender rejected", "sender not allowed", "sender address*does not exist", "sender*not owned", "not owned by user", "callout verification", "unrouteable sender"}, means: "sender"},
	{id: "too-large", says: []string{"message size exceeds", "message too large", "message too big", "message is too large", "message is too big", "message file too big", "message file too large", "exceeds*maximum message size", "exceeds the maximum size", "exceeded*maximum size", "maximum message size exceeded", "size limit exceeded", "message exceeds*size", "larger than the*limit", "taille limite"}, means: "size"},
	{id: "full", says: []string{"mailbox full", "mailbox is full", "mailbox*is full", "inbox is full", "over quota", "overquota", "over the quota", "over its quota", "quota exceeded", "exceeded*quota", "quota full", "quota is full", "mailbox*exceeded", "mailbox*size limit", "out of storage space", "not enough storage space", "boite*pleine", "user is over", "disk quota"}, means: "full"},
	{id: "disabled", says: []string{"account*disabled", "account is suspended", "account*suspended", "account*inactive", "account*locked", "account has been closed", "mailbox*disabled", "mailbox*inactive", "mailbox closed", "mailbox*suspended", "user*inactive", "user*disabled", "user*suspended", "no longer active", "no longer in use", "no longer valid", "deactivated", "account expired"}, means: "disabled"},
	{id: "unknown", on: "5", says: unknownWords, means: "unknown"},
	{id: "virus", says: []string{"dangerous attachment", "executable attachment", "attachment type not allowed", "banned filename", "file type not allowed", "blocked attachment", "attachment*not allowed", "contenu interdit"}, names: []string{"virus", "malware", "trojan", "phishing", "infected"}, means: "danger"},
	{id: "link", says: []string{"url*listed", "uri*listed", "link*listed", "url in this message", "domain in message*listed", "bad url"}, means: "link"},
	{id: "low-reputation", says: []string{"bad reputation", "poor reputation", "low reputation", "reputation too low", "due to*reputation", "ip reputation", "sender reputation"}, means: "reputation"},
	{id: "ip-blocked", says: []string{"your ip*blocked", "ip*is blocked", "ip address*blocked", "host*blocked", "client host*blocked", "your ip*banned", "ip*banned", "your server*blocked", "client host rejected: access denied", "your host*rejected", "connection refused*your ip"}, means: "blocked"},
	{id: "restricted", says: []string{"not accepting mail from", "not accepting messages from", "restricted to members", "members only", "not authorized to send to", "sender not authorized", "not permitted to send to", "posting*not allowed", "is not allowed to send to", "blocked by recipient", "recipient*blocked you", "denied by recipient", "recipient*does not wish"}, means: "restricted"},
	{id: "spam", says: []string{"junk mail", "bulk mail", "suspected*uce", "rejected by content filter", "message content rejected", "content rejected", "content filter", "indesirable", "high score", "message refused by*filter"}, names: []string{"spam", "spamassassin", "unsolicited"}, means: "spam"},
	{id: "format", says: []string{"rfc 5322", "rfc 2822", "rfc5322", "rfc2822", "missing*header", "no*from header", "no date header", "duplicate header", "headers are missing", "invalid header", "bare lf", "bare line feed", "missing message-id", "header*syntax"}, means: "format"},
	{id: "no-space", says: []string{"insufficient system storage", "insufficient disk space", "insufficient storage", "disk full", "no space left", "out of disk"}, means: "no-space"},
	{id: "busy", on: "4", says: []string{"server busy", "system busy", "too busy", "server is busy", "too much load", "high load", "overloaded", "system load", "temporarily overloaded", "insufficient system resources", "all server ports are busy", "resources temporarily"}, means: "busy"},

	{id: "code-unknown", on: "5.1.1 5.1.0 5.1.10 5.1.6", means: "unknown"},
	{id: "code-disabled", on: "x.2.1", means: "disabled"},
	{id: "code-full", on: "x.2.2", means: "full"},
	{id: "code-size", on: "5.3.4 5.2.3", means: "size"},
	{id: "code-loop", on: "5.4.6 5.4.14", means: "loop"},
	{id: "code-spf", on: "5.7.23", means: "spf"},
	{id: "code-dkim", on: "5.7.20-22", means: "dkim"},
	{id: "code-unauthenticated", on: "x.7.26", means: "unauthenticated"},
	{id: "code-no-ptr", on: "x.7.25", means: "no-ptr"},
	{id: "code-rate", on: "4.7.28", means: "slow"},
	{id: "code-utf8", on: "5.6.7", means: "utf8"},
	{id: "code-sender", on: "5.1.7 5.1.8", means: "sender"},
	{id: "code-tls", on: "5.7.10", means: "tls"},
	{id: "code-no-space", on: "4.3.1", means: "no-space"},
	{id: "later", on: "4", says: []string{"local error in processing", "temporary lookup failure", "temporary failure", "temporarily unavailable", "temporary local problem", "temporary error", "internal error", "server configuration problem", "queue file write error", "try again later", "try later", "please retry"}, means: "trouble"},
	{id: "policy", on: "5", says: []string{"local policy", "policy reasons", "policy restrictions", "policy violation", "administrative prohibition", "administratively", "denied by policy", "message rejected", "access denied", "not accepted for policy"}, means: "policy"},
}
