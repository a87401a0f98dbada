package directory

import (
	"context"

	"facteur/internal/mail/address"
)

// CutTo writes the database as it is at one moment into a new file.
func (d *Directory) CutTo(ctx context.Context, path string) error { return d.db.CopyTo(ctx, path) }

// HomeOf is the home of an account below the directory of all mail, as a relative path.
func HomeOf(name string) (string, error) {
	a, err := address.Parse(name)
	if err != nil {
		return "", err
	}
	folded, err := address.Parse(a.Key())
	if err != nil {
		return "", err
	}
	return homeOf(folded), nil
}
