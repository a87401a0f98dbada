package control

import (
	"context"

	"facteur/internal/flow/filter/dnslist"
)

// DNSLists is what the running server knows of the lists that it asks by DNS.
type DNSLists struct {
	// Closed: no server runs that could know.
	Closed bool             `json:"closed,omitempty"`
	Lists  []dnslist.Status `json:"lists"`
}

// asked is who asks them; nil while no server runs.
type asked struct{ lists *dnslist.Lists }

// Asking says who asks the lists; it is for the server.
func (s *Stores) Asking(lists *dnslist.Lists) { s.asked.lists = lists }

// DNSLists implements Office.
func (s *Stores) DNSLists(context.Context) (DNSLists, error) {
	if s.asked.lists == nil {
		return DNSLists{Closed: true}, nil
	}
	return DNSLists{Lists: s.asked.lists.Status()}, nil
}

// DNSLists implements Office.
func (c *client) DNSLists(ctx context.Context) (answer DNSLists, err error) {
	err = c.call(ctx, "/filter/lists", struct{}{}, &answer)
	return answer, err
}
