package filter

import (
	"context"

	"facteur/internal/base/lookup"
)

// iprev is the word on the client's name. Where the door found one that leads back,
// nothing is asked.
func (c *Case) iprev(ctx context.Context) IPRev {
	client := c.evidence.Client
	if client.named() {
		return IPRev{Status: "pass", Name: client.Name}
	}
	if !client.Addr.IsValid() {
		return IPRev{}
	}
	names := c.filter.resolver.LookupPTR(ctx, client.Addr)
	switch names.State() {
	case lookup.TryAgain:
		return IPRev{Status: "temperror", Reason: "the name of the client could not be looked up"}
	case lookup.NotFound:
		return IPRev{Status: "permerror", Reason: "the client has no name"}
	}
	name := names.Value()[0]
	answer := c.filter.resolver.ClientName(ctx, client.Addr)
	switch answer.State() {
	case lookup.Found:
		return IPRev{Status: "pass", Name: answer.Value()}
	case lookup.TryAgain:
		return IPRev{Status: "temperror", Name: name, Reason: "the name of the client could not be looked up"}
	}
	return IPRev{Status: "fail", Name: name, Reason: "the name of the client does not lead back to its address"}
}
