package siege

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"facteur/internal/test/interop"
)

// Many sessions of one account.
const watchers, arrivals = 150, 400

// IMAP-014: 150 sessions wait on one mailbox while letters come into it and into
// another as fast as they are taken: each is told how many there are in the end, in no
// more steps than there were letters, and nothing of the other mailbox.
func TestManySessionsWatch(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	f := newFortress(t, interop.Setup{Services: []string{"smtp", "submission", "submissions", "imap"}, Config: "connections_per_account = 200\nconnections_per_client = 200\n"})
	f.Start()
	writer := f.dialIMAP(t, nil)
	must(t, writer.Create("Elsewhere", nil).Wait())
	type seen struct{ steps, last atomic.Int64 }
	sessions := make([]seen, watchers)
	var idles []*imapclient.IdleCommand
	for n := range sessions {
		c := f.dialIMAP(t, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
			Mailbox: func(data *imapclient.UnilateralDataMailbox) {
				if data.NumMessages != nil {
					sessions[n].steps.Add(1)
					sessions[n].last.Store(int64(*data.NumMessages))
				}
			}}})
		_, err := c.Select("INBOX", nil).Wait()
		must(t, err)
		idle, err := c.Idle()
		must(t, err)
		idles = append(idles, idle)
	}
	var writing sync.WaitGroup
	for _, mailbox := range []string{"INBOX", "Elsewhere"} {
		writing.Go(func() { f.appendMany(t, mailbox) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		writing.Wait()
		cancel()
	}()
	visits, err := f.control().Visits(ctx, 20*time.Millisecond)
	must(t, err)
	t.Logf("%d visits meanwhile, %v the slowest", len(visits), Percentile(visits, 100))
	interop.WaitUntil(t, "every session to know of every letter", func() bool {
		for n := range sessions {
			if sessions[n].last.Load() < arrivals {
				time.Sleep(50 * time.Millisecond)
				return false
			}
		}
		return true
	})
	var steps int64
	for n := range sessions {
		steps += sessions[n].steps.Load()
		if sessions[n].last.Load() != arrivals || sessions[n].steps.Load() > arrivals {
			t.Errorf("session %d was told of %d letters in %d steps", n, sessions[n].last.Load(), sessions[n].steps.Load())
		}
	}
	t.Logf("%d sessions were told in %d steps", watchers, steps)
	for _, idle := range idles {
		must(t, idle.Close())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fortress) dialIMAP(t *testing.T, options *imapclient.Options) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(f.Addr("imap"), options)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.Login(account, interop.Password).Wait())
	return c
}

func (f *fortress) appendMany(t *testing.T, mailbox string) {
	c := f.dialIMAP(t, nil)
	letter := "Subject: one of many\r\n\r\nhello\r\n"
	for range arrivals {
		upload := c.Append(mailbox, int64(len(letter)), &imap.AppendOptions{})
		if _, err := upload.Write([]byte(letter)); err != nil {
			t.Error(err)
			return
		}
		if err := upload.Close(); err != nil {
			t.Error(err)
			return
		}
		if _, err := upload.Wait(); err != nil {
			t.Error(err)
			return
		}
	}
}
