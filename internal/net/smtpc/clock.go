package smtpc

import "time"

// clock is the time that an introduction or a transaction has. The zero clock has no end of its own.
type clock struct {
	end   time.Time     // of all
	rate  int64         // bytes a second, at least
	sent  int64         // bytes so far
	spent time.Duration // for them
}

func newClock(t Timeouts, size int64) clock {
	k := clock{rate: t.MinRate}
	k.end = time.Now().Add(t.Transaction + k.needs(size))
	return k
}

// needs is the time for n bytes at the least rate.
func (k *clock) needs(n int64) time.Duration {
	return time.Duration(max(0, n)/k.rate) * time.Second
}

// limit is d after now, or the end if that comes first.
func (k *clock) limit(now time.Time, d time.Duration) time.Time {
	at := now.Add(d)
	if !k.end.IsZero() && k.end.Before(at) {
		return k.end
	}
	return at
}

// block is until when n more bytes have to be gone. Each block has its time; all
// together have what they need at the least rate, and the time of one block more, so
// that a peer that takes a little now and then does not hold us for ever.
func (k *clock) block(now time.Time, n int, each time.Duration) time.Time {
	if k.rate == 0 {
		return k.limit(now, each)
	}
	return k.limit(now, min(each, each+k.needs(k.sent+int64(n))-k.spent))
}

// wrote notes that n bytes have gone, and how long that took.
func (k *clock) wrote(n int, d time.Duration) {
	k.sent += int64(n)
	k.spent += d
}
