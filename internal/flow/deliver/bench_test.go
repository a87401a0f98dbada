package deliver

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// BenchmarkLocal10KB is from the commit of a letter to the end of its row: 100
// callers, one mailbox.
func BenchmarkLocal10KB(b *testing.B) {
	c := newCorridor(b)
	bob := mustParse(b, "bob@example.org")
	route := c.router.Resolve(context.Background(), bob).Value().String()
	text := []byte(letterText + strings.Repeat("x", 10<<10))
	c.run()
	b.ResetTimer()
	var wg sync.WaitGroup
	letters := make(chan struct{})
	for range 100 {
		wg.Go(func() {
			for range letters {
				s := c.queue.Spool()
				s.Write(text)
				check(b, c.queue.Commit(context.Background(), queue.Draft{Spool: s, Item: &queue.Item{ID: c.queue.NextID(),
					Sender: address.Address{Local: "s", Domain: "example.net"}, Origin: queue.Origin{ClientAddr: "192.0.2.1", Protocol: "ESMTP"},
					Recipients: []queue.Recipient{{Address: bob, Original: bob, Route: route}}}}))
			}
		})
	}
	for range b.N {
		letters <- struct{}{}
	}
	close(letters)
	wg.Wait()
	for !c.empty() {
		time.Sleep(5 * time.Millisecond)
	}
}
