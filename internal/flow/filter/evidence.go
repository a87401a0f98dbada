package filter

import (
	"net/netip"
	"strings"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/spf"
)

// Client is the stranger's machine.
type Client struct {
	Addr netip.Addr
	// Name is its name, if that leads back to Addr; "" or "unknown" if it has none.
	Name string
	Helo string
}

// named tells that the client's name was confirmed.
func (c Client) named() bool { return c.Name != "" && c.Name != "unknown" }

// Evidence is what was found out about a letter. It is not changed once it is judged.
type Evidence struct {
	Client Client
	// Sender is the envelope sender; null in notices.
	Sender address.Address
	// Author is who wrote it, by its From field; null where that does not name one alone.
	Author address.Address
	// IPRev is whether the client has a name that leads back (RFC 8601 §2.7.3).
	IPRev IPRev
	// SPFHelo and SPFMail are nil where nobody asked: the setting is off, the client is
	// spared, there is no name to ask about.
	SPFHelo, SPFMail *spf.Result
	// Relayed names the server of ours in front of us that brought the letter: its word on
	// SPF stands for our own. "" for letters of strangers.
	Relayed string
	// DKIM are the signatures that were looked at, in the order of the header.
	DKIM []dkim.Result
	ARC  arc.Result
	// DMARC is the zero Result where it was not asked.
	DMARC dmarc.Result
	// List is the identifier of the mailing list (List-Id, RFC 2919); "" without one.
	List string
	// Resent tells that the header says of its own accord that somebody sent it on
	// (Resent-From). Anybody can write that.
	Resent bool
	// Cut tells that the header was too long to be looked at whole.
	Cut bool
	// Known is what is known of those who proved who they are.
	Known []Standing
	// Remarks say in one sentence each what the checks found, in their order.
	Remarks []Remark
}

// Remark is what one check found: evidence, and a line of the journey.
type Remark struct {
	// Check is the family that it is of: what one family says is not taken for more than
	// one voice. "spf", "dkim", "dmarc" and "arc" tell of Evidence.
	Check string
	// Name is its own, lower_snake, as in [filter.scores] and in X-Spam-Status:
	// "dnsbl_zen", "helo_not_fqdn". Each family names its own, and no other's; "" tells, and
	// counts for nothing.
	Name string
	// Score counts for spam when positive, against it when negative. It is the default:
	// settings may say otherwise.
	Score float64
	// Sentence is plain English, complete in itself; what a stranger wrote is encoded.
	Sentence string
	// Cost is how long it took; 0: the Case fills in what the check took.
	Cost time.Duration
	// Of is the account for which it holds, "" for all: what the words of a letter mean to
	// one is not what they mean to another, nor his business.
	Of string
	// Category: the letter is of it, and Score says nothing.
	Category Category
	// Test: it is told, and counts for nothing yet.
	Test bool
	// Defer: the letter can't be judged now, and the admin wants such letters to come again
	// (a scanner that is down). Sentence says why.
	Defer bool
	// Scanned names a virus scanner that has looked at the letter; "" elsewhere. What it
	// found, the rest tells: nothing where there is no Name.
	Scanned string
}

// IPRev is whether the client's name leads back to its address.
type IPRev struct {
	// Status is "pass", "fail", "temperror" or "permerror"; "" where nobody asked.
	Status, Name, Reason string
}

// Standing is what was learnt of a domain that brings letters of others.
type Standing struct {
	Domain string
	// By is how it proved who it is: "DKIM" or "SPF".
	By string
	// Since is when it brought the first one, Good how many since, Authors of about how
	// many domains, Bad how many of them were spam.
	Since              time.Time
	Good, Authors, Bad int
}

// SPF is the result that counts for the envelope sender: that of MAIL FROM, or of HELO
// for notices (RFC 7208 §2.4); nil where nobody asked.
func (e *Evidence) SPF() *spf.Result {
	if e.SPFMail != nil {
		return e.SPFMail
	}
	if e.Sender.IsNull() {
		return e.SPFHelo
	}
	return nil
}

// Authentic tells that the envelope sender's domain says itself that the letter is from
// there: by SPF, or by a signature of it or of a domain above it. Only then a notice about
// the letter reaches whom it concerns (LOOP-007).
func (e *Evidence) Authentic() bool {
	if e.Sender.IsNull() || e.Sender.Domain == "" {
		return false
	}
	if e.SPFMail != nil && e.SPFMail.Status == spf.Pass && sameOrAbove(e.SPFMail.Domain, e.Sender.Domain) {
		return true
	}
	for i := range e.DKIM {
		if d := &e.DKIM[i]; d.Status == dkim.Pass && sameOrAbove(d.Domain, e.Sender.Domain) {
			return true
		}
	}
	return false
}

// sameOrAbove tells that a domain is another, or one above it.
func sameOrAbove(domain, other string) bool {
	domain, other = fold(domain), fold(other)
	return domain != "" && (domain == other || strings.HasSuffix(other, "."+domain))
}

// fold is a domain in the form for comparing.
func fold(domain string) string { return strings.ToLower(strings.TrimSuffix(domain, ".")) }
