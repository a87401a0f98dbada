package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/internal/app/config"
)

// Open finds the office of a data directory: the running server's by its socket,
// else the stores, which it then keeps from any server until close is called. A
// server that starts or stops at this moment is waited for.
func Open(ctx context.Context, cfg *config.Config) (o Office, close func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	for {
		if conn, err := dialSocket(ctx, cfg.DataDir); err == nil {
			conn.Close()
			return newClient(cfg.DataDir), func() error { return nil }, nil
		}
		claim, err := tryClaim(cfg.DataDir)
		if err == nil {
			return openClaimed(cfg, claim)
		}
		if !errors.Is(err, ErrInUse) {
			return nil, nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%w, which does not answer", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func openClaimed(cfg *config.Config, claim *Claim) (Office, func() error, error) {
	stores, close, err := openStores(cfg)
	if err != nil {
		return nil, nil, errors.Join(err, claim.Release())
	}
	return stores, func() error { return errors.Join(close(), claim.Release()) }, nil
}
