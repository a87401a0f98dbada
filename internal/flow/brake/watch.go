package brake

import (
	"fmt"
	"hash/maphash"
	"maps"
	"net/netip"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/mail/address"
	"facteur/internal/store/brake"
)

// Watched is for how many accounts that send it is remembered what was seen within the
// last hour; of each, seenMost of a kind.
const (
	Watched  = 1 << 12
	seenMost = 512
)

// watch is what was seen of one account, and when last.
type watch struct {
	last      time.Time
	networks  map[string]time.Time
	countries map[string]time.Time
	texts     map[[16]byte]*text
	known     map[uint64]time.Time // recipients and domains that were counted as new
}

// text is one text, and how many got it since.
type text struct {
	since time.Time
	n     int
}

// watches are those of all accounts, the Gate's lock guards them.
type watches struct {
	seed maphash.Seed
	of   map[string]*watch
}

func newWatches() watches { return watches{maphash.MakeSeed(), map[string]*watch{}} }

// get is the watch of an account; of a few, the one that was idle longest makes room.
func (w *watches) get(name string, now time.Time) *watch {
	x := w.of[name]
	if x == nil {
		if len(w.of) >= Watched {
			delete(w.of, limit.Spare(w.of, func(x *watch) int64 { return x.last.UnixNano() }))
		}
		x = &watch{networks: map[string]time.Time{}, countries: map[string]time.Time{}, texts: map[[16]byte]*text{}, known: map[uint64]time.Time{}}
		w.of[name] = x
	}
	x.last = now
	return x
}

// mark notes that something was seen, and tells whether it was new within a time. Where
// there is no room, it is not noted, and new.
func mark[K comparable](seen map[K]time.Time, key K, now time.Time, within time.Duration) (fresh bool) {
	when, known := seen[key]
	if len(seen) >= seenMost && !known {
		maps.DeleteFunc(seen, func(_ K, at time.Time) bool { return now.Sub(at) > within })
	}
	if known || len(seen) < seenMost {
		seen[key] = now
	}
	return !known || now.Sub(when) > within
}

// recent counts what was seen within an hour.
func recent(seen map[string]time.Time, now time.Time) (n int) {
	for _, at := range seen {
		if now.Sub(at) <= time.Hour {
			n++
		}
	}
	return n
}

// from notes where a letter came from.
func (x *watch) from(l *Letter, r *Rules, now time.Time) {
	if network := networkOf(l.Who.Addr); network != "" {
		mark(x.networks, network, now, time.Hour)
	}
	if country := r.countryOf(l.Who.Addr, l.Who.Host); country != "" {
		mark(x.countries, country, now, time.Hour)
	}
}

// forgive forgets where it was used from, and what it sent; whom it wrote to stays known.
func (x *watch) forgive() {
	clear(x.networks)
	clear(x.countries)
	clear(x.texts)
}

// networkOf is the network that a client counts as: /24, or /48 of IPv6. This machine is
// none: programs of ours talk from there.
func networkOf(a netip.Addr) string {
	if a = a.Unmap().WithZone(""); !a.IsValid() || a.IsLoopback() {
		return ""
	}
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // neither is too long
	return p.String()
}

// sameText counts who gets a text, and gives the sum within the last hour.
func (x *watch) sameText(id [16]byte, n int, now time.Time) int {
	if id == ([16]byte{}) {
		return 0
	}
	t := x.texts[id]
	if t == nil || now.Sub(t.since) > time.Hour {
		if len(x.texts) >= seenMost {
			maps.DeleteFunc(x.texts, func(_ [16]byte, t *text) bool { return now.Sub(t.since) > time.Hour })
		}
		if len(x.texts) >= seenMost {
			return n
		}
		t = &text{since: now}
		x.texts[id] = t
	}
	t.n += n
	return t.n
}

// news counts those of some new recipients, and of their domains, that were not counted
// within the last day.
func (w *watches) news(x *watch, first []address.Address, now time.Time) (n brake.Sums) {
	const day = 24 * time.Hour
	for _, a := range first {
		if mark(x.known, maphash.String(w.seed, a.Key()), now, day) {
			n[brake.First]++
		}
		if mark(x.known, maphash.String(w.seed, "@"+a.Domain), now, day) {
			n[brake.FirstDomains]++
		}
	}
	return n
}

// Sign is something that speaks for it that an account is not its owner's any more.
type Sign struct {
	Points   float64
	Sentence string
}

// String is the sign for people.
func (s Sign) String() string { return fmt.Sprintf("%+.1f  %s", s.Points, s.Sentence) }

// Points of the signs. First recipients, their domains and one text to all of them come
// together in an honest circular; so these three make 7, below the default level of 8.
const (
	pointsFirst     = 3
	pointsDomains   = 2
	pointsText      = 2
	pointsNetworks  = 4
	pointsCountries = 3
	pointsUnknown   = 4
	pointsFailed    = 2

	usualNetworks = 3 // at home, at work, on the way
	fewUnknown    = 20
	fewFailed     = 50
)

// signs are what speaks against an account, from what it did within the last hour. sent are
// its counts of that hour, same is how many got the text of this letter.
func (x *watch) signs(r *Rules, sent brake.Sums, same int, now time.Time) (list []Sign) {
	add := func(points, n, full float64, sentence string, args ...any) {
		if n > 0 && full > 0 {
			if p := points * min(n/full, 1); p >= 0.1 {
				list = append(list, Sign{p, fmt.Sprintf(sentence, args...)})
			}
		}
	}
	networks, countries := recent(x.networks, now), recent(x.countries, now)
	add(pointsFirst, float64(sent[brake.First]), float64(r.First), "%d recipients to whom it never wrote before", sent[brake.First])
	add(pointsDomains, float64(sent[brake.FirstDomains]), float64(r.FirstDomains), "they are in %d domains", sent[brake.FirstDomains])
	add(pointsText, float64(same), float64(r.SameText), "%d recipients got the same text", same)
	add(pointsNetworks, float64(networks-usualNetworks), float64(r.Networks-usualNetworks), "it was used from %d networks", networks)
	add(pointsCountries, float64(countries-1), 2, "it was used from %d countries", countries)
	if sent[brake.Unknown] >= fewUnknown {
		add(pointsUnknown, float64(sent[brake.Unknown]), 0.2*float64(sent[brake.Recipients]), "%d recipients do not exist", sent[brake.Unknown])
	}
	if sent[brake.Failed] >= fewFailed {
		add(pointsFailed, float64(sent[brake.Failed]), 0.3*float64(sent[brake.Recipients]), "%d letters came back", sent[brake.Failed])
	}
	return list
}

func sum(list []Sign) (points float64) {
	for _, s := range list {
		points += s.Points
	}
	return points
}
