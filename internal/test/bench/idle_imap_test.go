package bench

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// What people cost who wait for mail: logged in, INBOX selected, in IDLE. Dovecot gives
// each a process.
func BenchmarkIdleMailboxes(b *testing.B) {
	count := number("FACTEUR_BENCH_IDLE", 10_000)
	fmt.Printf("\n%-10s%14s%14s%20s\n", "", "in IDLE", "", "KB for each")
	for _, secure := range []bool{false, true} {
		words := map[bool]string{false: "in the clear", true: "under TLS"}[secure]
		b.Run(words, func(b *testing.B) {
			cost := idleMailboxes(b, count, secure)
			b.ReportMetric(cost, "KB/connection")
			fmt.Printf("%-10s%14d%14s%20.1f\n", "facteur", count, words, cost)
		})
	}
}

// idleMailboxes opens sessions and returns the resident memory for each, in KB.
func idleMailboxes(b *testing.B, count int, secure bool) float64 {
	post := open(b, "facteur", interop.Setup{
		Accounts: []string{alice}, Services: []string{"smtp", "imap"}, Quiet: true, TLS: secure,
		Config: fmt.Sprintf("connections = %d\n", count*4/3+300), // in [limits]; one service has three quarters
	})
	interop.Plant(b, post.Maildir(alice), 100, 1000)
	post.Handover(alice)
	post.Start()
	var conns []net.Conn
	b.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
	})
	enter := func(n int) {
		list := make([]net.Conn, n)
		each(n, func(i int) {
			var err error
			if list[i], err = waitForMail(post.Addr("imap"), secure); err != nil {
				b.Errorf("connection %d: %v", i, err)
			}
		})
		for _, c := range list {
			if c != nil {
				conns = append(conns, c)
			}
		}
	}
	enter(100) // what every server needs once is there
	calm()
	before := interop.Memory(post.Processes()[0])
	enter(count)
	calm()
	return float64(interop.Memory(post.Processes()[0])-before) / float64(count) / 1024
}

// waitForMail is a session in IDLE. Its client keeps no buffer.
func waitForMail(addr string, secure bool) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	raw := conn
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	r := bufio.NewReaderSize(conn, 512)
	if _, err := r.ReadString('\n'); err != nil {
		return raw, err
	}
	say := func(command, end string) error {
		fmt.Fprintf(conn, "a %s\r\n", command)
		for {
			line, err := r.ReadString('\n')
			if err != nil || strings.HasPrefix(line, end) {
				return err
			}
			if strings.HasPrefix(line, "a ") {
				return fmt.Errorf("%s: %s", command, line)
			}
		}
	}
	if secure {
		if err := say("STARTTLS", "a OK"); err != nil {
			return raw, err
		}
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		r.Reset(conn)
	}
	for _, step := range [][2]string{{"LOGIN " + alice + " " + interop.Password, "a OK"}, {"SELECT INBOX", "a OK"}, {"IDLE", "+ "}} {
		if err := say(step[0], step[1]); err != nil {
			return raw, err
		}
	}
	return raw, nil
}
