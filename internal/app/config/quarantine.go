package config

import (
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/flow/quarantine"
)

// Quarantine is how long letters are kept that were accepted, but are kept away from the
// mailboxes, and how many. See docs/QUARANTINE.md.
type Quarantine struct {
	// How long a letter is kept there, before it is deleted.
	Keep conf.Duration `toml:"keep"`
	// How long the categories are kept, where that is not as long: "0s" is as keep says.
	KeepSpam conf.Duration `toml:"keep_spam"`
	// For letters with a virus.
	KeepVirus conf.Duration `toml:"keep_virus"`
	// For letters with a file that is not let in.
	KeepBanned conf.Duration `toml:"keep_banned"`
	// For letters with a bad header.
	KeepBadHeader conf.Duration `toml:"keep_bad_header"`
	// The most letters of one account there. Beyond it, the oldest spam goes first, and is
	// told in its journey.
	AccountLetters int `toml:"account_letters"`
	// The same in bytes.
	AccountSize conf.Size `toml:"account_size"`
	// The most letters of all accounts. Beyond it, the account that has the most gives
	// first.
	Letters int `toml:"letters"`
	// The same in bytes. A letter for several is there once.
	Size conf.Size `toml:"size"`
}

func defaultQuarantine() Quarantine {
	return Quarantine{Keep: conf.Duration(30 * 24 * time.Hour), AccountLetters: 2000, AccountSize: 200 << 20, Letters: 50_000, Size: 2 << 30}
}

// quarantineMost bounds the letters there: counting them takes some 50 ms.
const quarantineMost = 200_000

func (k *checker) quarantine() {
	q := &k.c.Quarantine
	if q.Keep.Std() < time.Hour {
		k.failf("quarantine.keep", "expected at least 1h: somebody has to look for a letter there first")
	}
	for key, d := range map[string]conf.Duration{"keep_spam": q.KeepSpam, "keep_virus": q.KeepVirus, "keep_banned": q.KeepBanned, "keep_bad_header": q.KeepBadHeader} {
		if d != 0 && d.Std() < time.Hour {
			k.failf("quarantine."+key, `expected at least 1h, or "0s" for as long as keep says`)
		}
	}
	k.atLeast("quarantine.account_letters", int64(q.AccountLetters), 10)
	k.atLeast("quarantine.account_size", int64(q.AccountSize), 1<<20)
	k.atLeast("quarantine.letters", int64(q.Letters), 10)
	k.atLeast("quarantine.size", int64(q.Size), 1<<20)
	if q.Letters > quarantineMost || q.AccountLetters > quarantineMost {
		k.failf("quarantine.letters", "expected at most %d", quarantineMost)
	}
}

// Settings is the same as the one who keeps house there takes it.
func (q Quarantine) Settings() quarantine.Settings {
	return quarantine.Settings{
		Keep: map[string]time.Duration{"": q.Keep.Std(), "spam": q.KeepSpam.Std(), "virus": q.KeepVirus.Std(),
			"banned": q.KeepBanned.Std(), "bad_header": q.KeepBadHeader.Std()},
		Account: quarantine.Bound{Letters: q.AccountLetters, Bytes: int64(q.AccountSize)},
		All:     quarantine.Bound{Letters: q.Letters, Bytes: int64(q.Size)},
	}
}
