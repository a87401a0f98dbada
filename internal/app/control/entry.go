package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"facteur/internal/store/queue"
)

// Entry is an item of the queue as listings show it.
type Entry struct {
	ID      string    `json:"id"`
	Arrived time.Time `json:"arrived"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// Shelf is one of Shelves, or "quarantine". Active: an attempt is under way.
	Shelf  string `json:"shelf"`
	Active bool   `json:"active"`
	// Expired: an admin had its time ended; it goes back with the next attempt.
	Expired bool `json:"expired,omitempty"`
	// Sender is the reverse-path; "" for a notice.
	Sender     string       `json:"sender"`
	Account    string       `json:"account,omitempty"`
	Client     string       `json:"client,omitempty"`
	ClientName string       `json:"client_name,omitempty"`
	Helo       string       `json:"helo,omitempty"`
	Protocol   string       `json:"protocol,omitempty"`
	EnvelopeID string       `json:"envelope_id,omitempty"`
	Recipients []ToDelivery `json:"recipients"`
}

// ToDelivery is a recipient that an item still has to reach.
type ToDelivery struct {
	Address  string `json:"address"`
	Original string `json:"original,omitempty"` // if it is not Address
	// Folder is the mailbox that it is put into, if that is not INBOX: a name, or a special
	// use such as "\Junk".
	Folder string `json:"folder,omitempty"`
	// Sender is the reverse-path for this recipient where it is not the message's.
	Sender string `json:"sender,omitempty"`
	State  string `json:"state"`
	// Route is where it goes: "mailbox:ACCOUNT" or "smtp:DOMAIN"; see flow/route.
	Route    string `json:"route"`
	Attempts int    `json:"attempts"`
	// Due is when it is tried (next).
	Due time.Time `json:"due"`
	// Reason is what the last attempt that deferred it was told.
	Reason string `json:"reason,omitempty"`
}

// Queue implements Office, in the order of mailq.
func (s *Stores) Queue(ctx context.Context, sel Selection, fn func(Entry) error) error {
	f, err := sel.filter()
	if err != nil {
		return err
	}
	list := s.queue.Listing(ctx, f, func(it *queue.Item) bool {
		err = fn(s.entry(it))
		return err == nil
	})
	return errors.Join(err, list)
}

// CountQueue implements Office.
func (s *Stores) CountQueue(ctx context.Context, sel Selection) (Count, error) {
	f, err := sel.filter()
	if err != nil {
		return Count{}, err
	}
	n, err := s.queue.Count(ctx, f)
	return Count{n.Items, n.Recipients, n.Bytes, n.Busy}, err
}

// Entry implements Office.
func (s *Stores) Entry(ctx context.Context, id ItemID) (Entry, error) {
	it, _, err := s.show(ctx, id)
	if err != nil {
		return Entry{}, err
	}
	return s.entry(it), nil
}

// Message implements Office.
func (s *Stores) Message(ctx context.Context, id ItemID) (io.ReadCloser, error) {
	_, body, err := s.show(ctx, id)
	if err != nil {
		return nil, err
	}
	return body.Open()
}

func (s *Stores) show(ctx context.Context, id ItemID) (*queue.Item, queue.Body, error) {
	n, err := queue.ParseID(id.ID)
	if err != nil {
		return nil, nil, err
	}
	return s.queue.Show(ctx, n)
}

// Damage is an item whose message can't be read.
type Damage struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// CheckQueue implements Office.
func (s *Stores) CheckQueue(ctx context.Context, fn func(Damage) error) error {
	var failed error
	err := s.queue.Select(ctx, queue.Filter{}, func(it *queue.Item) bool {
		if err := s.readable(ctx, it); err != nil && !errors.Is(err, queue.ErrNoItem) {
			failed = fn(Damage{it.ID.String(), err.Error()})
		}
		return failed == nil
	})
	return errors.Join(failed, err)
}

// readable tells whether all bytes of an item are there. One that has just ended is
// not missing.
func (s *Stores) readable(ctx context.Context, it *queue.Item) error {
	_, body, err := s.queue.Show(ctx, it.ID)
	if err != nil {
		return err
	}
	r, err := body.Open()
	if err != nil {
		if _, _, gone := s.queue.Show(ctx, it.ID); gone != nil {
			return gone
		}
		return err
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if err == nil && n != it.Size {
		err = fmt.Errorf("%d bytes are left of %d", n, it.Size)
	}
	return err
}

func (s *Stores) entry(it *queue.Item) Entry {
	e := Entry{
		ID:      it.ID.String(),
		Arrived: it.Arrived,
		Size:    it.Size,
		Shelf:   s.shelf(it),
		Expired: it.Expired,
		Sender:  it.Sender.String(),
		Account: it.Origin.Account, Client: it.Origin.ClientAddr, ClientName: it.Origin.ClientName,
		Helo: it.Origin.Helo, Protocol: it.Origin.Protocol, EnvelopeID: it.EnvelopeID,
	}
	e.Active = e.Shelf == Shelves[0]
	for _, r := range it.Recipients {
		to := ToDelivery{Address: r.Address.String(), State: r.State.String(), Route: r.Route, Attempts: r.Attempts, Due: r.Due, Reason: r.LastReply, Folder: r.Folder}
		if original := r.Original.String(); original != to.Address {
			to.Original = original
		}
		if r.Quarantine != "" {
			to.State = "quarantined (" + r.Quarantine + ")"
		}
		if r.Sender != nil {
			to.Sender = r.Sender.String()
		}
		e.Recipients = append(e.Recipients, to)
	}
	return e
}

// shelf names the shelf that an item stands on.
func (s *Stores) shelf(it *queue.Item) string {
	shelf := it.Shelf(s.queue.Active(it))
	if shelf == queue.ShelfQuarantine {
		return "quarantine"
	}
	return Shelves[shelf-queue.ShelfActive]
}
