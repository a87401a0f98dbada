package rule

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"
	"time"

	"github.com/expr-lang/expr/vm"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// Facts is what a rule can ask about. The tags are the language: expr is the name
// in expressions, stage the earliest at which the fact is known (without it: always),
// doc its line in docs/RULES.md.
//
// Names and addresses are in the form for comparing: lower case, domains in
// A-labels. One Facts serves the rules of one visit, in one goroutine.
type Facts struct {
	Client     *Client  `expr:"client" doc:"the machine that is connected"`
	Helo       string   `expr:"helo" stage:"helo" doc:"what it said in HELO or EHLO, in lower case"`
	Protocol   string   `expr:"protocol" stage:"helo" doc:"SMTP, ESMTP, ESMTPS, ESMTPSA, LMTP and so on"`
	TLS        *TLS     `expr:"tls" doc:"the encryption of the connection"`
	Service    string   `expr:"service" doc:"the service of the listener: smtp, submission, submissions, lmtp"`
	Account    string   `expr:"account" doc:"the account that logged in; empty for strangers"`
	Trusted    bool     `expr:"trusted" doc:"the client is in trusted_networks"`
	Local      bool     `expr:"local" doc:"a program on this machine, by its socket"`
	Remarks    []string `expr:"remarks" doc:"what was odd about the connection: pregreet, pipelining, bare_newline, non_smtp_command"`
	Messages   int      `expr:"messages" doc:"messages taken in this session until now"`
	Time       *Time    `expr:"time" doc:"the time here"`
	Tags       []string `expr:"tags" doc:"the words that rules have put with tag"`
	Sender     *Mailbox `expr:"sender" stage:"mail" doc:"the envelope sender; its address is empty in notices"`
	Size       int      `expr:"size" stage:"mail" doc:"the bytes that the client announced; at the stage end those that came"`
	UTF8       bool     `expr:"smtputf8" stage:"mail" doc:"the client asked for SMTPUTF8"`
	Recipient  *Mailbox `expr:"recipient" stage:"rcpt" doc:"the recipient that is judged; at the stages data and end the only one, or an empty one when there are several"`
	Recipients int      `expr:"recipients" stage:"rcpt" doc:"how many recipients were accepted until now"`
	BodySize   int      `expr:"body_size" stage:"end" doc:"the bytes of the body"`
	SPF        string   `expr:"spf" stage:"rcpt" doc:"the SPF result of the envelope sender: pass, fail, softfail, neutral, none, temperror or permerror; of a notice, that of HELO; empty where it was not asked"`
	SPFHelo    string   `expr:"spf_helo" stage:"rcpt" doc:"the SPF result of the HELO name"`
	IPRev      string   `expr:"iprev" stage:"end" doc:"pass: the client has a name that leads back to it; fail, permerror (it has no name), temperror, or empty"`
	DKIM       []string `expr:"dkim" stage:"end" doc:"the domains whose DKIM signatures passed"`
	ARC        string   `expr:"arc" stage:"end" doc:"the chain of ARC seals: pass, fail, or empty without one"`
	DMARC      string   `expr:"dmarc" stage:"end" doc:"the DMARC result of the author's domain: pass, fail, none, temperror or permerror; empty where it was not asked"`
	Policy     string   `expr:"dmarc_policy" stage:"end" doc:"what the author's domain asks for when DMARC fails: none, quarantine, reject; empty without a record"`
	Verdict    string   `expr:"verdict" stage:"end" doc:"what the server makes of the evidence: accept, or junk (it goes to the junk folder); empty where nobody asked"`
	Score      float64  `expr:"score" stage:"end" doc:"the points that the filter gave the letter; 0 where it is not scored"`
	Spam       bool     `expr:"spam" stage:"end" doc:"the filter takes the letter for spam"`
	Category   string   `expr:"category" stage:"end" doc:"what the filter found it to be: virus, banned, bad_header, spam; empty where nothing stands against it"`
	Evidence   []string `expr:"evidence" stage:"end" doc:"the names of what the filter found, such as dnsbl_zen, helo_not_fqdn"`

	InNet         func(ip string, nets ...string) (bool, error) `expr:"in_net" doc:"in_net(ip, \"192.0.2.0/24\", …): the address is in one of the networks"`
	InList        func(list string, key any) (bool, error)      `expr:"in_list" doc:"in_list(\"name\", key): the list has the key; see below for how keys are looked up"`
	ListValue     func(list string, key any) (string, error)    `expr:"list_value" doc:"list_value(\"name\", key): what the list says of the key; empty when it has none"`
	ValidHostname func(name string) bool                        `expr:"valid_hostname" doc:"valid_hostname(helo): it has the form of a host name or of an address literal"`
	FQDN          func(name string) bool                        `expr:"fqdn" doc:"fqdn(helo): it is a full name, or an address literal"`
	Resolves      func(name string) (bool, error)               `expr:"resolves" doc:"resolves(domain): the DNS has an MX or an address for it; address literals resolve"`
	Hosted        func(domain string) (bool, error)             `expr:"hosted" doc:"hosted(domain): mail for the domain is received here"`
	Known         func(key any) (bool, error)                   `expr:"known" doc:"known(sender): the address is elsewhere, or somebody here has it"`
	Header        func(name string) string                      `expr:"header" stage:"end" doc:"header(\"Subject\"): the first field of the name, decoded; empty when there is none"`
	Headers       func(name string) []string                    `expr:"headers" stage:"end" doc:"headers(\"Received\"): all fields of the name, decoded; the first 500 of them"`

	// Message is what header and headers read.
	Message message.Header `expr:"-"`

	ctx     context.Context
	sources *Sources
	listed  listed // what the expression found last
	machine vm.VM
}

// listed is an entry of a list.
type listed struct{ list, key, value string }

// Client is the facts about the client's machine.
type Client struct {
	Address string                             `expr:"address" doc:"its IP address"`
	Name    string                             `expr:"name" doc:"its name, when the name leads back to the address; else unknown"`
	In      func(nets ...string) (bool, error) `expr:"in" doc:"client.in(\"10.0.0.0/8\", …): it is in one of the networks"`
}

// TLS is the facts about the encryption.
type TLS struct {
	Active      bool   `expr:"active" doc:"there is one"`
	Version     string `expr:"version" doc:"TLS 1.2 or TLS 1.3"`
	Cipher      string `expr:"cipher" doc:"the cipher suite, by its IANA name"`
	Server      string `expr:"server" doc:"the name that the client asked for (SNI)"`
	CertName    string `expr:"cert_name" doc:"the common name of a client certificate that was verified"`
	Fingerprint string `expr:"fingerprint" doc:"the SHA-256 of a client certificate, verified or not, in lower-case hexadecimal"`
}

// Mailbox is an address in the facts.
type Mailbox struct {
	Address   string `expr:"address" doc:"user+extension@domain"`
	Local     string `expr:"local" doc:"what is left of the @"`
	User      string `expr:"user" doc:"the same without the extension"`
	Extension string `expr:"extension" doc:"what is behind the first +"`
	Domain    string `expr:"domain" doc:"what is right of the @"`
}

// Time is the time of day, where the server is.
type Time struct {
	Clock   string `expr:"clock" doc:"as 09:05, which compares as text"`
	Hour    int    `expr:"hour" doc:"0 to 23"`
	Weekday string `expr:"weekday" doc:"monday to sunday"`
}

// Sources is what rules look things up in. Each may be nil where no rule asks.
type Sources struct {
	// List looks a key up in a list.
	List func(ctx context.Context, list, key string) lookup.Answer[string]
	// Whole tells lists that are asked for whole keys only, as they have patterns.
	Whole func(list string) bool
	// Resolves tells whether mail could be sent to a domain.
	Resolves func(ctx context.Context, domain string) lookup.Answer[bool]
	// Hosted tells whether a domain is ours, Known whether an address of ours is
	// somebody's; addresses elsewhere are Known.
	Hosted func(ctx context.Context, domain string) lookup.Answer[bool]
	Known  func(ctx context.Context, a address.Address) lookup.Answer[bool]
}

// NewFacts makes the facts of a visit.
func NewFacts() *Facts {
	f := &Facts{Client: &Client{Name: "unknown"}, TLS: &TLS{}, Time: &Time{}, Sender: &Mailbox{}, Recipient: &Mailbox{}}
	f.InNet, f.InList, f.ListValue = inNet, f.inList, f.listValue
	f.ValidHostname, f.FQDN, f.Resolves = ValidHostname, FQDN, f.resolves
	f.Hosted, f.Known, f.Header, f.Headers = f.hosted, f.known, f.header, f.headers
	f.Client.In = func(nets ...string) (bool, error) { return inNet(f.Client.Address, nets...) }
	return f
}

// SetClient is who is connected. name is "unknown" without a verified one.
func (f *Facts) SetClient(a netip.Addr, name string) {
	f.Client.Address, f.Client.Name = "", "unknown"
	if a.IsValid() {
		f.Client.Address = a.Unmap().WithZone("").String()
	}
	if name != "" {
		f.Client.Name = strings.ToLower(strings.TrimSuffix(name, "."))
	}
}

// SetTLS takes over the state of a connection; nil is none.
func (f *Facts) SetTLS(c *tls.ConnectionState, fingerprint func(*x509.Certificate) string) {
	*f.TLS = TLS{}
	if c == nil {
		return
	}
	*f.TLS = TLS{Active: true, Version: tls.VersionName(c.Version), Cipher: tls.CipherSuiteName(c.CipherSuite), Server: c.ServerName}
	if len(c.PeerCertificates) > 0 {
		f.TLS.Fingerprint = fingerprint(c.PeerCertificates[0])
		if len(c.VerifiedChains) > 0 {
			f.TLS.CertName = c.PeerCertificates[0].Subject.CommonName
		}
	}
}

// Set takes over an address; the zero Address empties it.
func (m *Mailbox) Set(a address.Address) {
	*m = Mailbox{}
	if a.IsNull() {
		return
	}
	folded, err := address.Parse(a.Key())
	if err != nil {
		folded = address.Address{Local: strings.ToLower(a.Local), Domain: a.Domain} // the bare postmaster
	}
	*m = Mailbox{Address: folded.String(), Local: folded.Local, User: folded.Local, Domain: folded.Domain}
	if user, extension, found := strings.Cut(folded.Local, "+"); found && user != "" {
		m.User, m.Extension = user, extension
	}
}

// setTime is asked once for each stage that has rules.
func (f *Facts) setTime(now time.Time) {
	*f.Time = Time{Clock: now.Format("15:04"), Hour: now.Hour(), Weekday: strings.ToLower(now.Weekday().String())}
}

func (f *Facts) header(name string) string {
	return message.DecodeText(f.Message.Get(name))
}

// maxFields bounds what an expression walks over, perhaps in a walk over the same.
const maxFields = 500

func (f *Facts) headers(name string) []string {
	all := f.Message.All(name)
	all = all[:min(len(all), maxFields)]
	for i := range all {
		all[i] = message.DecodeText(all[i])
	}
	return all
}
