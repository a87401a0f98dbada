package control

import (
	"context"

	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
)

// Permission lets an account send as an address, or as all of "@domain".
type Permission struct {
	Account string `json:"account"`
	Address string `json:"address"`
}

// what is the permission in the log.
func (p Permission) what() string { return p.Account + " as " + p.Address }

// AccountName is an account; "" for all, where several can be meant.
type AccountName struct {
	Address string `json:"address"`
}

// Grants implements Office.
func (s *Stores) Grants(ctx context.Context, n AccountName) ([]directory.Grant, error) {
	if n.Address == "" {
		return s.directory.Grants(ctx, address.Address{})
	}
	a, err := accountAddress(n.Address)
	if err != nil {
		return nil, err
	}
	return s.directory.Grants(ctx, a)
}

// Grant implements Office.
func (s *Stores) Grant(ctx context.Context, p Permission) error {
	a, err := accountAddress(p.Account)
	if err != nil {
		return err
	}
	return about(p.Account, s.directory.Grant(ctx, a, p.Address))
}

// Revoke implements Office.
func (s *Stores) Revoke(ctx context.Context, p Permission) error {
	a, err := accountAddress(p.Account)
	if err != nil {
		return err
	}
	return about(p.Account, s.directory.Revoke(ctx, a, p.Address))
}

// Grants implements Office.
func (c *client) Grants(ctx context.Context, n AccountName) (list []directory.Grant, err error) {
	err = c.call(ctx, "/grants", n, &list)
	return list, err
}

// Grant implements Office.
func (c *client) Grant(ctx context.Context, p Permission) error {
	return c.call(ctx, "/grants/add", p, nil)
}

// Revoke implements Office.
func (c *client) Revoke(ctx context.Context, p Permission) error {
	return c.call(ctx, "/grants/remove", p, nil)
}
