package limit

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var loginTestRules = LoginRules{PerClient: 5, PerAccount: 20, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// guess tries n secrets that are wrong, all different, and counts those that were
// looked at.
func guess(l *Logins, from, account string, n int) (looked int) {
	for range n {
		if try, reason := l.Try(loginTestRules, netip.MustParseAddr(from), account); reason == "" {
			try.Failed(rand.Text())
			looked++
		}
	}
	return looked
}

func may(l *Logins, from, account string) bool {
	try, reason := l.Try(loginTestRules, netip.MustParseAddr(from), account)
	try.Drop()
	return reason == ""
}

func TestLoginsByClientAndNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(time.Hour)
		if n := guess(l, "192.0.2.1", "alice", 100); n != 5 {
			t.Errorf("a client had %d guesses", n)
		}
		if may(l, "192.0.2.1", "bob") || !may(l, "192.0.2.2", "bob") {
			t.Error("the limit is that of the client, for all accounts")
		}
		total := 5
		for i := 2; i < 100; i++ {
			total += guess(l, fmt.Sprint("192.0.2.", i), fmt.Sprint("user", i), 5)
		}
		if total != 20 {
			t.Errorf("a /24 had %d guesses", total)
		}
		time.Sleep(2 * time.Hour)
		if !may(l, "192.0.2.1", "alice") {
			t.Error("it does not fade")
		}
	})
}

func TestLoginsIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, total := NewLogins(time.Hour), 0
		for i := range 1000 {
			total += guess(l, fmt.Sprintf("2001:db8:1:%x::%x", i%300, i), fmt.Sprint("user", i), 1)
		}
		if total > 20 {
			t.Errorf("a /48 had %d guesses", total)
		}
		if !may(l, "2001:db8:2::1", "alice") {
			t.Error("a stranger pays for the neighbours")
		}
		if n := guess(l, "127.0.0.1", "alice", 100); n != 100 {
			t.Errorf("whom the settings spare had %d guesses", n)
		}
	})
}

// A million bots guess at one account; its owner goes on to log in from home.
func TestLoginsOwnerIsNotLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(time.Hour)
		try, _ := l.Try(loginTestRules, netip.MustParseAddr("198.51.100.7"), "alice")
		if network, fresh := try.Passed(); !fresh || network.String() != "198.51.100.7/32" {
			t.Error(network, fresh)
		}
		total := 0
		for i := range 1000 {
			total += guess(l, fmt.Sprintf("10.%d.%d.1", i/200, i%200), "alice", 1)
		}
		if total != loginTestRules.PerAccount {
			t.Errorf("the world had %d guesses", total)
		}
		if may(l, "203.0.113.1", "alice") || !may(l, "203.0.113.1", "bob") {
			t.Error("the account is not limited to strangers, or others are too")
		}
		guess(l, "198.51.100.8", "carol", 100) // a bad neighbour
		guess(l, "198.51.100.7", "carol", 100) // in the same house
		for range 100 {
			try, reason := l.Try(loginTestRules, netip.MustParseAddr("198.51.100.7"), "alice")
			if reason != "" {
				t.Fatal("the owner is locked out:", reason)
			}
			if _, fresh := try.Passed(); fresh {
				t.Error("an acquaintance is news twice")
			}
		}
		if n := guess(l, "198.51.100.7", "alice", 100); n != 5 {
			t.Errorf("from the owner's own address: %d guesses", n)
		}
		l.Know("bob", netip.MustParsePrefix("198.51.100.7/32"))
		if !may(l, "198.51.100.7", "bob") {
			t.Error("what was kept over a restart is not known")
		}
	})
}

// A telephone with an old password is one failure, not one for each time it asks.
func TestLoginsRepeatedSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, phone := NewLogins(time.Hour), netip.MustParseAddr("192.0.2.1")
		for i := range 100 {
			try, reason := l.Try(loginTestRules, phone, "alice")
			if reason != "" {
				t.Fatalf("limited after %d: %s", i, reason)
			}
			try.Failed("the old one")
		}
		if n := guess(l, "192.0.2.1", "alice", 100); n != 4 {
			t.Errorf("after it: %d guesses", n)
		}
		// The same secret at another account is a guess.
		l, n := NewLogins(time.Hour), 0
		for i := range 100 {
			if try, reason := l.Try(loginTestRules, phone, fmt.Sprint("user", i)); reason == "" {
				try.Failed("12345678")
				n++
			}
		}
		if n != 5 {
			t.Errorf("one password for all accounts was tried %d times", n)
		}
	})
}

// A valid account of one's own is no way to have more guesses at others.
func TestLoginsSuccessDoesNotForgive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n := NewLogins(time.Hour), 0
		for range 100 {
			try, reason := l.Try(loginTestRules, netip.MustParseAddr("192.0.2.1"), "mallory")
			if reason == "" {
				try.Passed()
			}
			n += guess(l, "192.0.2.1", "alice", 1)
		}
		if n != 5 {
			t.Errorf("%d guesses", n)
		}
	})
}

// Many at once are not all let through before the first of them has failed.
func TestLoginsAtOnce(t *testing.T) {
	l := NewLogins(time.Hour)
	var tries []LoginTry
	for i := range 1000 {
		try, reason := l.Try(loginTestRules, netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/250, i%250)), "alice")
		if reason == "" {
			tries = append(tries, try)
		} else if !strings.Contains(reason, "strangers") {
			t.Fatal(reason)
		}
	}
	if len(tries) != loginTestRules.PerAccount {
		t.Errorf("%d are under way", len(tries))
	}
	for _, try := range tries {
		try.Drop()
	}
	if len(l.trying) != 0 || !may(l, "10.1.0.1", "alice") {
		t.Error("an attempt that was dropped is still under way")
	}
}

func TestLoginsMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("fills tables")
	}
	l := NewLogins(time.Hour)
	for i := range 1 << 17 {
		client := sixtyFour(i)
		l.Know("alice", client)
		l.again(acquaintance{1, client}, "secret")
	}
	if len(l.known) > loginKnown || len(l.repeats) > loginRepeat {
		t.Errorf("%d acquaintances, %d secrets", len(l.known), len(l.repeats))
	}
}
