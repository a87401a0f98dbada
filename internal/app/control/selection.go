package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// Selection picks items of the queue; all that is set must hold, and the zero
// Selection picks everything. It is a queue.Filter in words.
type Selection struct {
	// Shelf is "active", "incoming", "deferred" or "hold"; "" for all.
	Shelf string `json:"shelf,omitempty"`
	// IDs, unless empty, are the only ones.
	IDs []string `json:"ids,omitempty"`
	// From and To are addresses, or domains with "@" before them; "<>" is the null
	// sender. Domain is that of a recipient, ".example.org" that and all below it.
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Domain string `json:"domain,omitempty"`
	// Before is when it arrived, at the latest.
	Before time.Time `json:"before,omitzero"`
	// Larger is in bytes.
	Larger int64 `json:"larger,omitempty"`
	// Reason is a part of what the last attempt was told.
	Reason string `json:"reason,omitempty"`
}

// MaxIDs is how many IDs a Selection names at most: what fits a request.
const MaxIDs = 2000

// IsZero tells whether everything is picked.
func (s Selection) IsZero() bool {
	return s.Shelf == "" && len(s.IDs) == 0 && s.From == "" && s.To == "" && s.Domain == "" &&
		s.Before.IsZero() && s.Larger == 0 && s.Reason == ""
}

// Shelves are the names of the shelves, in the order in which mailq lists them.
var Shelves = [...]string{"active", "incoming", "deferred", "hold"}

var shelfNames = map[string]queue.Shelf{
	"": queue.ShelfAny, "active": queue.ShelfActive, "incoming": queue.ShelfIncoming,
	"deferred": queue.ShelfDeferred, "hold": queue.ShelfHold,
}

// filter reads a Selection.
func (s Selection) filter() (f queue.Filter, err error) {
	shelf, known := shelfNames[s.Shelf]
	if !known {
		return f, fmt.Errorf("%q is none of the queues; %s are", s.Shelf, strings.Join(Shelves[:], ", "))
	}
	if len(s.IDs) > MaxIDs {
		return f, fmt.Errorf("%d queue IDs at once; %d at most", len(s.IDs), MaxIDs)
	}
	f = queue.Filter{Shelf: shelf, Before: s.Before, Larger: s.Larger, Reason: s.Reason}
	for _, text := range s.IDs {
		id, err := queue.ParseID(text)
		if err != nil {
			return f, err
		}
		f.IDs = append(f.IDs, id)
	}
	slices.Sort(f.IDs)
	f.IDs = slices.Compact(f.IDs)
	if f.Sender, err = party(s.From, "from"); err != nil {
		return f, err
	}
	if f.Recipient, err = party(s.To, "to"); err != nil {
		return f, err
	}
	f.Domain, err = domain(s.Domain)
	return f, err
}

// party reads an address, a domain with "@" before it, or "<>".
func party(text, name string) (string, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
	switch {
	case text == "":
		return "", nil
	case bare == "" || name == "from" && strings.EqualFold(bare, "MAILER-DAEMON"):
		return "<>", nil
	case bare[0] == '@':
		d, err := address.CanonicalDomain(bare[1:])
		if err != nil {
			return "", fmt.Errorf("%s: %q is not a domain: %w", name, bare[1:], err)
		}
		return "@" + d, nil
	}
	a, err := address.Parse(bare)
	if err != nil {
		return "", fmt.Errorf("%s: %q is neither an address nor a domain with @ before it: %w", name, text, err)
	}
	return a.String(), nil
}

// domain reads a domain, with a dot before it to include those below it.
func domain(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	name, below := strings.CutPrefix(text, ".")
	d, err := address.CanonicalDomain(name)
	if err != nil {
		return "", fmt.Errorf("%q is not a domain: %w", text, err)
	}
	if below {
		d = "." + d
	}
	return d, nil
}

// Count is how much was picked or changed. Size is in bytes.
type Count struct {
	Items      int   `json:"items"`
	Recipients int   `json:"recipients"`
	Size       int64 `json:"size"`
	// Busy is how many of the recipients are being tried: what is changed of them takes
	// effect when that attempt has ended, unless it ends them. What is on its way into a
	// mailbox is not changed, but counted.
	Busy int `json:"busy,omitempty"`
}

// Add counts more.
func (c *Count) Add(n Count) {
	c.Items, c.Recipients, c.Size, c.Busy = c.Items+n.Items, c.Recipients+n.Recipients, c.Size+n.Size, c.Busy+n.Busy
}
