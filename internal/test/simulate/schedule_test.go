package simulate

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/deliver"
	"facteur/internal/store/queue"
	"facteur/internal/test/ledger"
	"facteur/internal/test/sim"
)

// attempts notes when each address was tried.
type attempts struct {
	mu sync.Mutex
	at map[string][]time.Time
}

// Emit implements event.Sink.
func (a *attempts) Emit(e event.Event) {
	tried, ok := e.(deliver.Tried)
	if !ok || tried.Result == queue.Staged {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at == nil {
		a.at = make(map[string][]time.Time)
	}
	to := tried.Recipient.Address.String()
	a.at[to] = append(a.at[to], time.Now())
}

// told is how often the notices in the mailbox name each address, by action.
func (h *house) told(action string) map[string]int {
	told := make(map[string]int)
	files, _ := filepath.Glob(filepath.Join(h.mailbox(), "new", "*"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		check(h.t, err)
		for group := range strings.SplitSeq(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n\n") {
			if !strings.Contains(group, "\nAction: "+action) {
				continue
			}
			_, to, _ := strings.Cut(group, "Final-Recipient: rfc822;")
			to, _, _ = strings.Cut(to, "\n")
			told[strings.TrimSpace(to)]++
		}
	}
	return told
}

// hopeless are the hosts that never take anything, and say so in every way.
func hopeless() (list []host) {
	for _, h := range hosts() {
		if strings.HasPrefix(h.domain, "never-") || h.domain == "refused" || h.domain == "silentdns" {
			list = append(list, h)
		}
	}
	return list
}

// OUT-004: who says "not now" for ever is asked again by the schedule; the sender hears
// of the delay once, after four hours, and of the failure once, after five days, whether
// the process lives on or is killed every few hours.
func TestNeverNow(t *testing.T) {
	for name, every := range map[string]time.Duration{"one life": 10 * day, "many lives": 7*time.Hour + 13*time.Minute} {
		t.Run("OUT-004 "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { neverNow(t, every) })
		})
	}
}

func neverNow(t *testing.T, every time.Duration) {
	internet, err := sim.NewInternet(1)
	check(t, err)
	defer internet.Close()
	w := &world{Internet: internet, start: time.Now(), fail: func(err error) { t.Error(err) }}
	seen := new(attempts)
	h := open(t, room(t), internet, seen)
	for _, odd := range hopeless() {
		odd.open(w, odd.domain+".test")
		check(t, h.post(ledger.Letter{ID: odd.domain, From: alice, Size: 1000}, []ledger.Recipient{{Address: "a@" + odd.domain + ".test"}}))
	}
	next := w.start.Add(every)
	until := func(age time.Duration) {
		for end := w.start.Add(age); time.Now().Before(end); {
			time.Sleep(min(time.Until(end), max(0, time.Until(next))))
			if !time.Now().Before(next) {
				h = open(t, h.kill(internet), internet, seen)
				next = next.Add(every)
			}
		}
	}
	until(4 * time.Hour)
	expect(t, "of a delay, before it is one", h.told("delayed"), 0)
	until(4*time.Hour + 190*time.Minute) // one interval of 160 minutes, and a tenth
	expect(t, "of the delay", h.told("delayed"), 1)
	until(5*day - time.Minute)
	expect(t, "of the delay, once more", h.told("delayed"), 1)
	expect(t, "of the failure, before it is time", h.told("failed"), 0)
	until(5*day + 5*time.Hour)
	expect(t, "of the failure", h.told("failed"), 1)
	items, _, err := h.queue.Depth(t.Context())
	if items != 0 || err != nil {
		t.Errorf("%d items are left, %v", items, err)
	}
	h.end()
	for _, odd := range hopeless() {
		seen.judge(t, "a@"+odd.domain+".test", every >= 5*day)
	}
}

// expect asks that each hopeless address is named so often, and no other.
func expect(t *testing.T, what string, told map[string]int, times int) {
	t.Helper()
	want := make(map[string]int)
	for _, odd := range hopeless() {
		if times > 0 {
			want["a@"+odd.domain+".test"] = times
		}
	}
	if !maps.Equal(told, want) {
		t.Errorf("notices %s: %v, want %v", what, told, want)
	}
}

// judge compares the attempts with the schedule.
func (a *attempts) judge(t *testing.T, to string, exact bool) {
	t.Helper()
	at := a.at[to]
	if n := len(at); n < 30 || n > 50 {
		t.Errorf("%s was tried %d times in five days", to, n)
	}
	for i := 1; i < len(at); i++ {
		wait := at[i].Sub(at[i-1])
		least := schedule.Next(at[i-1], i, 0).Sub(at[i-1])
		// An attempt may take some minutes until it fails, or wait for a probe of others.
		if most := least + least/10 + 20*time.Minute; exact && (wait < least || wait > most) {
			t.Errorf("%s: the wait after attempt %d was %v, want %v to %v", to, i, wait, least, most)
		}
		if wait < schedule.MinimalBackoff {
			t.Errorf("%s was tried again after %v", to, wait)
		}
	}
}

// OUT-024, FLT-014, FLT-015, INV-26: a machine that was off for ten days, or whose clock
// was set ahead by so much, gives up nothing that it has hardly tried.
func TestTenDaysOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		internet, err := sim.NewInternet(1)
		check(t, err)
		defer internet.Close()
		start := time.Now()
		sink, _, err := internet.Mail("late.test", sim.Peer{Recipient: func(string) string {
			if time.Since(start) < 10*day+3*time.Hour {
				return "450 4.2.1 Not now"
			}
			return "250 2.1.5 Ok"
		}})
		check(t, err)
		h := open(t, room(t), internet, event.Discard)
		for i := range 20 {
			check(t, h.post(ledger.Letter{ID: fmt.Sprint(i), From: alice, Size: 1000}, []ledger.Recipient{{Address: fmt.Sprintf("u%d@late.test", i)}}))
		}
		time.Sleep(time.Hour)
		dir := h.kill(internet)
		time.Sleep(10 * day)
		h = open(t, dir, internet, event.Discard)
		time.Sleep(12 * time.Hour)
		if n := len(sink.Taken()); n != 20 {
			t.Errorf("%d of 20 letters arrived", n)
		}
		if failed := h.told("failed"); len(failed) > 0 {
			t.Errorf("given up: %v", slices.Collect(maps.Keys(failed)))
		}
		h.end()
	})
}

// OUT-013, OUT-023, INV-24: a destination with twenty mail hosts that all answer in slow
// motion, with thousands of letters for it, and hundreds of hosts that nobody reaches, keep
// no other letter waiting, neither now nor after a restart.
func TestBehindTheCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		internet, err := sim.NewInternet(1)
		check(t, err)
		defer internet.Close()
		w := &world{Internet: internet, start: time.Now(), fail: func(err error) { t.Error(err) }}
		for i := range 20 {
			addr, name := w.Free(), fmt.Sprintf("mx%d.crowd.test", i)
			w.note(w.Host(addr, slowMotion()))
			w.load(fmt.Sprintf("crowd.test. MX 10 %s.\n%s. A %s", name, name, addr))
		}
		for i := range 300 {
			addr := w.Free()
			w.Pave(addr, sim.Road{Silent: true})
			check(t, w.MX(fmt.Sprintf("dark%d.test", i), fmt.Sprintf("mx.dark%d.test", i), addr))
		}
		healthy, _, err := w.Mail("healthy.test", sim.Peer{})
		check(t, err)
		h := open(t, room(t), internet, event.Discard)
		for i := range 3000 {
			to := []ledger.Recipient{{Address: fmt.Sprintf("u%d@crowd.test", i)}}
			if i%10 == 0 {
				to[0].Address = fmt.Sprintf("u@dark%d.test", i/10)
			}
			check(t, h.post(ledger.Letter{ID: fmt.Sprint(i), From: alice, Size: 1000}, to))
		}
		prompt := func(id string, within time.Duration) {
			before, posted := len(healthy.Taken()), time.Now()
			check(t, h.post(ledger.Letter{ID: id, From: alice, Size: 1000}, []ledger.Recipient{{Address: "a@healthy.test"}}))
			time.Sleep(within)
			if taken := healthy.Taken(); len(taken) != before+1 {
				t.Errorf("INV-24: %s, posted after %v, did not leave within %v", id, posted.Sub(w.start), within)
			}
		}
		// That three hundred new hosts do not answer takes some seconds to be known.
		prompt("behind them all", 10*time.Second)
		for i := range 60 {
			time.Sleep(time.Minute)
			prompt(fmt.Sprintf("first life %d", i), time.Second)
		}
		h = open(t, h.kill(internet), internet, event.Discard)
		for i := range 60 {
			prompt(fmt.Sprintf("second life %d", i), time.Second)
			time.Sleep(time.Minute)
		}
		h.machine.Kill()
		h.end()
	})
}

// slowMotion answers everything after 100 seconds.
func slowMotion() sim.Peer {
	return sim.Peer{Script: func(string, int, int) (sim.Fault, bool) { return sim.Fault{Delay: 100 * time.Second}, true }}
}
