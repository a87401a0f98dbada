package deliver

import (
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// Recipients with a sender of their own go in attempts of their own, and a round, which
// makes one notice, is of one sender (row 53).
func TestAnAttemptHasOneSender(t *testing.T) {
	alice, owner := address.Address{Local: "alice", Domain: "example.org"}, address.Address{Local: "owner-list", Domain: "example.org"}
	to := func(local string, sender *address.Address) queue.Recipient {
		return queue.Recipient{Address: address.Address{Local: local, Domain: "far.example"}, Route: "smtp:far.example", Sender: sender, Owned: sender != nil}
	}
	it := &queue.Item{Sender: alice, Recipients: []queue.Recipient{to("a", nil), to("b", &owner), to("c", nil), to("d", &owner)}}
	attempts := new(Outbound).split(it, nil, time.Now())
	if len(attempts) != 2 {
		t.Fatalf("%d attempts", len(attempts))
	}
	(&Dispatcher{}).gather(t.Context(), attempts)
	for i, want := range []address.Address{alice, owner} {
		a := attempts[i]
		if a.item.Sender != want || len(a.item.Recipients) != 2 || a.round.open != 2 || a.round.item.Sender != want || a.item.Owned() != (want == owner) {
			t.Errorf("attempt %d: %+v", i, a.item)
		}
	}
	one := new(Outbound).split(&queue.Item{Sender: alice, Recipients: []queue.Recipient{to("b", &owner)}}, nil, time.Now())
	if one[0].item.Sender != owner {
		t.Errorf("a single recipient goes from %s", one[0].item.Sender)
	}
}
