package deliver

import (
	"testing"
	"testing/synctest"

	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// TestOUT001TwoUnsettledAtMost: a worker goes on while its last message is settled, and
// waits before a third would be there and not noted.
func TestOUT001TwoUnsettledAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(nil, nil) // not started: what it settles, the test says
		w := &worker{remote: &remote{desk: d}, settled: make(chan struct{}, settlingAhead)}
		ended := 0
		go func() {
			for range 3 {
				a := &attempt{item: &queue.Item{Recipients: []queue.Recipient{{N: 1}}}}
				results := a.all(smtp.NewReply(250, "2.0.0", "Ok"), "250 2.0.0 Ok")
				w.conclude(t.Context(), a, results)
				ended++
			}
		}()
		for want := 1; want <= 3; want++ {
			synctest.Wait()
			if ended != want {
				t.Fatalf("%d attempts ended with %d settled, want %d", ended, want-1, want)
			}
			w.settled <- struct{}{}
		}
	})
}

// TestHandedOver: what needs a notice, or did not go well, is not left to the desk.
func TestHandedOver(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   int
		notify smtp.Notify
		trace  bool
		want   bool
	}{
		{"taken", 250, 0, false, true},
		{"put off", 450, 0, false, false},
		{"refused", 550, 0, false, false},
		{"taken, and the sender is to hear", 250, smtp.NotifySuccess, false, false},
		{"taken, with a trace", 250, 0, true, false},
	} {
		a := &attempt{item: &queue.Item{Recipients: []queue.Recipient{{N: 1, Notify: c.notify}}}}
		a.item.By.Trace = c.trace
		if got := handedOver(a, a.all(smtp.NewReply(c.code, "", "so"), "so")); got != c.want {
			t.Errorf("%s: left to the desk: %v", c.name, got)
		}
	}
}
