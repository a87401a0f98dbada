package app

import (
	"context"
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// What waits for a relay that was out of order need not wait for the end of its suspension
// when the settings of what goes out have changed: they may be the cure.
func TestReloadLiftsSuspensions(t *testing.T) {
	dir := t.TempDir()
	ports := freePorts(t, 2)
	text := fmt.Sprintf("trusted_networks = ['127.0.0.0/8']\n[[listen]]\nservice = 'smtp'\naddress = '127.0.0.1:%d'\n[outbound]\nsmarthost = '127.0.0.1:%d'\n", ports[0], ports[1])
	house, _ := run(t, settingsOf(t, dir, text))
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("never: ", what)
			}
		}
	}
	until("it listens", func() bool { return greeted(ports[0]) })
	post := func() {
		t.Helper()
		c, err := smtp.Dial(fmt.Sprint("127.0.0.1:", ports[0]))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := errors.Join(c.Mail("x@[127.0.0.1]"), c.Rcpt("y@far.example")); err != nil {
			t.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, "Subject: x\r\n\r\nx\r\n")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	put := func(n int) func() bool {
		return func() bool {
			attempted := 0
			if err := house.queue.Select(context.Background(), queue.Filter{}, func(it *queue.Item) bool {
				attempted += it.Recipients[0].Attempts
				return true
			}); err != nil {
				t.Fatal(err)
			}
			return attempted >= n
		}
	}
	for range 10 { // as many as find it dead
		post()
	}
	until("all have been tried", put(10))
	relay, err := sim.StartPeer(sim.Peer{Address: fmt.Sprint("127.0.0.1:", ports[1])})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	if err := house.Reload(settingsOf(t, dir, text)); err != nil {
		t.Fatal(err)
	}
	post()
	until("new mail is put off", put(11))
	if n := len(relay.Taken()); n != 0 {
		t.Fatalf("%d taken by a relay that is suspended", n)
	}
	if err := house.Reload(settingsOf(t, dir, text+"helo = 'other.example.org'\n")); err != nil {
		t.Fatal(err)
	}
	post()
	if len(relay.Await(1, 30*time.Second)) != 1 {
		t.Error("the relay stays suspended after a reload that changes what goes out")
	}
}

// TestSendsAs: files that the settings name count for what is in them.
func TestSendsAs(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"transport": "a.example slow:\n", "passwords": "[gw.example]:587 me:old\n", "tls": "a.example encrypt\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(more string) *settings {
		t.Helper()
		s, err := translate(settingsOf(t, dir, more+"[outbound]\nsmarthost = 'gw.example:587'\ntransport_maps = 'hash:transport'\npassword_maps = 'hash:passwords'\ntls_policy_maps = 'hash:tls'\n"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	was := read("")
	if now := read("recipient_limit = 170\n"); !now.sendsAs(was) {
		t.Error("a limit for what comes in changes what goes out")
	}
	for name, text := range map[string]string{"transport": "a.example relay:\n", "passwords": "[gw.example]:587 me:new\n", "tls": "a.example may\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		now := read("")
		if now.sendsAs(was) {
			t.Errorf("nothing has changed with the file %q", name)
		}
		was = now
	}
}
