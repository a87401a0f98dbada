package siege

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Target is the doors of a server, as host:port; empty where it has none.
type Target struct {
	SMTP, Submission, Submissions string
	Account                       string // an address with a password that nobody guesses
}

// Flood is one kind of attack.
type Flood struct {
	ID, Name string // of ATTACKS.md; in words
	// Clients work at the same time.
	Clients int
	// Addresses that they come from; 1 is a single source, 250 is the most.
	Addresses int
	// PerSecond bounds the rounds begun in a second, of all clients; 0 is as fast as
	// they can.
	PerSecond int
	number    int // among the floods: each has its own addresses
	// A round of one client is to open a connection and to attack over it; it is repeated
	// until the flood ends. Whoever was not let in waits.
	open   func(ctx context.Context, from string, target Target) (*client, error)
	wait   time.Duration
	attack func(ctx context.Context, c *client, target Target, seen *Seen)
}

// Seen is what a flood got out of the server.
type Seen struct {
	Rounds, Failed atomic.Int64 // rounds begun; connections that were not to be had or broke
	mu             sync.Mutex
	replies        map[string]int64
}

func (s *Seen) note(reply string, err error) {
	if err != nil {
		s.Failed.Add(1)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replies == nil {
		s.replies = make(map[string]int64)
	}
	s.replies[reply[:min(3, len(reply))]]++
}

// Replies counts the answers with a code.
func (s *Seen) Replies(code string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replies[code]
}

func (s *Seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%d rounds, %d connections lost, replies %v", s.Rounds.Load(), s.Failed.Load(), s.replies)
}

// Run floods the target until the context ends.
func (f Flood) Run(ctx context.Context, target Target) *Seen {
	seen := new(Seen)
	var clients sync.WaitGroup
	pace := f.pace(ctx)
	for n := range f.Clients {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for pace(); ctx.Err() == nil; pace() {
				seen.Rounds.Add(1)
				f.round(ctx, attacker(f.number, random.IntN(f.Addresses)), target, seen)
			}
		})
	}
	clients.Wait()
	return seen
}

func (f Flood) round(ctx context.Context, from string, target Target, seen *Seen) {
	c, err := f.open(ctx, from, target)
	if err != nil {
		seen.note("", err)
		pause(ctx, f.wait)
		return
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	f.attack(ctx, c, target, seen)
}

// pace returns a function that waits for the next turn. Turns that nobody took are
// not made up for.
func (f Flood) pace(ctx context.Context) (wait func()) {
	if f.PerSecond == 0 {
		return func() {}
	}
	var mu sync.Mutex
	next := time.Now()
	return func() {
		mu.Lock()
		turn := next
		if now := time.Now(); turn.Before(now.Add(-100 * time.Millisecond)) {
			turn = now
		}
		next = turn.Add(time.Second / time.Duration(f.PerSecond))
		mu.Unlock()
		if ahead := time.Until(turn); ahead > 0 {
			pause(ctx, ahead)
		}
	}
}

// attacker is the n-th address that a flood comes from, each in another /24.
func attacker(flood, n int) string { return fmt.Sprintf("127.%d.%d.66", 64+flood, n%250) }

// Floods are the attacks of this package.
func Floods() []Flood {
	list := []Flood{
		{ID: "ABU-005", Name: "5000 connections/s, one address", Clients: 16, Addresses: 1, PerSecond: 5000, open: arrive, wait: 10 * time.Millisecond, attack: connect},
		{ID: "ABU-005", Name: "5000 connections/s, many addresses", Clients: 16, Addresses: 250, PerSecond: 5000, open: arrive, wait: 10 * time.Millisecond, attack: connect},
		{ID: "ABU-007", Name: "half-open TLS, one address", Clients: 200, Addresses: 1, open: beginTLS, wait: soon, attack: untilEnd},
		{ID: "ABU-007", Name: "half-open TLS, many addresses", Clients: 800, Addresses: 250, open: beginTLS, wait: soon, attack: untilEnd},
		{ID: "ABU-001", Name: "guessed recipients", Clients: 20, Addresses: 1, open: greetMX, wait: soon, attack: guessRecipients},
		{ID: "ABU-001", Name: "guessed recipients, many addresses", Clients: 20, Addresses: 250, open: greetMX, wait: soon, attack: guessRecipients},
		{ID: "ABU-012", Name: "guessed passwords", Clients: 20, Addresses: 1, open: greetSubmission, wait: soon, attack: guessPasswords},
		{ID: "ABU-012", Name: "guessed passwords, many addresses", Clients: 20, Addresses: 250, open: greetSubmission, wait: soon, attack: guessPasswords},
		{ID: "SMTP-018", Name: "endless lines", Clients: 10, Addresses: 1, open: greetMX, wait: soon, attack: endlessLine},
		{ID: "SMTP-019", Name: "data that trickles", Clients: 300, Addresses: 20, open: beginData, wait: time.Second, attack: trickle},
		{ID: "SMTP-025", Name: "letters above the limit, DATA", Clients: 4, Addresses: 1, open: beginData, wait: soon, attack: tooLarge},
		{ID: "SMTP-026", Name: "letters above the limit, BDAT", Clients: 4, Addresses: 1, open: greetMX, wait: soon, attack: tooLargeChunks},
		{ID: "SMTP-030", Name: "3000 recipients", Clients: 4, Addresses: 1, open: greetMX, wait: soon, attack: manyRecipients},
	}
	for n := range list {
		list[n].number = n + 1
	}
	return list
}

// soon is when a client that was not let in tries again.
const soon = 100 * time.Millisecond

// pause is how long an attacker waits who was not let in: a flood is to cost the
// server, not the machine that it shares with us.
func pause(ctx context.Context, wait time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

// connect comes, reads what it is given, and goes.
func connect(ctx context.Context, c *client, target Target, seen *Seen) {
	seen.note(c.say(""))
}

// beginTLS asks for TLS, on every second connection from the first byte.
func beginTLS(ctx context.Context, from string, target Target) (*client, error) {
	if target.Submissions != "" && rand.IntN(2) == 0 {
		return dial(ctx, from, target.Submissions)
	}
	c, err := greetMX(ctx, from, target)
	if err == nil {
		_, err = c.want("STARTTLS\r\n", "220")
	}
	return c.orNone(err)
}

// untilEnd says nothing, and reads until the server hangs up or the flood ends.
func untilEnd(_ context.Context, c *client, _ Target, _ *Seen) {
	c.SetDeadline(time.Now().Add(10 * patience))
	io.Copy(io.Discard, c.r) //nolint:errcheck // how it ends says nothing
}

// guessRecipients tries names until it is thrown out.
func guessRecipients(ctx context.Context, c *client, target Target, seen *Seen) {
	_, domain, _ := strings.Cut(target.Account, "@")
	reply, err := c.say("MAIL FROM:<guesser@example.net>\r\n")
	for err == nil && !strings.HasPrefix(reply, "421") {
		reply, err = c.say(fmt.Sprintf("RCPT TO:<guess%d@%s>\r\n", rand.Uint32(), domain))
		seen.note(reply, err)
	}
}

// guessPasswords tries passwords, of the account and of nobody, until it is thrown
// out.
func guessPasswords(ctx context.Context, c *client, target Target, seen *Seen) {
	var err error
	for reply := ""; err == nil && !strings.HasPrefix(reply, "421"); {
		user := target.Account
		if rand.IntN(2) == 0 {
			user = "nobody-" + user
		}
		plain := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "\x00%s\x00guess%d", user, rand.Uint32()))
		reply, err = c.say("AUTH PLAIN " + plain + "\r\n")
		seen.note(reply, err)
	}
}

// endlessLine sends a command that never ends.
func endlessLine(ctx context.Context, c *client, target Target, seen *Seen) {
	c.SetDeadline(time.Now().Add(patience))
	for text := []byte(strings.Repeat("x", 64<<10)); ; {
		if _, err := c.Write(text); err != nil {
			break
		}
	}
	seen.note(c.say(""))
}

// trickle sends a byte of a letter a second.
func trickle(ctx context.Context, c *client, target Target, seen *Seen) {
	for ctx.Err() == nil {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
		pause(ctx, time.Second)
	}
}

// beginData goes as far as the answer to DATA.
func beginData(ctx context.Context, from string, target Target) (*client, error) {
	c, err := greetMX(ctx, from, target)
	for _, step := range [][2]string{{"MAIL FROM:<bob@example.net>", "250"}, {"RCPT TO:<" + target.Account + ">", "250"}, {"DATA", "354"}} {
		if err == nil {
			_, err = c.want(step[0]+"\r\n", step[1])
		}
	}
	return c.orNone(err)
}

// line is one of the letters without end.
var line = strings.Repeat("x", 998) + "\r\n"

// largeLetter is above any limit that servers have by default.
const largeLetter = 60 << 20

// bandwidth is what one client of large letters sends at most, in bytes a second:
// four of them fill a gigabit line.
const bandwidth = 30 << 20

// throttle waits until so many bytes may have been sent.
func throttle(ctx context.Context, start time.Time, sent int) {
	due := time.Duration(float64(sent) / bandwidth * float64(time.Second))
	if ahead := due - time.Since(start); ahead > 0 {
		pause(ctx, ahead)
	}
}

// tooLarge sends a letter above the limit and hears what becomes of it.
func tooLarge(ctx context.Context, c *client, target Target, seen *Seen) {
	block := []byte(strings.Repeat(line, 64))
	c.SetDeadline(time.Now().Add(patience))
	start := time.Now()
	for sent := 0; sent < largeLetter; sent += len(block) {
		throttle(ctx, start, sent)
		if _, err := c.Write(block); err != nil {
			seen.note("", err)
			return
		}
	}
	seen.note(c.say(".\r\n"))
}

// tooLargeChunks does the same in chunks of a megabyte.
func tooLargeChunks(ctx context.Context, c *client, target Target, seen *Seen) {
	_, err := c.want("MAIL FROM:<bob@example.net>\r\n", "250")
	if err == nil {
		_, err = c.want("RCPT TO:<"+target.Account+">\r\n", "250")
	}
	chunk := fmt.Sprintf("BDAT %d\r\n%s", 1000*1024, strings.Repeat(line, 1024))
	reply, start := "", time.Now()
	for sent := 0; sent < largeLetter && err == nil; sent += len(chunk) {
		throttle(ctx, start, sent)
		if reply, err = c.want(chunk, "250"); err != nil && reply != "" {
			seen.note(reply, nil)
			return
		}
	}
	seen.note(reply, err)
}

// manyRecipients names 3000, pipelined by hundreds.
func manyRecipients(ctx context.Context, c *client, target Target, seen *Seen) {
	_, err := c.want("MAIL FROM:<bob@example.net>\r\n", "250")
	for n := 0; n < 3000 && err == nil; n += 100 {
		local, domain, _ := strings.Cut(target.Account, "@")
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Write([]byte(strings.Repeat("RCPT TO:<"+local+"@"+domain+">\r\n", 100)))
		for range 100 {
			if err != nil {
				break
			}
			var reply string
			reply, err = c.say("")
			seen.note(reply, err)
		}
	}
}
