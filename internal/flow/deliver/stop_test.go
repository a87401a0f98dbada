package deliver

import (
	"context"
	"strings"
	"testing"
	"time"

	"facteur/internal/store/queue"
)

// runFor is run with another grace.
func (c *corridor) runFor(grace time.Duration) (stop func()) {
	d := c.dispatcher()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, grace) }()
	return func() {
		c.t.Helper()
		cancel()
		select {
		case err := <-done:
			check(c.t, err)
		case <-time.After(40 * time.Second):
			c.t.Fatal("it does not stop")
		}
	}
}

// TestStopLetsProgramsEnd: what runs at the word to stop ends within the grace, and does
// not run again after the next start; what has not begun begins then.
func TestStopLetsProgramsEnd(t *testing.T) {
	const program = "cat > letter; echo x >> begun; sleep 1; echo x >> ended"
	for name, prepare := range map[string]func(*hamlet){
		"forward": func(v *hamlet) { v.write("jdoe", ".forward", `"|`+program+`"`, 0o644) },
		"mailbox_command": func(v *hamlet) {
			s := *v.settings.Load()
			s.Command = program
			v.settings.Store(&s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := settle(t, "jdoe")
			prepare(v)
			stop := v.runFor(30 * time.Second)
			v.post("", "s@elsewhere.example", letterText, "jdoe@example.org")
			v.await("the program runs", func() bool { return v.read("jdoe", "begun") != "" })
			v.post("", "s@elsewhere.example", letterText, "jdoe@example.org")
			stop()
			if begun, ended := v.read("jdoe", "begun"), v.read("jdoe", "ended"); begun != "x\n" || ended != begun {
				t.Errorf("begun %q, ended %q\n%s", begun, ended, v.heard.all())
			}
			check(t, v.queue.Close()) // leases end with the process
			var err error
			v.queue, err = queue.Open(v.dir)
			check(t, err)
			stop = v.runFor(30 * time.Second)
			v.awaitEmpty()
			stop()
			if ended := v.read("jdoe", "ended"); strings.Count(v.read("jdoe", "begun"), "x") != 2 || strings.Count(ended, "x") != 2 {
				t.Errorf("two letters: ended %q", ended)
			}
		})
	}
}

// TestStopEndsProgramsAfterTheGrace: nobody waits for a program that does not end, and its
// letter stays.
func TestStopEndsProgramsAfterTheGrace(t *testing.T) {
	v := settle(t, "jdoe")
	s := *v.settings.Load()
	s.Command = "echo x >> begun; sleep 600; echo x >> ended"
	v.settings.Store(&s)
	stop := v.runFor(100 * time.Millisecond)
	id := v.post("", "s@elsewhere.example", letterText, "jdoe@example.org")
	v.await("the program runs", func() bool { return v.read("jdoe", "begun") != "" })
	stop()
	it, _, err := v.queue.Show(context.Background(), id)
	check(t, err)
	if r := it.Recipients[0]; r.Attempts != 0 {
		t.Errorf("the word to stop counts as an attempt: %+v", r)
	}
}
