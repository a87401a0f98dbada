package deliver

import (
	"fmt"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
	"facteur/internal/test/doubling"
)

var noon = time.Unix(1e9, 0)

func from(account string, n, attempts, priority int) *attempt {
	return &attempt{claimed: noon.Add(time.Duration(n) * time.Millisecond), item: &queue.Item{ID: queue.ID(n), Priority: priority,
		Origin: queue.Origin{Account: account}, Recipients: []queue.Recipient{{N: 1, Attempts: attempts}}}}
}

// INV-24: one sender's thousands do not delay another's letter.
func TestSendersTakeTurns(t *testing.T) {
	var w turns
	for i := range 10_000 {
		w.add(from("bulk@example.org", i, 0, 0))
	}
	w.add(from("alice@example.org", 20_000, 0, 0))
	w.add(from("bob@example.org", 20_001, 0, 0))
	seen := map[string]int{}
	for i := range 4 {
		seen[w.next().party()] = i
	}
	if seen["alice@example.org"] == 0 || seen["bob@example.org"] == 0 {
		t.Errorf("INV-24: %v", seen)
	}
	if got := len(w.all()); got != 9_998 || w.len() != 0 || w.next() != nil {
		t.Errorf("%d are left, and %d after them", got, w.len())
	}
}

// Strangers are known by the domain that they send from.
func TestPartyOfAStranger(t *testing.T) {
	a := &attempt{item: &queue.Item{Sender: address.Address{Local: "x", Domain: "d.test"}}}
	if got := a.party(); got != "d.test" {
		t.Error(got)
	}
}

// OUT-023: what was tried before gets every other place at most, and never none.
func TestFreshMailBesideRetries(t *testing.T) {
	var w turns
	for i := range 100 {
		w.add(from(fmt.Sprintf("u%d@example.org", i), i, 3, 0))
	}
	for i := range 10 {
		w.add(from("alice@example.org", 1000+i, 0, 0))
	}
	fresh, retried := 0, 0
	for range 20 {
		if a := w.next(); a.isRetry() {
			retried++
		} else {
			fresh++
		}
	}
	if fresh != 10 || retried != 10 {
		t.Errorf("OUT-023: %d new, %d retried", fresh, retried)
	}
}

// RFC 6710: the urgent go first, and those without urgency wait no more than a minute
// for each step.
func TestPriorityBeforeTurns(t *testing.T) {
	var w turns
	w.add(from("alice@example.org", 1, 0, 0))
	w.add(from("bulk@example.org", 2, 0, -3))
	w.add(from("bob@example.org", 3, 0, 5))
	late := from("carol@example.org", 4, 0, 5)
	late.claimed = noon.Add(5*time.Minute + time.Second)
	w.add(late)
	var got []queue.ID
	for _, a := range w.all() {
		got = append(got, a.item.ID)
	}
	if fmt.Sprint(got) != fmt.Sprint([]queue.ID{3, 1, 4, 2}) {
		t.Errorf("%v", got)
	}
}

// INV-24: who goes next costs the same, however many wait and however many send.
func TestTurnsCostTheSame(t *testing.T) {
	for name, senders := range map[string]int{"one sender": 1, "many senders": 1 << 30} {
		doubling.Check(t, name, 50_000, func(n int) func() {
			all := make([]*attempt, n)
			for i := range all {
				all[i] = from(fmt.Sprint(i%senders), i, i%2, 0)
			}
			return func() {
				var w turns
				for _, a := range all {
					w.add(a)
				}
				w.all()
			}
		})
	}
}
