package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"facteur/internal/app/config"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
)

// Stores is the Office that works on the stores itself: in the server, and in a
// command while no server runs.
type Stores struct {
	directory *directory.Directory
	queue     *queue.Queue
}

// NewStores is the office of stores that are open.
func NewStores(d *directory.Directory, q *queue.Queue) *Stores { return &Stores{d, q} }

// openStores opens the stores of a data directory that is claimed.
func openStores(cfg *config.Config) (*Stores, func() error, error) {
	database, err := db.Open(filepath.Join(cfg.DataDir, "facteur.db"), directory.Migrations())
	if err != nil {
		return nil, nil, err
	}
	q, err := queue.Open(cfg.DataDir)
	if err != nil {
		return nil, nil, errors.Join(err, database.Close())
	}
	d := directory.New(database, cfg.DomainNames(), cfg.DataDir, int64(cfg.Mailbox.DefaultQuota))
	d.Keep(cfg.KeyKinds())
	return NewStores(d, q), func() error { return errors.Join(q.Close(), database.Close()) }, nil
}

// Accounts implements Office.
func (s *Stores) Accounts(ctx context.Context) ([]directory.Account, error) {
	return s.directory.Accounts(ctx)
}

// AddAccount implements Office.
func (s *Stores) AddAccount(ctx context.Context, n NewAccount) error {
	a, err := mailbox(n.Address)
	if err != nil {
		return err
	}
	return about(n.Address, s.directory.AddAccount(ctx, a, n.Password, n.Quota))
}

// SetPassword implements Office.
func (s *Stores) SetPassword(ctx context.Context, p NewPassword) error {
	a, err := mailbox(p.Address)
	if err != nil {
		return err
	}
	return about(p.Address, s.directory.SetPassword(ctx, a, p.Password))
}

// RemoveAccount implements Office.
func (s *Stores) RemoveAccount(ctx context.Context, r Removal) error {
	a, err := mailbox(r.Address)
	if err != nil {
		return err
	}
	return about(r.Address, s.directory.RemoveAccount(ctx, a, r.Mail))
}

// Domains implements Office.
func (s *Stores) Domains(ctx context.Context) ([]directory.Domain, error) {
	return s.directory.Domains(ctx)
}

// AddDomain implements Office.
func (s *Stores) AddDomain(ctx context.Context, d DomainName) error {
	return about(d.Name, s.directory.AddDomain(ctx, d.Name))
}

// RemoveDomain implements Office.
func (s *Stores) RemoveDomain(ctx context.Context, d DomainName) error {
	return about(d.Name, s.directory.RemoveDomain(ctx, d.Name))
}

// Queue implements Office.
func (s *Stores) Queue(ctx context.Context, fn func(Entry) error) (err error) {
	list := s.queue.List(ctx, func(it *queue.Item) bool {
		err = fn(s.entry(it))
		return err == nil
	})
	return errors.Join(err, list)
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

// Retry implements Office.
func (s *Stores) Retry(ctx context.Context, w Waiting) (int, error) {
	if w.Domain == "" {
		return s.queue.Flush(ctx, "")
	}
	name, below := strings.CutPrefix(w.Domain, ".")
	domain, err := address.CanonicalDomain(name)
	if err != nil {
		return 0, fmt.Errorf("%q is not a domain: %w", w.Domain, err)
	}
	if below {
		domain = "." + domain
	}
	return s.queue.Flush(ctx, domain)
}

func (s *Stores) show(ctx context.Context, id ItemID) (*queue.Item, queue.Body, error) {
	n, err := queue.ParseID(id.ID)
	if err != nil {
		return nil, nil, err
	}
	return s.queue.Show(ctx, n)
}

func (s *Stores) entry(it *queue.Item) Entry {
	e := Entry{
		ID:      it.ID.String(),
		Arrived: it.Arrived,
		Size:    it.Size,
		Active:  s.queue.Active(it),
		Sender:  it.Sender.String(),
		Account: it.Origin.Account,
		Client:  it.Origin.ClientAddr,
	}
	for _, r := range it.Recipients {
		to := ToDelivery{Address: r.Address.String(), State: r.State.String(), Attempts: r.Attempts, Due: r.Due, Reason: r.LastReply}
		if original := r.Original.String(); original != to.Address {
			to.Original = original
		}
		e.Recipients = append(e.Recipients, to)
	}
	return e
}

// mailbox reads the name of an account.
func mailbox(s string) (address.Address, error) {
	a, err := address.Parse(s)
	if err != nil {
		return address.Address{}, fmt.Errorf("%q is not an address: %w", s, err)
	}
	return a, nil
}

// about puts the name that a command was given before its error.
func about(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
