package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"facteur/internal/store/queue"
)

// Shape asks how the queue is spread over domains and ages.
type Shape struct {
	// Shelves are those to look at; none: all.
	Shelves []string `json:"shelves,omitempty"`
	// Senders: count messages by their sender's domain, not recipients by theirs.
	Senders bool `json:"senders,omitempty"`
	// Ages are the limits between the columns in seconds, rising.
	Ages []int64 `json:"ages"`
}

// maxAges bounds the columns of a Shape.
const maxAges = 1000

// Row is a domain, and how many there are in each column. It begins with those of
// less than the first age; those of the last age and above are its last.
type Row struct {
	Domain string `json:"domain"`
	Counts []int  `json:"counts"`
}

// NobodyDomain stands for the domain of the null sender.
const NobodyDomain = "MAILER-DAEMON"

// Shape implements Office.
func (s *Stores) Shape(ctx context.Context, q Shape, fn func(Row) error) error {
	wanted, err := shelves(q.Shelves)
	if err != nil {
		return err
	}
	if len(q.Ages) > maxAges {
		return fmt.Errorf("%d columns; %d at most", len(q.Ages)+1, maxAges+1)
	}
	rows, now := make(map[string][]int), time.Now()
	err = s.queue.Outline(ctx, queue.Filter{}, func(it *queue.Item) bool {
		if wanted[s.shelf(it)] {
			q.count(rows, it, now)
		}
		return true
	})
	for domain, counts := range rows {
		if err == nil {
			err = fn(Row{domain, counts})
		}
	}
	return err
}

// shelves are the shelves of these names; all if there are none.
func shelves(names []string) (map[string]bool, error) {
	if len(names) == 0 {
		names = Shelves[:]
	}
	wanted := make(map[string]bool)
	for _, name := range names {
		if _, known := shelfNames[name]; !known || name == "" {
			return nil, fmt.Errorf("%q is none of the queues; %s are", name, strings.Join(Shelves[:], ", "))
		}
		wanted[name] = true
	}
	return wanted, nil
}

func (q *Shape) count(rows map[string][]int, it *queue.Item, now time.Time) {
	column := q.column(now.Sub(it.Arrived))
	if q.Senders {
		q.add(rows, it.Sender.Domain, column)
		return
	}
	for _, r := range it.Recipients {
		q.add(rows, r.Address.Domain, column)
	}
}

func (q *Shape) add(rows map[string][]int, domain string, column int) {
	if domain = strings.ToLower(domain); domain == "" {
		domain = NobodyDomain
	}
	counts := rows[domain]
	if counts == nil {
		counts = make([]int, len(q.Ages)+1)
		rows[domain] = counts
	}
	counts[column]++
}

// column is where an age belongs.
func (q *Shape) column(age time.Duration) int {
	for i, limit := range q.Ages {
		if int64(age/time.Second) < limit {
			return i
		}
	}
	return len(q.Ages)
}
