package authd

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"
	"time"

	"facteur/internal/flow/login"
	"facteur/internal/mail/authline"
	"facteur/internal/mail/sasl"
	"facteur/internal/server/listen"
)

// dialogue is a connection on which Dovecot's protocol is spoken. What arrives is read
// by one goroutine; each exchange has one of its own, since a hash takes time and a
// refusal waits.
type dialogue struct {
	*session
	ctx   context.Context
	tasks sync.WaitGroup

	mu   sync.Mutex
	open map[uint32]chan authline.Line // exchanges, and what their client says
	bad  int
}

// Dovecot serves a connection in Dovecot's protocol. It is a listen.Handler.
func (s *Server) Dovecot(ctx context.Context, c *listen.Conn) {
	if !s.enter(c) {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	d := &dialogue{session: s.session(c), ctx: ctx, open: map[uint32]chan authline.Line{}}
	defer d.tasks.Wait()
	defer cancel()
	if !d.greet() {
		return
	}
	r := bufio.NewReaderSize(c, authline.MaxLine+1)
	for c.Idle(idleTime) {
		text, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		l, err := authline.Parse(strings.TrimSuffix(string(text[:len(text)-1]), "\r"))
		if err != nil || !d.take(l) {
			return
		}
	}
}

// greet says what we speak and which mechanisms there are.
func (d *dialogue) greet() bool {
	cookie := make([]byte, 16)
	rand.Read(cookie) // never fails (crypto/rand)
	lines := []authline.Line{authline.Of("VERSION", "1", "2")}
	for _, m := range d.server.config.Gate.Mechanisms(d.applicant("", "", "").peer) {
		lines = append(lines, authline.Of("MECH", append([]string{m}, properties(m)...)...))
	}
	return d.say(append(lines, authline.Of("SPID", pid()), authline.Of("CUID", strconv.FormatUint(uint64(d.server.count.Load()), 10)),
		authline.Of("COOKIE", hex.EncodeToString(cookie)), authline.Of("DONE"))...)
}

// properties are what Postfix's smtpd_sasl_security_options go by (row 69).
func properties(mechanism string) []string {
	switch {
	case strings.HasPrefix(mechanism, "SCRAM-"):
		return []string{"mutual-auth"}
	case mechanism == sasl.CRAMMD5:
		return []string{"dictionary", "active"}
	case mechanism == sasl.PLAIN, mechanism == sasl.LOGIN:
		return []string{"plaintext"}
	}
	return nil
}

// say writes lines as one.
func (d *dialogue) say(lines ...authline.Line) bool {
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(l.String())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn.SetWriteDeadline(time.Now().Add(writeTime)) //nolint:errcheck // the write tells
	_, err := d.conn.Write([]byte(text.String()))
	return err == nil
}

// take does what a line says; false ends the connection.
func (d *dialogue) take(l authline.Line) bool {
	switch l.Name {
	case "VERSION":
		return l.Field(0) == "1"
	case "CPID":
		return true
	case "AUTH":
		return d.begin(l)
	case "CONT", "CANCEL":
		return d.pass(l)
	}
	d.bad++
	return d.bad <= maxUnknown
}

// begin starts an exchange, if there is room for one more under its number.
func (d *dialogue) begin(l authline.Line) bool {
	id, ok := l.ID()
	d.mu.Lock()
	_, taken := d.open[id]
	full := len(d.open) >= maxExchanges
	said := make(chan authline.Line, 1)
	if ok && !taken && !full {
		d.open[id] = said
	}
	d.mu.Unlock()
	if !ok || taken || full {
		return false
	}
	d.tasks.Go(func() {
		d.answer(id, d.exchange(id, l, said))
	})
	return true
}

// answer forgets the exchange and tells what came of it, in this order: the number is
// free once the client knows.
func (d *dialogue) answer(id uint32, l authline.Line) {
	d.mu.Lock()
	delete(d.open, id)
	d.mu.Unlock()
	if l.Name != "" && !d.say(l) {
		d.conn.Close()
	}
}

// pass gives a line to the exchange that it is for. One that nobody waits for is too
// much.
func (d *dialogue) pass(l authline.Line) bool {
	id, ok := l.ID()
	d.mu.Lock()
	said := d.open[id]
	d.mu.Unlock()
	if !ok || said == nil {
		return l.Name == "CANCEL" // it may cross our answer
	}
	select {
	case said <- l:
		return true
	default:
		return false
	}
}

// exchange is one log-in, and gives its last line.
func (d *dialogue) exchange(id uint32, l authline.Line, said <-chan authline.Line) authline.Line {
	number := strconv.FormatUint(uint64(id), 10)
	service, _ := l.Value("service")
	rip, _ := l.Value("rip")
	lip, _ := l.Value("lip")
	a := d.applicant(service, rip, lip)
	x, r := d.server.config.Gate.Begin(d.ctx, a.peer, l.Field(1))
	if r != nil {
		return refusal(number, r)
	}
	defer x.Close()
	response, err := initial(l)
	for err == nil {
		challenge, done, r := x.Next(response)
		switch {
		case r != nil:
			d.failed(a, x.Mechanism(), r)
			return refusal(number, r)
		case done:
			d.passed(a, x.User(), x.Mechanism())
			return authline.Of("OK", number, "user="+x.Account().Address)
		case !d.say(authline.Of("CONT", number, sasl.Encode(challenge))):
			return authline.Line{}
		}
		response, err = d.response(said)
	}
	r = x.Fail(err)
	d.failed(a, x.Mechanism(), r)
	return refusal(number, r)
}

// initial is the response that came with a request; nil: none. An empty one is there.
func initial(l authline.Line) ([]byte, error) {
	text, ok := l.Value("resp")
	if !ok {
		return nil, nil
	}
	return decode(text)
}

func decode(text string) ([]byte, error) {
	if text == "*" { // a mark of other protocols
		return nil, sasl.ErrSyntax
	}
	return sasl.Decode([]byte(text))
}

// response waits for what the client says next.
func (d *dialogue) response(said <-chan authline.Line) ([]byte, error) {
	late := time.NewTimer(responseTime)
	defer late.Stop()
	select {
	case l := <-said:
		if l.Name == "CANCEL" {
			return nil, sasl.ErrCanceled
		}
		return decode(l.Field(1))
	case <-late.C:
	case <-d.ctx.Done():
	}
	return nil, sasl.ErrCanceled
}

// refusal is the line for one.
func refusal(number string, r *login.Refusal) authline.Line {
	fields := []string{number}
	if r.User != "" {
		fields = append(fields, "user="+r.User)
	}
	switch r.Reason {
	case login.Later, login.Limited, login.Barred:
		fields = append(fields, "temp")
	case login.Proxy:
		fields = append(fields, "authz")
	}
	return authline.Of("FAIL", fields...)
}
