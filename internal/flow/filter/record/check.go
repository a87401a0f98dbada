package record

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"facteur/internal/flow/filter"
	"facteur/internal/store/reputation"
)

// Family is the Check of all remarks here.
const Family = "reputation"

// limits are how much the record of a subject may count for, against a letter and for it.
type limits struct {
	name      string
	bad, good float64
}

// An address is lent and shared: it counts less than a domain that proves itself.
var kinds = map[reputation.Kind]limits{
	reputation.OfClient:  {"reputation_client", 2, 1},
	reputation.OfNetwork: {"reputation_network", 0.7, 0.3},
	reputation.OfDomain:  {"reputation_domain", 2.5, 2},
	reputation.OfSender:  {"reputation_sender", 1.5, 1.5},
}

const (
	// knownFrom is how many letters, faded, make somebody known at all.
	knownFrom = 3
	// neutral is the share of bad letters that speaks neither way.
	neutral = 0.25
	// trustHalf is how many letters make half of what can be counted.
	trustHalf = 5
	// hostsFrom is how many hosts of a network have to have been bad, for it to count.
	hostsFrom = 4
)

// Clients is the check of the machine that brings a letter.
type Clients struct{ Known *reputation.Store }

// Senders is the check of who proved that it is his letter.
type Senders struct{ Known *reputation.Store }

// Name implements filter.Check.
func (Clients) Name() string { return Family }

// Name implements filter.Check.
func (Senders) Name() string { return Family }

// Known are the remarks of both.
func Known() (out []filter.Known) {
	for _, of := range kinds {
		out = append(out, filter.Known{Check: Family, Name: of.name})
	}
	return out
}

// At implements filter.Check.
func (Clients) At() filter.Stage { return filter.Connect }

// At implements filter.Check.
func (Senders) At() filter.Stage { return filter.End }

// Quick implements filter.Quick.
func (Clients) Quick() {}

// Quick implements filter.Quick.
func (Senders) Quick() {}

// Examine implements filter.Check.
func (c Clients) Examine(_ context.Context, l *filter.Letter) []filter.Remark {
	return about(c.Known, l.Now, reputation.Client(l.Client.Addr), reputation.Network(l.Client.Addr))
}

// Examine implements filter.Check.
func (c Senders) Examine(_ context.Context, l *filter.Letter) []filter.Remark {
	o := Origin(l.Evidence)
	all := []reputation.Subject{o.Sender}
	for _, d := range o.Domains {
		all = append(all, reputation.Proven(d))
	}
	return about(c.Known, l.Now, all...)
}

// about says what is known of some subjects.
func about(known *reputation.Store, now time.Time, all ...reputation.Subject) (out []filter.Remark) {
	for _, s := range all {
		r, there := known.Record(s)
		if !there {
			continue
		}
		if score := score(r); score != 0 {
			out = append(out, filter.Remark{Check: Family, Name: kinds[s.Kind()].name, Score: score, Sentence: Sentence(r, now)})
		}
	}
	return out
}

// score is what a record counts for, positive against the letter; 0 for who is not known
// well enough.
func score(r reputation.Record) float64 {
	all, of := r.Good+r.Bad, kinds[r.Subject.Kind()]
	network := r.Subject.Kind() == reputation.OfNetwork
	if all < knownFrom && r.Bans == 0 || all == 0 || network && r.Bad > 0 && r.Bad < hostsFrom {
		return 0
	}
	lean := max(-1, min((r.Bad/all-neutral)/neutral, 1))
	n := lean * all / (all + trustHalf)
	if n > 0 {
		n *= of.bad
	} else {
		n *= of.good
	}
	return math.Round(n*100) / 100
}

// Sentence says what is known of somebody: "192.0.2.7 has sent 41 letters in 60 days, 2 of
// them spam."
func Sentence(r reputation.Record, now time.Time) string {
	if r.Subject.Kind() == reputation.OfNetwork {
		return fmt.Sprintf("Of the network %s, %s nothing but good mail lately, and %s spam.", r.Subject, count(r.Good, "host sent", "hosts sent"), count(r.Bad, "host sent", "hosts sent"))
	}
	text := fmt.Sprintf("%s has sent %s in %s, %s of them spam.", r.Subject, count(float64(r.Letters), "letter", "letters"),
		count(math.Ceil(max(now.Sub(r.Since).Hours()/24, 1)), "day", "days"), none(r.Spam))
	if told := offences(r); told != "" {
		text += " It has offended: " + told + "."
	}
	return text
}

func count(n float64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%.0f %s", n, many)
}

func none(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// offences are "trap 2 times, guess once".
func offences(r reputation.Record) string {
	var all []string
	for name, n := range r.Offences {
		times := fmt.Sprintf("%s %d times", name, n)
		if n == 1 {
			times = name + " once"
		}
		all = append(all, times)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

var _ = []filter.Check{Clients{}, Senders{}}
