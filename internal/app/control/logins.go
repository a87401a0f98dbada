package control

import (
	"context"

	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
)

// Suspension disables an account, or ends that.
type Suspension struct {
	Address  string `json:"address"`
	Disabled bool   `json:"disabled"`
	// Refuse: mail for the account is refused, too.
	Refuse bool `json:"refuse,omitempty"`
}

// AppName is an app password of an account; Services are where a new one counts.
type AppName struct {
	Address  string   `json:"address"`
	Name     string   `json:"name"`
	Services []string `json:"services,omitempty"`
}

func (n AppName) what() string { return n.Name + " of " + n.Address }

// AppSecret is a new app password, which is shown once.
type AppSecret struct {
	Password string `json:"password"`
}

// Attempt is a log-in that an admin tries.
type Attempt struct {
	Service  string `json:"service"`
	User     string `json:"user"`
	Password string `json:"password"`
}

// SetDisabled implements Office.
func (s *Stores) SetDisabled(ctx context.Context, n Suspension) error {
	a, err := accountAddress(n.Address)
	if err != nil {
		return err
	}
	if err := s.directory.SetDisabled(ctx, a, n.Disabled, n.Refuse); err != nil {
		return about(n.Address, err)
	}
	s.expel(ctx)
	return nil
}

// AppPasswords implements Office.
func (s *Stores) AppPasswords(ctx context.Context, n AccountName) ([]directory.AppPassword, error) {
	a, err := accountAddress(n.Address)
	if err != nil {
		return nil, err
	}
	return s.directory.AppPasswords(ctx, a)
}

// AddAppPassword implements Office.
func (s *Stores) AddAppPassword(ctx context.Context, n AppName) (AppSecret, error) {
	a, err := accountAddress(n.Address)
	if err != nil {
		return AppSecret{}, err
	}
	password, err := s.directory.AddAppPassword(ctx, a, n.Name, n.Services)
	return AppSecret{password}, about(n.Address, err)
}

// RemoveAppPassword implements Office.
func (s *Stores) RemoveAppPassword(ctx context.Context, n AppName) error {
	a, err := address.Parse(n.Address)
	if err != nil {
		return err
	}
	return about(n.Address, s.directory.RemoveAppPassword(ctx, a, n.Name))
}

// Audit implements Office.
func (s *Stores) Audit(ctx context.Context, how directory.Auditing, fn func(directory.Review) error) error {
	return s.directory.Audit(ctx, how, fn)
}

// TryLogin implements Office.
func (s *Stores) TryLogin(ctx context.Context, a Attempt) (directory.Trial, error) {
	return s.directory.Try(ctx, a.Service, a.User, a.Password), nil
}

// SetDisabled implements Office.
func (c *client) SetDisabled(ctx context.Context, n Suspension) error {
	return c.call(ctx, "/accounts/disable", n, nil)
}

// AppPasswords implements Office.
func (c *client) AppPasswords(ctx context.Context, n AccountName) (list []directory.AppPassword, err error) {
	err = c.call(ctx, "/accounts/apps", n, &list)
	return list, err
}

// AddAppPassword implements Office.
func (c *client) AddAppPassword(ctx context.Context, n AppName) (secret AppSecret, err error) {
	err = c.call(ctx, "/accounts/apps/add", n, &secret)
	return secret, err
}

// RemoveAppPassword implements Office.
func (c *client) RemoveAppPassword(ctx context.Context, n AppName) error {
	return c.call(ctx, "/accounts/apps/remove", n, nil)
}

// Audit implements Office.
func (c *client) Audit(ctx context.Context, how directory.Auditing, fn func(directory.Review) error) error {
	return readStream(ctx, c, "/accounts/audit", how, fn)
}

// TryLogin implements Office.
func (c *client) TryLogin(ctx context.Context, a Attempt) (t directory.Trial, err error) {
	err = c.call(ctx, "/logins/try", a, &t)
	return t, err
}
