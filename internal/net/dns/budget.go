package dns

import (
	"context"
	"sync/atomic"
)

// DefaultBudget is how many questions one delivery attempt or one incoming
// message may cost.
const DefaultBudget = 64

type budgetKey struct{}

// WithBudget lets all look-ups made with the context that it returns put at most
// n questions to the servers together. What the cache knows is free; a question
// too many is answered with TryAgain and ErrBudget.
func WithBudget(ctx context.Context, n int) context.Context {
	left := new(atomic.Int64)
	left.Store(int64(n))
	return context.WithValue(ctx, budgetKey{}, left)
}

func spend(ctx context.Context) bool {
	left, ok := ctx.Value(budgetKey{}).(*atomic.Int64)
	return !ok || left.Add(-1) >= 0
}
