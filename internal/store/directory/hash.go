package directory

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/go-crypt/crypt/algorithm/argon2"
)

// What one hash costs: 19 MiB and two passes, the smaller of the usual
// recommendations for argon2id, some 25 ms. A family's server stays under 100 MB
// with it, and whoever steals the file still needs 19 MiB per guess.
const (
	hashMemory = 19 << 10 // KiB
	hashPasses = 2
	hashLanes  = 1
)

// maxPassword is the most bytes of a password that are looked at.
const maxPassword = 1024

// queueLength is how many may wait for a free hash, per hash that runs: at 25 ms
// each, whoever is last in the line waits about five seconds. Mail programs wait that
// long, and an office that comes back at once after an outage is not turned away.
const queueLength = 200

// errBusy: the line before the hash is full. It is temporary.
var errBusy = errors.New("too many log-ins at once; try again")

// hasher runs a bounded number of hashes at a time and lets a bounded number wait.
type hasher struct {
	running chan struct{}
	waiting chan struct{} // running ones included
}

// newHasher lets half of the processors hash: a hash keeps one for 25 ms, and with
// all of them at it, everybody who brings mail would wait for those who guess.
func newHasher() *hasher {
	slots := (runtime.GOMAXPROCS(0) + 1) / 2
	return &hasher{
		running: make(chan struct{}, slots),
		waiting: make(chan struct{}, slots*(1+queueLength)),
	}
}

// enter waits for a turn. The error is errBusy or that of ctx.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, errBusy
	}
	select {
	case h.running <- struct{}{}:
		return func() { <-h.running; <-h.waiting }, nil
	case <-ctx.Done():
		<-h.waiting
		return nil, ctx.Err()
	}
}

func makeHash(password string) (string, error) {
	algorithm, err := argon2.New(argon2.WithVariantID(), argon2.WithM(hashMemory), argon2.WithT(hashPasses), argon2.WithP(hashLanes))
	if err != nil {
		return "", fmt.Errorf("directory: %w", err)
	}
	digest, err := algorithm.Hash(password)
	if err != nil {
		return "", fmt.Errorf("directory: %w", err)
	}
	return digest.Encode(), nil
}
