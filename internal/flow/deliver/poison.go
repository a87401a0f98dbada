package deliver

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// crashesMax is how many times in a row a message may make this program fail before it
// is set aside (INV-22).
const crashesMax = 3

// internalError is the reason of an attempt that failed by a fault of this program. How
// many there were in a row stands behind it, and so in the queue, where it outlives a
// restart. What ends the whole process (a fatal error of the runtime, no memory left) is
// not counted: that would take a write to the disk before each attempt.
const internalError = "internal error; see the log"

// crashed are the results of an attempt in which this program failed. The third in a row
// holds the message: it waits for a person, and the others go on.
func (a *attempt) crashed() []result {
	n := 1
	for _, r := range a.item.Recipients {
		n = max(n, crashes(r.LastReply)+1)
	}
	if n < crashesMax {
		return a.all(ours("internal error"), fmt.Sprintf("%s (%d of %d)", internalError, n, crashesMax))
	}
	return a.aside(ours("internal error"), fmt.Sprintf("held: delivering it made this program fail %d times in a row; see the log", n))
}

// crashes reads how many there were from the reason that crashed wrote.
func crashes(reason string) int {
	rest, ok := strings.CutPrefix(reason, internalError+" (")
	if !ok {
		return 0
	}
	count, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.Atoi(count)
	return n
}

// setAside are the results of an attempt whose transport holds mail.
func (a *attempt) setAside(text string) []result {
	return a.aside(smtp.NewReply(450, "4.7.0", text), text)
}

// unreadable are the results of an attempt for which our own copy of the message can't
// be read. What the disk has damaged waits for a person: trying it again is of no use.
func (a *attempt) unreadable(err error) []result {
	reply := ours("message can't be read")
	if errors.Is(err, queue.ErrDamaged) {
		return a.aside(reply, "held: "+err.Error())
	}
	return a.all(reply, err.Error())
}

// aside are results that hold all of an attempt on purpose.
func (a *attempt) aside(reply *smtp.Reply, text string) []result {
	out := a.all(reply, text)
	for i := range out {
		out[i].kind, out[i].aside = queue.Undeliverable, true
	}
	return out
}
