package siege

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Control is an ordinary client, whom the limits spare.
type Control struct {
	Addr string // of the SMTP server
	To   string // an address that is accepted
}

// Visit is one short session: the banner, EHLO, MAIL, RCPT, RSET, QUIT.
func (c Control) Visit(ctx context.Context) error {
	conn, err := greet(ctx, "127.0.0.1", c.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, step := range []struct{ command, reply string }{
		{"MAIL FROM:<control@example.net>", "250"}, {"RCPT TO:<" + c.To + ">", "250"}, {"RSET", "250"}, {"QUIT", "221"},
	} {
		if _, err := conn.want(step.command+"\r\n", step.reply); err != nil {
			return err
		}
	}
	return nil
}

// Letter sends one letter and waits for its 250.
func (c Control) Letter(ctx context.Context, text string) error {
	conn, err := greet(ctx, "127.0.0.1", c.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, step := range []struct{ command, reply string }{
		{"MAIL FROM:<control@example.net>", "250"}, {"RCPT TO:<" + c.To + ">", "250"}, {"DATA", "354"}, {text + "\r\n.", "250"}, {"QUIT", "221"},
	} {
		if _, err := conn.want(step.command+"\r\n", step.reply); err != nil {
			return err
		}
	}
	return nil
}

// Visits repeats Visit until the context ends, at most every pause, and returns
// how long each took. A visit that fails ends it.
func (c Control) Visits(ctx context.Context, pause time.Duration) (took []time.Duration, err error) {
	for ctx.Err() == nil {
		start := time.Now()
		// A visit that has begun is finished: its answers are what counts.
		if err := c.Visit(context.WithoutCancel(ctx)); err != nil {
			return took, fmt.Errorf("the control client was not served after %v: %w", time.Since(start).Round(time.Millisecond), err)
		}
		took = append(took, time.Since(start))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return took, nil
}

// Percentile is the p-th hundredth of the durations; 0 when there are none.
func Percentile(took []time.Duration, p int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}
