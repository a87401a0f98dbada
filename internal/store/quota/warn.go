package quota

import (
	"fmt"
	"path"
	"time"

	"facteur/internal/base/vfs"
)

// warnedFile stands beside the Maildir.
const warnedFile = "quota-warned"

// warned is of what the owner was told.
type warned struct {
	read      bool
	threshold int       // the last warning; 0: none, or it is over
	at        time.Time // when a letter last told him
	highest   int       // of which it was
}

const warnedFormat = "threshold %d\nhighest %d\nat %d\n"

// review compares the figure with the thresholds. Its own I/O is done in the
// background.
func (c *counter) review() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.book.mu.Lock()
	warn := c.book.warn
	c.book.mu.Unlock()
	if warn == nil || !c.known || !c.owned || len(c.owner.Limits.Warnings) == 0 {
		return
	}
	if c.crossing || c.warned.read && c.held() == c.warned.threshold {
		return
	}
	c.crossing = true
	c.book.busy.Add(1)
	go func() {
		defer c.book.busy.Done()
		c.cross(warn)
	}()
}

// held is the threshold that the account is at: one that was reached is left when the
// figure is well below it. Callers hold mu.
func (c *counter) held() (threshold int) {
	p := c.owner.Limits.Percent(c.used)
	for _, w := range c.owner.Limits.Warnings {
		if p >= w || w <= c.warned.threshold && p >= w-hysteresis {
			threshold = w
		}
	}
	return threshold
}

// cross writes down what the owner is told, and then tells him.
func (c *counter) cross(warn func(Crossing)) {
	c.mu.Lock()
	w, home := c.warned, c.home
	c.mu.Unlock()
	if !w.read {
		w = readWarned(c.book.fs, home)
	}
	now := c.book.now()
	c.mu.Lock()
	c.warned = w
	x := Crossing{Owner: c.owner, Used: c.used, Percent: c.owner.Limits.Percent(c.used), Threshold: c.held()}
	tell := false
	switch {
	case x.Threshold > w.threshold:
		tell = x.Threshold > w.highest || now.Sub(w.at) >= rewarnAfter
	case x.Threshold < w.threshold && w.threshold >= full:
		x.Threshold, tell = 0, true
	}
	changed := c.held() != w.threshold
	w.threshold = c.held()
	if tell && x.Threshold > 0 {
		w.at, w.highest = now, x.Threshold
	}
	c.warned = w
	c.mu.Unlock()
	if changed {
		writeWarned(c.book.fs, home, w)
	}
	c.mu.Lock()
	c.crossing = false
	c.mu.Unlock()
	if tell {
		warn(x)
	}
	c.review() // it may have changed meanwhile
}

// full is the threshold at which mail is refused, in percent.
const full = 100

// readWarned reads the file; one that is missing or torn says that nothing was told.
func readWarned(f vfs.FS, home string) warned {
	w := warned{read: true}
	data, err := vfs.ReadFile(f, path.Join(home, warnedFile), 1<<10)
	var at int64
	if err != nil {
		return w
	}
	if n, _ := fmt.Sscanf(string(data), warnedFormat, &w.threshold, &w.highest, &at); n != 3 {
		return warned{read: true}
	}
	w.at = time.Unix(at, 0)
	return w
}

// writeWarned writes it. If that fails, as on a full disk, he may be told again after
// a restart.
func writeWarned(f vfs.FS, home string, w warned) {
	vfs.WriteFile(f, path.Join(home, warnedFile), fmt.Appendf(nil, warnedFormat, w.threshold, w.highest, w.at.Unix()), 0o600)
}
