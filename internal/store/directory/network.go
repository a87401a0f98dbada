package directory

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"facteur/internal/store/db"
)

// networkLife is how long a network from which an account logged in counts as its
// own: longer than holidays.
const networkLife = 60 * 24 * time.Hour

// networkMax is how many networks an account has; the oldest give way.
const networkMax = 50

// RememberNetwork notes that an account, by its address, logged in from a network.
func (d *Directory) RememberNetwork(ctx context.Context, account string, network netip.Prefix, now time.Time) error {
	key := keyOf(account)
	return d.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`INSERT INTO login_network (account, network, seen) VALUES (?, ?, ?)
			ON CONFLICT (account, network) DO UPDATE SET seen = excluded.seen`, key, network.String(), now.Unix()); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM login_network WHERE account = ? AND network NOT IN
			(SELECT network FROM login_network WHERE account = ? ORDER BY seen DESC LIMIT ?)`, key, key, networkMax)
		return err
	})
}

// Networks gives the networks of all accounts, by their addresses in the form that
// is compared, after it forgot those that were not used for two months.
func (d *Directory) Networks(ctx context.Context, now time.Time, each func(account string, network netip.Prefix)) error {
	err := d.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`DELETE FROM login_network WHERE seen < ?`, now.Add(-networkLife).Unix())
		return err
	})
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	rows, err := d.db.Reader().QueryContext(ctx, `SELECT account, network FROM login_network ORDER BY seen`)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var account, text string
		if err := rows.Scan(&account, &text); err != nil {
			return fmt.Errorf("directory: %w", err)
		}
		if network, err := netip.ParsePrefix(text); err == nil {
			each(account, network)
		}
	}
	return rows.Err()
}
