package sign

import (
	"fmt"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// Author is who speaks in a letter, by whom the key is chosen: the address in From, or
// Sender where From has several. why says why there is nobody; it completes "The message
// leaves unsigned, as …".
func Author(h message.Header) (a address.Address, why string) {
	if n := h.Count("From"); n != 1 {
		return a, fmt.Sprintf("it has %d From fields", n)
	}
	authors := addresses(h, "From")
	switch len(authors) {
	case 0:
		return a, "its From has no address"
	case 1:
		return authors[0], ""
	}
	if senders := addresses(h, "Sender"); h.Count("Sender") == 1 && len(senders) == 1 {
		return senders[0], ""
	}
	for _, other := range authors[1:] {
		if other.Domain != authors[0].Domain {
			return a, "its From has authors of several domains, and it has no Sender"
		}
	}
	return authors[0], ""
}

// addresses are those of a field that can be somebody's.
func addresses(h message.Header, name string) (list []address.Address) {
	for _, m := range message.ParseAddresses(h.Get(name)) {
		if m.GroupStart || m.GroupEnd {
			continue
		}
		a, err := address.Parse(m.Address())
		if err != nil || a.Domain == "" {
			continue
		}
		list = append(list, a)
	}
	return list
}
