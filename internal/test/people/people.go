// Package people is accounts for tests of doors, without a database: names and
// passwords, and the keys that follow from them.
package people

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/login"
	"facteur/internal/mail/sasl"
	"facteur/internal/store/directory"
)

// slow is the name of whom nobody can tell anything: "slow", or "later" at any domain.
func slow(name string) bool { return name == "slow" || strings.HasPrefix(name, "later@") }

// Mechanisms are all that need nothing but a password.
func Mechanisms() []string {
	return []string{sasl.PLAIN, sasl.LOGIN, sasl.SCRAMSHA256, sasl.SCRAMSHA256Plus, sasl.SCRAMSHA1, sasl.SCRAMSHA1Plus}
}

// Gate is one for accounts with passwords, by their names. change may change its
// rules.
func Gate(passwords map[string]string, change func(*login.Rules)) *login.Gate {
	rules := &login.Rules{
		Hostname: "mail.example.org", Mechanisms: Mechanisms(), Delay: time.Second,
		Limits: limit.LoginRules{PerClient: 10, PerAccount: 50},
	}
	if change != nil {
		change(rules)
	}
	return login.New(login.House{Rules: func() *login.Rules { return rules }, Accounts: Accounts(passwords), Logins: limit.NewLogins(time.Hour)})
}

var (
	errNobody = errors.New("authentication failed")
	errDown   = errors.New("directory is down")
)

// Accounts are those of names and passwords.
func Accounts(passwords map[string]string) login.Accounts {
	of := func(name string) lookup.Answer[directory.Account] {
		switch _, there := passwords[name]; {
		case slow(name):
			return lookup.Later[directory.Account](errDown)
		case !there:
			return lookup.No[directory.Account](errNobody)
		}
		return lookup.Yes(directory.Account{Address: name})
	}
	return login.Accounts{
		Password: func(_ context.Context, _, name, password string) lookup.Answer[directory.Account] {
			if a := of(name); a.State() != lookup.Found || passwords[name] == password {
				return a
			}
			return lookup.No[directory.Account](errNobody)
		},
		Keys: func(_ context.Context, name string, h sasl.Hash) (sasl.Keys, directory.Holder, error) {
			if slow(name) {
				return sasl.Keys{}, directory.Holder{}, errDown
			}
			password, there := passwords[name]
			if !there {
				password = "of nobody"
			}
			keys, err := sasl.MakeKeys(h, password, []byte("salt of a test"), 4096)
			return keys, directory.Holder{Key: name}, err
		},
		Context: func(_ context.Context, name string) (sasl.MD5Context, directory.Holder, error) {
			return sasl.MakeMD5Context(passwords[name]), directory.Holder{Key: name}, nil
		},
		Admit:    func(_ context.Context, h directory.Holder) lookup.Answer[directory.Account] { return of(h.Key) },
		Vouched:  func(_ context.Context, name string) lookup.Answer[directory.Account] { return of(name) },
		Remember: func(context.Context, string, netip.Prefix, time.Time) error { return nil },
	}
}
