package intake

import (
	"fmt"
	"net/netip"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// Device is what a listener for printers, scanners and the like allows, which can't
// log in: by address, from fixed senders to fixed recipients, some messages an hour.
type Device struct {
	clients    []netip.Prefix
	senders    map[string]bool // by address.Key
	recipients map[string]bool // by address.Key, or a domain
	rate       int
	sent       *limit.Counter[netip.Prefix]
}

// deviceSlots is how many devices are told apart in the count.
const deviceSlots = 1 << 12

// NewDevice makes a Device: who may send as whom to which addresses and domains, and
// how many messages in an hour each.
func NewDevice(clients []netip.Prefix, senders, recipients []string, rate int) (*Device, error) {
	d := &Device{clients: clients, senders: map[string]bool{}, recipients: map[string]bool{}, rate: rate,
		sent: limit.NewCounter[netip.Prefix](time.Hour, deviceSlots)}
	for _, s := range senders {
		a, err := address.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("sender %q of a device: %w", s, err)
		}
		d.senders[a.Key()] = true
	}
	for _, s := range recipients {
		if a, err := address.Parse(s); err == nil && a.Domain != "" {
			d.recipients[a.Key()] = true
			continue
		}
		domain, err := address.CanonicalDomain(s)
		if err != nil {
			return nil, fmt.Errorf("recipient %q of a device: %w", s, err)
		}
		d.recipients[domain] = true
	}
	return d, nil
}

// begin judges MAIL of a device.
func (d *Device) begin(p Peer, m smtp.Mail) *smtp.Reply {
	if !limit.Contains(d.clients, p.Addr) {
		return smtp.NewReply(554, "5.7.1", fmt.Sprintf("<%s>: Client host rejected: not one of the devices that this port is for", p.Addr))
	}
	if !d.senders[m.Sender.Key()] {
		return smtp.NewReply(553, "5.7.1", fmt.Sprintf("<%s>: Sender address rejected: not one that devices may use here", m.Sender))
	}
	if d.sent.Add(limit.Client(p.Addr), 1) > d.rate {
		return smtp.NewReply(450, "4.7.1", fmt.Sprintf("<%s>: Client host rejected: more than %d messages in an hour", p.Addr, d.rate))
	}
	return nil
}

// recipient judges RCPT of a device.
func (d *Device) recipient(to address.Address) *smtp.Reply {
	domain, err := address.CanonicalDomain(to.Domain)
	if d.recipients[to.Key()] || err == nil && d.recipients[domain] {
		return nil
	}
	return smtp.NewReply(554, "5.7.1", fmt.Sprintf("<%s>: Recipient address rejected: devices may not send there", to))
}
