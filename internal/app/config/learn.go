package config

import (
	"facteur/internal/base/conf"
	"facteur/internal/flow/learn"
	"facteur/internal/store/lexicon"
)

// Learn is how people teach the filter what is spam and what is not. See docs/LEARNING.md.
type Learn struct {
	// A letter that somebody moves to his junk mailbox is learnt as spam, one that he moves
	// out of it as none (but not into the trash). Letters that the filter put there teach
	// nothing by that.
	Moves bool `toml:"moves"`
	// The keywords $Junk and $NotJunk (Junk, NonJunk), which mail programs set, teach the
	// same. That a letter is no spam only counts in the junk mailbox, or where somebody said
	// before that it is: some programs mark all that they think is good.
	Keywords bool `toml:"keywords"`
	// A letter is learnt as no spam when somebody who has logged in answers it, and the answer
	// goes to who wrote it. Not one that was said to be spam or lies in the junk mailbox, and
	// none of a list or a program: to these, people also write to be left alone.
	Answers bool `toml:"answers"`
	// What accounts learn is taught to the server, too, so that everybody profits: a word
	// counts once two accounts taught it, and no account has more than a third of a say.
	Share bool `toml:"share"`
	// Addresses to which people who have logged in send letters that are spam, attached
	// (message/rfc822): for those who have no junk mailbox, as with POP3. A name without
	// a domain stands for that name in each of our domains. Nothing is delivered there.
	// Example: "spam".
	SpamAddress conf.Strings `toml:"spam_address"`
	// The same for letters that are no spam. Example: "notspam".
	HamAddress conf.Strings `toml:"ham_address"`
	// How many letters an account learns a day at most. This bound, like those below, counts
	// from the next start of the server on, not from a reload.
	PerDay int `toml:"per_day"`
	// How many of them teach the server.
	PerDayShared int `toml:"per_day_shared"`
	// How many different words (tokens) are kept for the server. Each takes about 17 bytes of
	// memory. Those that were in few letters and not seen for long make room.
	ServerTokens int `toml:"server_tokens"`
	// How many are kept for an account. They are in memory while it gets mail.
	AccountTokens int `toml:"account_tokens"`
	// How much memory the words of accounts may take together.
	Memory conf.Size `toml:"memory"`
}

func defaultLearn() Learn {
	return Learn{Moves: true, Keywords: true, Answers: true, Share: true, PerDay: 2000, PerDayShared: 50, ServerTokens: 1_000_000, AccountTokens: 200_000, Memory: 64 << 20}
}

func (k *checker) learn() {
	l := k.c.Learn
	k.atLeast("learn.per_day", int64(l.PerDay), 1)
	k.atLeast("learn.per_day_shared", int64(l.PerDayShared), 1)
	k.atLeast("learn.server_tokens", int64(l.ServerTokens), 10_000)
	k.atLeast("learn.account_tokens", int64(l.AccountTokens), 10_000)
	k.atLeast("learn.memory", int64(l.Memory), 1<<20)
	if l.ServerTokens > maxTokens || l.AccountTokens > maxTokens {
		k.failf("learn.server_tokens", "more than %d words are not kept; expected fewer, for the server and for accounts", maxTokens)
	}
	seen := map[string]string{}
	for key, list := range map[string]conf.Strings{"learn.spam_address": l.SpamAddress, "learn.ham_address": l.HamAddress} {
		for _, name := range list {
			local, domain, err := splitTaker(name)
			if err != nil {
				k.failf(key, "%q is neither an address nor the name of one, such as \"spam\"", name)
				continue
			}
			if other := seen[local+"@"+domain]; other != "" && other != key {
				k.failf(key, "%q takes spam and letters that are none; name two addresses", name)
			}
			seen[local+"@"+domain] = key
		}
	}
}

// maxTokens bounds the file of an owner's words to what is read at once.
const maxTokens = 5_000_000

// LearnRules are the settings as package learn wants them.
func (c *Config) LearnRules() learn.Settings {
	l := c.Learn
	return learn.Settings{Moves: l.Moves, Keywords: l.Keywords, Answers: l.Answers, Share: l.Share, Hostname: c.Hostname, TakesSpam: takers(l.SpamAddress), TakesHam: takers(l.HamAddress)}
}

// LexiconLimits are the bounds of what is learnt.
func (c *Config) LexiconLimits() lexicon.Limits {
	l := c.Learn
	return lexicon.Limits{ServerTokens: l.ServerTokens, AccountTokens: l.AccountTokens, PerDay: l.PerDay, PerTeacher: l.PerDayShared, Memory: int64(l.Memory)}
}
