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
// too many is answered with TryAgain and ErrBudget. CNAMEs that have to be asked
// for one by one are questions, too: they are paid when the look-up ends, by all
// who waited for it, so the last look-up may cost more than was left, but no other
// comes after it. Asking another server because one is silent costs nothing.
func WithBudget(ctx context.Context, n int) context.Context {
	left := new(atomic.Int64)
	left.Store(int64(n))
	return context.WithValue(ctx, budgetKey{}, left)
}

// spend takes questions from the budget, and tells whether it had them.
func spend(ctx context.Context, questions int) bool {
	left, ok := ctx.Value(budgetKey{}).(*atomic.Int64)
	return !ok || left.Add(-int64(questions)) >= 0
}
