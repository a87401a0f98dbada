package interop

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are taken below Linux's ephemeral range (32768 and up), so that no
// outgoing connection can sit on one between our look and the server's bind.
const (
	firstPort = 12000
	lastPort  = 32000
)

var ports struct {
	sync.Mutex
	given map[int]bool
}

// FreePort returns a port on 127.0.0.1 that nobody listens on and that was
// given to nobody else in this process.
func FreePort(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.given == nil {
		ports.given = make(map[int]bool)
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if !ports.given[port] && bindable(port) {
			ports.given[port] = true
			return port
		}
	}
	t.Fatal("no free port on 127.0.0.1")
	return 0
}

func bindable(port int) bool {
	l, err := net.Listen("tcp", Loopback(port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// Loopback writes a port as an address of this machine.
func Loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
