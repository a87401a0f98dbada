// Package report tells other domains how their mail fared here, hears from others how ours
// fared there, and says what to do about it.
//
// # Going out
//
// A Collector counts the letters of strangers by what was found out about who sent them.
// Each night, at a minute of its own choice, the Office writes one aggregate report (RFC
// 9990) for each domain that asks for it, and one about TLS (RFC 8460), and commits them
// to the queue: signed as all that the house writes, with the null reverse-path, so that
// nothing comes back.
//
// A report goes to each destination once, also over a kill -9. Before the commit it is
// noted under which ID the letter will be in the queue; after it, that it is. The letter
// may leave a minute later at the earliest. So whoever starts after a crash finds the
// letter in the queue (then it is sent), or not (then it never was, and is written again).
// What the disk does not take of the second note is noted before anything else is sent.
// Only where that takes longer than the minute and the process dies then, a second letter
// is possible; it has the same report id and file name, by which RFC 9990 wants it
// recognised. What goes by HTTPS is posted again if the process dies before the
// answer is noted, with the same id.
//
// Whom a record names as a destination did not ask for it himself: at most five are
// looked at, those of other organisations must say that they want it (RFC 9990 §4), and
// what one host gets has a pace and a bound a day (AUT-018).
//
// # No loops
//
// Reports cause no reports (LOOP-013). Letters to the addresses that take reports in are
// not counted, nor are the TLS sessions that carry reports of ours. Nothing answers to
// them: they are Auto-Submitted, and from nobody. Failure reports (ruf) are never written:
// they tell strangers what people here get.
//
// # Coming in
//
// Letters to these addresses are copied when they are committed, and read when they have
// their 250: reading one refuses, delays and changes no letter. Two are read at a time, one
// of a known author and one of the others; of those that wait each kind has 24 MiB, and what
// is beyond is not read. What can't be read is a letter for whoever reads that mailbox, and
// nothing more. A report counts as its author's word only if its letter passed DMARC here.
//
// Nothing is counted twice, also over a kill -9: reports are kept once under the id that
// their author gave them, complaints once of an author about a letter. What was taken and
// not read yet when the process dies is not counted at all; the letter is in its mailbox.
package report

import (
	"context"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dmarc"
	"facteur/internal/net/post"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
	"facteur/internal/store/tlsreport"
)

// Settings are what an admin has set.
type Settings struct {
	// Aggregate and TLS: reports of these kinds are sent.
	Aggregate, TLS bool
	// From is who sends them, in a domain of ours; Org and Contact how we present
	// ourselves.
	From         address.Address
	Org, Contact string
	// Never are domains that get no reports.
	Never map[string]bool
	// MaxSize is the largest letter, in bytes; PerHost how many reports one host gets a
	// day.
	MaxSize int64
	PerHost int
	// Takes tells the addresses that take reports in.
	Takes func(address.Address) bool
	// KeepDays is how long they are kept.
	KeepDays int
	// Complaints about one account in a week that the postmaster hears of.
	Complaints int
}

// House is what the Office works with.
type House struct {
	Hostname string
	Store    *report.Store
	TLS      *tlsreport.Store
	Queue    *queue.Queue
	Router   *route.Router
	TXT      func(ctx context.Context, name string) lookup.Answer[[]string]
	// Draft signs a letter and makes it ready to be committed.
	Draft func(text []byte, it *queue.Item) (queue.Draft, error)
	// Web posts reports.
	Web *post.Client
	// Sender finds which account sent a letter, by its queue IDs and Message-Ids.
	Sender   func(ctx context.Context, words []string) (account, item string)
	Settings func() Settings
	Events   event.Sink
}

// Office sends reports and takes them in. It is safe for concurrent use.
type Office struct {
	House
	now func() time.Time

	working  sync.Mutex // one run at a time; guards owed
	owed     []owed
	readers  readers
	searches allowance // of who sent a letter
}

// New opens the office.
func New(h House) *Office {
	return &Office{House: h, now: time.Now}
}

// txt is the look-up as package dmarc wants it.
func (o *Office) txt() dmarc.TXT { return o.TXT }
