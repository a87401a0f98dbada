package record

import (
	"net/netip"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/spf"
	"facteur/internal/store/reputation"
)

// Origin is who answers for a letter, as far as it is proven: the client; the author's
// organisation, if a signature or SPF of it holds, else that of the envelope sender; and
// that sender, if his domain says that he is it.
func Origin(e *filter.Evidence) reputation.Origin {
	var o reputation.Origin
	if e.Relayed == "" { // else the client is a server of ours
		o.Client = e.Client.Addr
	}
	if author := dkim.Organisation(e.DMARC.Asked); author != "" && proves(e, author) {
		o.Domains = append(o.Domains, author)
	}
	if e.Authentic() {
		if d := dkim.Organisation(e.Sender.Domain); len(o.Domains) == 0 && d != "" {
			o.Domains = append(o.Domains, d)
		}
		o.Sender = reputation.Sender(e.Sender)
	}
	return o
}

// proves tells that a letter is from an organisation, by a signature or by SPF.
func proves(e *filter.Evidence, organisation string) bool {
	for i := range e.DKIM {
		if d := &e.DKIM[i]; d.Status == dkim.Pass && !d.Testing && dkim.Organisation(d.Domain) == organisation {
			return true
		}
	}
	return e.SPFMail != nil && e.SPFMail.Status == spf.Pass && dkim.Organisation(e.SPFMail.Domain) == organisation
}

// taughtOrigin is who answers for a letter that lies in a mailbox, of which is known what
// its header tells in our own words.
func taughtOrigin(client netip.Addr, sender address.Address, domains []string) (o reputation.Origin) {
	if isStranger(client) {
		o.Client = client
	}
	of := dkim.Organisation(sender.Domain)
	for _, d := range domains {
		switch d = dkim.Organisation(d); {
		case d == "":
		case d == of:
			o.Sender, o.Domains = reputation.Sender(sender), []string{d}
			return o
		case o.Domains == nil:
			o.Domains = []string{d}
		}
	}
	return o
}
