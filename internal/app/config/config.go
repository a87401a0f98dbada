// Package config is what an admin can set: the file facteur.toml as a struct,
// its defaults, and the checks that need more than one value or a look at the
// disk.
//
// The doc comments of the fields below are the reference: docs/SETTINGS.md, the
// sample file and "facteur config defaults" are made from them. The defaults are
// safe and complete: hostname and one domain make a working, secure server.
//
// No program rewrites facteur.toml. Load is all or nothing: it gives a whole,
// checked Config, or errors with file, line, column and key, and then whoever
// reloads keeps the old one. A Config is not changed after Load.
package config

import (
	"time"

	"facteur/internal/base/conf"
)

// Config is the whole of facteur.toml.
type Config struct {
	// The full name of this machine, as the world's DNS knows it. It stands in the
	// greeting, in Received and Message-Id headers, and in certificates. There is
	// no default: the server does not guess who it is.
	Hostname string `toml:"hostname"`
	// The directory for everything that is kept: mail, queue, accounts, keys.
	// A relative path counts from the directory of this file.
	DataDir string `toml:"data_dir"`
	// Networks whose machines may send to anywhere without logging in. Postfix
	// calls this mynetworks. Only this machine by default.
	TrustedNetworks []conf.Prefix `toml:"trusted_networks"`
	// The largest message taken or sent, in bytes. 50M carries an attachment of
	// about 36 MB, more than the large mail providers take.
	MessageSizeLimit conf.Size `toml:"message_size_limit"`
	// The most recipients of one message in one SMTP transaction. RFC 5321 asks
	// for at least 100.
	RecipientLimit int `toml:"recipient_limit"`
	// The language of what mailbox owners read, such as the notice that a message
	// could not be delivered: "en" or "fr".
	Language Language `toml:"language"`
	// The domains that this server receives mail for. More can be kept in the
	// database with "facteur domain add"; what is declared here, only this file
	// takes away.
	Domains []Domain `toml:"domain"`
	// How an address finds its mailbox.
	Addresses Addresses `toml:"addresses"`
	// How the server decides about mail that is handed to it.
	Access Access `toml:"access"`
	// Whether a host may send mail for a domain.
	SPF SPF `toml:"spf"`
	// Letters that their author's domain disowns.
	DMARC DMARC `toml:"dmarc"`
	// The signatures of messages.
	DKIM DKIM `toml:"dkim"`
	// Keys that you keep yourself, for signatures.
	DKIMKeys []DKIMKey `toml:"dkim_key"`
	// The chains of seals of messages that were sent on.
	ARC ARC `toml:"arc"`
	// How the letters of strangers are judged.
	Filter Filter `toml:"filter"`
	// Lists that are asked by DNS about the senders of mail. A file with [[dns_list]] tables
	// of its own has only those; "dns_list = []" at the top of the file means none.
	DNSLists []DNSList `toml:"dns_list"`
	// Which files in letters are taken.
	Attachments Attachments `toml:"attachments"`
	// Programs beside this one that look at letters: ClamAV, rspamd, SpamAssassin.
	Scanners []Scanner `toml:"scanner"`
	// What our own users may do.
	Submission SubmissionRules `toml:"submission"`
	// Tables that rules can look things up in.
	Lists []List `toml:"list"`
	// The access rules, in their order.
	Rules []Rule `toml:"rule"`
	// Policy servers. They are asked at each stage after the access rules.
	Policies []Policy `toml:"policy"`
	// Milters. They are asked at each stage after the policy servers.
	Milters []Milter `toml:"milter"`
	// Where the server listens. With no [[listen]] at all: smtp on port 25,
	// submission on 587, submissions on 465, imap on 143 and imaps on 993, on all
	// addresses.
	Listen []Listener `toml:"listen"`
	// Certificates.
	TLS TLS `toml:"tls"`
	// Mail that goes out to other machines.
	Outbound Outbound `toml:"outbound"`
	// What TLS the connections to single destinations have to have. Postfix calls this
	// smtp_tls_policy_maps.
	TLSPolicies []TLSPolicy `toml:"tls_policy"`
	// Ways by which mail leaves, by name. There without being declared: smtp (the usual
	// one, with what [outbound] says), relay, lmtp, slow, local, error, retry, discard and
	// hold; a declaration of such a name takes its place. See docs/OUTGOING.md.
	Transports []Transport `toml:"transport"`
	// Which mail takes which transport. Entries for recipients are looked up as in
	// Postfix's transport(5): the address, the domain, ".parent" for its subdomains, "*";
	// these here before those of outbound.transport_maps.
	TransportMap []TransportMap `toml:"transport_map"`
	// What is known of single relays: passwords, weights, TLS.
	Relays []Relay `toml:"relay"`
	// How fast mail goes to the large providers, found by their mail hosts. A file with
	// [[preset]] tables of its own has only those; "preset = []" at the top of the file
	// means none. A [[transport]] of the same name changes what it says, and keeps the rest.
	Presets []Preset `toml:"preset"`
	// Addresses that are replaced by others.
	Rewrite Rewrite `toml:"rewrite"`
	// Mail that goes on to other machines.
	Forwarding Forwarding `toml:"forwarding"`
	// How mail is delivered to the Unix users of this machine, those of [[directory]] tables
	// with unix_users. The server has to run as root, or as the only such user. See
	// docs/DIRECTORIES.md.
	Unix Unix `toml:"unix"`
	// The schedule of retries.
	Queue Queue `toml:"queue"`
	// What is told of messages that are late or can't be delivered.
	Notices Notices `toml:"notices"`
	// What the filter does for single domains and accounts, where that is not what [filter]
	// says.
	FilterPolicyTables []FilterPolicy `toml:"filter_policy"`
	// Senders whom everybody, a domain or an account allows or blocks.
	FilterLists []FilterList `toml:"filter_list"`
	// Letters that were accepted and are kept away from the mailboxes.
	Quarantine Quarantine `toml:"quarantine"`
	// How people teach the filter.
	Learn Learn `toml:"learn"`
	// Reports about mail: those that we send, and those that we get.
	Reports Reports `toml:"reports"`
	// What is remembered of those who bring mail, and who is refused for it.
	Reputation Reputation `toml:"reputation"`
	// Files with those who are banned now.
	BanFiles []BanFile `toml:"ban_file"`
	// Look-ups.
	DNS DNS `toml:"dns"`
	// What one client and all clients may use.
	Limits Limits `toml:"limits"`
	// What a client may do in an SMTP session.
	Session Session `toml:"session"`
	// Tests of strangers before they are greeted.
	PreGreet PreGreet `toml:"pregreet"`
	// Suspicious strangers, who are asked to come again.
	Greylist Greylist `toml:"greylist"`
	// When what an account sends is held, as its password may be stolen.
	Brake Brake `toml:"brake"`
	// Limits of what is sent, beside those of [submission].
	QuotaRules []QuotaRule `toml:"quota_rule"`
	// How people log in.
	Auth Auth `toml:"auth"`
	// Places outside of our own database where accounts are kept, in the order in which
	// they are asked.
	Directories []Directory `toml:"directory"`
	// Certificates that stand for an account, each by itself.
	ClientCertificates []ClientCertificate `toml:"client_certificate"`
	// How the names of mailboxes look to mail programs.
	Namespace Namespace `toml:"namespace"`
	// The mailboxes of a new account, which it is subscribed to. Whoever deletes one is
	// not given it again. A file with tables of its own has only those;
	// "default_mailbox = []" at the top of the file means none. Dovecot calls this
	// mailbox, with auto = subscribe.
	DefaultMailboxes []DefaultMailbox `toml:"default_mailbox"`
	// Mailboxes that belong to the server.
	PublicMailboxes []PublicMailbox `toml:"public_mailbox"`
	// Fetching mail by POP3.
	POP3 POP3Rules `toml:"pop3"`
	// What an account may keep.
	Mailbox Mailbox `toml:"mailbox"`
	// How long it can be explained what happened to a message.
	Journey Journey `toml:"journey"`
	// How the server looks after itself.
	Doctor Doctor `toml:"doctor"`
	// The log.
	Log Log `toml:"log"`

	path      string
	positions *conf.Positions
}

// Domain is one domain that mail is received for.
type Domain struct {
	// The name of the domain, "example.org".
	Name string `toml:"name"`
	// What its addresses are: "mailbox" (accounts and virtual aliases; Postfix's
	// virtual_mailbox_domains), "local" (also aliases in the form of aliases(5);
	// mydestination), "alias" (virtual aliases only; virtual_alias_domains) or "relay"
	// (mail is passed on to its other mail hosts; relay_domains). Empty: "mailbox".
	Class DomainClass `toml:"class"`
	// Whether the domains below this one are meant, too, where they are not declared
	// themselves. For the class "relay". Postfix does so by default
	// (parent_domain_matches_subdomains).
	Subdomains bool `toml:"subdomains"`
	// The domain whose addresses are meant by those of this one, unless they are known
	// themselves: x@ of this is x@ of that.
	AliasOf string `toml:"alias_of"`
	// Who gets what is for nobody else in the domain: an address, or "@example.net" for
	// the same name there.
	CatchAll string `toml:"catch_all"`
	// The most bytes in the mailboxes of an account of the domain; or "unlimited".
	// Without it, mailbox.default_quota counts.
	Quota Bytes `toml:"quota"`
	// The same for the number of messages.
	Messages Number `toml:"messages"`
	// How long messages are kept that their owners have expunged. Without it,
	// mailbox.keep_expunged counts.
	KeepExpunged string `toml:"keep_expunged"`
}

// TLS is the certificates of this server.
type TLS struct {
	// Files with a certificate and its chain, PEM. Several may be given; a client
	// gets the one that fits the name it asks for. Without any, a self-signed
	// certificate is made and kept in the data directory.
	Certificate []string `toml:"certificate"`
	// Files with the private keys, in the order of the certificates. They may not
	// be readable by everybody.
	Key []string `toml:"key"`
}

// Queue is when mail that could not be delivered is tried again.
type Queue struct {
	// The wait after the first attempt that failed; it doubles from then on.
	MinimalBackoffTime conf.Duration `toml:"minimal_backoff_time"`
	// The longest wait between two attempts.
	MaximalBackoffTime conf.Duration `toml:"maximal_backoff_time"`
	// How long a message is tried before it goes back to its sender.
	MaximalQueueLifetime conf.Duration `toml:"maximal_queue_lifetime"`
	// The same for notices of failure (messages with the empty sender), which have
	// nobody to go back to.
	BounceQueueLifetime conf.Duration `toml:"bounce_queue_lifetime"`
	// After how long the sender is told that a message is late. "0s": never.
	DelayWarningTime conf.Duration `toml:"delay_warning_time"`
	// How much of the disk stays free for what is here already: while less is, new
	// mail is told to come later, and the queue and the mailboxes go on. Postfix
	// calls this queue_minfree.
	MinimumFree conf.Size `toml:"minimum_free"`
}

// DNS is how names are looked up.
type DNS struct {
	// The resolvers asked, "127.0.0.1:53". Without any, those of /etc/resolv.conf.
	Servers []conf.HostPort `toml:"servers"`
	// Whether the resolvers' word that an answer was validated by DNSSEC is
	// believed. Only for resolvers on this machine or on a path nobody else is on.
	TrustAD bool `toml:"trust_ad"`
}

// Log is where and how it is told what happens.
type Log struct {
	// The form of the lines: "postfix" (what Postfix and Dovecot write, for tools
	// that read that), "text" (key=value) or "json".
	Format LogFormat `toml:"format"`
	// The least severity told: "debug", "info", "warn" or "error".
	Level LogLevel `toml:"level"`
	// Where the lines go: "stderr", or the path of a file, which is opened anew at
	// SIGHUP. Under systemd, stderr is the journal.
	Destination string `toml:"destination"`
}

// Default is the settings of an empty file.
func Default() *Config {
	loopback := func() []conf.Prefix { return mustPrefixes("127.0.0.0/8", "::1/128") }
	return &Config{
		DataDir:          "/var/lib/facteur",
		TrustedNetworks:  loopback(),
		MessageSizeLimit: 50 << 20,
		RecipientLimit:   1000,
		Language:         English,
		Listen:           standardListeners(),
		Outbound:         defaultOutbound(),
		Presets:          defaultPresets(),
		Queue: Queue{
			MinimalBackoffTime:   conf.Duration(300 * time.Second),
			MaximalBackoffTime:   conf.Duration(4000 * time.Second),
			MaximalQueueLifetime: conf.Duration(5 * 24 * time.Hour),
			BounceQueueLifetime:  conf.Duration(5 * 24 * time.Hour),
			DelayWarningTime:     conf.Duration(4 * time.Hour),
			MinimumFree:          100 << 20,
		},
		Rewrite:          defaultRewrite(),
		Forwarding:       defaultForwarding(),
		Unix:             defaultUnix(),
		Limits:           defaultLimits(),
		Auth:             defaultAuth(),
		Mailbox:          defaultMailbox(),
		Namespace:        defaultNamespace(),
		DefaultMailboxes: defaultMailboxes(),
		POP3:             defaultPOP3(),
		Addresses:        defaultAddresses(),
		Access:           defaultAccess(),
		SPF:              defaultSPF(),
		DMARC:            defaultDMARC(),
		DKIM:             defaultDKIM(),
		ARC:              defaultARC(),
		Filter:           defaultFilter(),
		DNSLists:         defaultDNSLists(),
		Attachments:      defaultAttachments(),
		Submission:       defaultSubmission(),
		Session:          defaultSession(),
		PreGreet:         defaultPreGreet(),
		Greylist:         defaultGreylist(),
		Brake:            defaultBrake(),
		Notices:          defaultNotices(),
		Journey:          defaultJourney(),
		Quarantine:       defaultQuarantine(),
		Learn:            defaultLearn(),
		Reputation:       defaultReputation(),
		Reports:          defaultReports(),
		Doctor:           defaultDoctor(),
		Log:              Log{Format: LogPostfix, Level: "info", Destination: "stderr"},
	}
}

func mustPrefixes(texts ...string) []conf.Prefix {
	out := make([]conf.Prefix, len(texts))
	for i, text := range texts {
		if err := out[i].UnmarshalText([]byte(text)); err != nil {
			panic(err) // a constant of ours is wrong
		}
	}
	return out
}

// Path is the file that the settings were read from; "" when there was none.
func (c *Config) Path() string { return c.path }

// Home is the domain of the bare postmaster address: the first of the file.
func (c *Config) Home() string {
	if len(c.Domains) > 0 {
		return c.Domains[0].Name
	}
	return c.Hostname
}

// DomainNames is the domains of the file, as they stand there.
func (c *Config) DomainNames() []string {
	names := make([]string, len(c.Domains))
	for i, d := range c.Domains {
		names[i] = d.Name
	}
	return names
}
