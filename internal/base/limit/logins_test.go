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

// attempt is one with a secret that is seen.
func attempt(l *Logins, from netip.Addr, account string) (LoginTry, string) {
	return l.Try(loginTestRules, from, account, false)
}

// guess tries n secrets that are wrong, all different, and counts those that were
// looked at.
func guess(l *Logins, from, account string, n int) (looked int) {
	for range n {
		if try, reason := attempt(l, netip.MustParseAddr(from), account); reason == "" {
			if try.Failed(rand.Text()) == "" {
				looked++
			}
		}
	}
	return looked
}

func may(l *Logins, from, account string) bool {
	_, reason := attempt(l, netip.MustParseAddr(from), account)
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
		try, _ := attempt(l, netip.MustParseAddr("198.51.100.7"), "alice")
		if network, fresh, _ := try.Passed(); !fresh || network.String() != "198.51.100.7/32" {
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
			try, reason := attempt(l, netip.MustParseAddr("198.51.100.7"), "alice")
			if reason != "" {
				t.Fatal("the owner is locked out:", reason)
			}
			if _, fresh, _ := try.Passed(); fresh {
				t.Error("an acquaintance is news twice")
			}
		}
		if l.Home(netip.MustParseAddr("198.51.100.8")) || !l.Home(netip.MustParseAddr("::ffff:198.51.100.7")) {
			t.Error("nobody knows where the owner lives")
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
			try, reason := attempt(l, phone, "alice")
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
			if try, reason := attempt(l, phone, fmt.Sprint("user", i)); reason == "" {
				try.Failed("12345678")
				n++
			}
		}
		if n != 5 {
			t.Errorf("one password for all accounts was tried %d times", n)
		}
	})
}

// A program with an old password that speaks SCRAM fails each time it asks. At home it
// shuts out itself, and not the owner's other programs.
func TestLoginsOldPasswordUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, home, failed := NewLogins(time.Hour), netip.MustParseAddr("192.0.2.1"), 0
		try, _ := attempt(l, home, "alice")
		try.Passed()
		for range 100 {
			if try, reason := l.Try(loginTestRules, home, "alice", true); reason == "" && try.Failed("") == "" {
				failed++
			}
		}
		if failed != loginTestRules.PerClient || !may(l, "192.0.2.1", "alice") {
			t.Errorf("after %d failures of one program the other is shut out", failed)
		}
	})
}

// A valid account of one's own is no way to have more guesses at others.
func TestLoginsSuccessDoesNotForgive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n := NewLogins(time.Hour), 0
		for range 100 {
			try, reason := attempt(l, netip.MustParseAddr("192.0.2.1"), "mallory")
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

// Many who begin at once, before the first of them has failed, learn no more than one
// after another, neither who was wrong nor who was right.
func TestLoginsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		from string // a pattern of addresses
		most int
	}{
		"one client": {"10.0.0.1", loginTestRules.PerClient},
		"a botnet":   {"10.%d.%d.1", loginTestRules.PerAccount},
		"a /48":      {"2001:db8:1:%x::%x", loginTestRules.PerClient * 4},
	} {
		t.Run("ABU-020 "+name, func(t *testing.T) {
			l := NewLogins(time.Hour)
			var tries []LoginTry
			for i := range 1000 {
				from := c.from
				if strings.Contains(from, "%") {
					from = fmt.Sprintf(from, i/200, i%200)
				}
				try, reason := attempt(l, netip.MustParseAddr(from), "alice")
				if reason != "" {
					t.Fatal(reason)
				}
				tries = append(tries, try)
			}
			if !may(l, "192.0.2.1", "alice") {
				t.Error("attempts that do not end lock the account")
			}
			told := 0
			for _, try := range tries[1:] {
				if try.Failed(rand.Text()) == "" {
					told++
				}
			}
			if told > c.most || told == 0 {
				t.Errorf("%d learnt that they were wrong, %d may", told, c.most)
			}
			if _, _, reason := tries[0].Passed(); reason == "" {
				t.Error("the last of them learnt that it was right")
			}
		})
	}
}

// What nobody was told of a secret is no repetition later.
func TestLoginsUntoldSecretCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, from := NewLogins(time.Hour), netip.MustParseAddr("192.0.2.1")
		untold, _ := attempt(l, from, "alice")
		guess(l, "192.0.2.1", "alice", 5)
		if untold.Failed("secret") == "" {
			t.Fatal("told beyond the limit")
		}
		time.Sleep(2 * time.Hour)
		try, _ := attempt(l, from, "alice")
		try.Failed("secret")
		if n := guess(l, "192.0.2.1", "alice", 100); n != 4 {
			t.Errorf("%d guesses beside it", n)
		}
	})
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
	if len(l.known) > loginKnown || len(l.repeats) > loginRepeat || len(l.homes) != len(l.known) {
		t.Errorf("%d acquaintances, %d secrets, %d homes", len(l.known), len(l.repeats), len(l.homes))
	}
}

// An account that logs in from everywhere has fifty acquaintances, as on disk; the one
// that is longest no news gives way, and no other account's.
func TestLoginsCircleIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(time.Hour)
		l.Know("bob", netip.MustParsePrefix("192.0.2.1/32"))
		pass := func(i int) {
			try, _ := attempt(l, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "alice")
			try.Passed()
		}
		for i := range loginCircle {
			pass(i)
		}
		time.Sleep(2 * toldAgain)
		pass(0) // news again
		for i := loginCircle; i < 2*loginCircle-1; i++ {
			pass(i)
		}
		home := func(i int) bool { return l.Home(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})) }
		if len(l.known) != loginCircle+1 || len(l.circles) != 2 || len(l.homes) != loginCircle+1 {
			t.Errorf("%d acquaintances of %d accounts, %d homes", len(l.known), len(l.circles), len(l.homes))
		}
		if !home(0) || home(1) || !home(2*loginCircle-2) || !l.Home(netip.MustParseAddr("192.0.2.1")) {
			t.Error("the wrong one was forgotten")
		}
	})
}
