package imapd

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/mail/imap"
)

// memory is what a client that resynchronises keeps of a mailbox: the flags of each
// UID, and the state that this is.
type memory struct {
	*client
	rng      *rand.Rand
	flags    map[uint32]string
	validity string
	modSeq   uint64 // of the last HIGHESTMODSEQ
	uidNext  string
	n        int
}

var (
	vanishedLine = regexp.MustCompile(`^\* VANISHED (?:\(EARLIER\) )?([\d:,]+)$`)
	toldFlags    = regexp.MustCompile(`^\* (\d+) (?:UID)?FETCH \((?:UID (\d+) )?FLAGS \(([^)]*)\)(?: MODSEQ \((\d+)\))?\)$`)
	silentLine   = regexp.MustCompile(`^\* \d+ FETCH \(UID (\d+) MODSEQ \(\d+\)\)$`)
	toldModSeq   = regexp.MustCompile(`\[HIGHESTMODSEQ (\d+)\]`)
	toldValidity = regexp.MustCompile(`\[UIDVALIDITY (\d+)\]`)
	toldNext     = regexp.MustCompile(`\[UIDNEXT (\d+)\]`)
)

// ranges reads a set of the server's.
func ranges(t testing.TB, text string) imap.Ranges {
	var out imap.SequenceSet
	for part := range strings.SplitSeq(text, ",") {
		from, to, more := strings.Cut(part, ":")
		if !more {
			to = from
		}
		a, err := strconv.ParseUint(from, 10, 32)
		b, err2 := strconv.ParseUint(to, 10, 32)
		if err != nil || err2 != nil || a == 0 || b == 0 {
			t.Fatalf("not a set of numbers: %s", text)
		}
		out = append(out, imap.Range{From: uint32(a), To: uint32(b)})
	}
	return out.Resolve(0)
}

// command sends one and learns from what comes back.
func (m *memory) command(text string) []string {
	m.t.Helper()
	m.n++
	tag := "m" + strconv.Itoa(m.n)
	m.send(tag + " " + text + "\r\n")
	lines := m.until(tag)
	for _, l := range lines {
		m.hear(l)
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, tag+" OK") && !strings.HasPrefix(last, tag+" NO") {
		m.t.Fatalf("%s: %s", text, last)
	}
	return lines
}

func (m *memory) hear(line string) {
	if f := vanishedLine.FindStringSubmatch(line); f != nil {
		gone := ranges(m.t, f[1])
		maps.DeleteFunc(m.flags, func(uid uint32, _ string) bool { return gone.Contains(uid) })
	}
	if f := toldFlags.FindStringSubmatch(line); f != nil && f[2] != "" {
		uid, _ := strconv.ParseUint(f[2], 10, 32)
		m.flags[uint32(uid)] = withoutRecent(f[3])
	}
	if f := toldModSeq.FindStringSubmatch(line); f != nil {
		n, _ := strconv.ParseUint(f[1], 10, 64)
		if n < m.modSeq {
			m.t.Errorf("HIGHESTMODSEQ went from %d to %d", m.modSeq, n)
		}
		m.modSeq = n
	}
	if f := toldValidity.FindStringSubmatch(line); f != nil {
		m.validity = f[1]
	}
	if f := toldNext.FindStringSubmatch(line); f != nil {
		m.uidNext = f[1]
	}
	if f := silentLine.FindStringSubmatch(line); f != nil { // it has no other silent command
		uid, _ := strconv.ParseUint(f[1], 10, 32)
		m.flags[uint32(uid)] = "own"
	}
	if expungeLine.MatchString(line) {
		m.t.Errorf("%s after ENABLE QRESYNC", line)
	}
}

// known is the UIDs that are remembered, ascending.
func (m *memory) known() []uint32 { return slices.Sorted(maps.Keys(m.flags)) }

// comeBack selects the mailbox with what is remembered, in one of the ways that
// RFC 7162 has, and asks for what is new.
func (m *memory) comeBack() {
	known := m.known()
	next := m.uidNext
	state := fmt.Sprintf("%s %d", m.validity, m.modSeq)
	how := m.rng.IntN(4)
	switch {
	case how == 1 && len(known) > 0:
		state += " " + imap.Runs(known).String()
	case how == 2 && len(known) > 0: // every third message number
		// Numbers are known below the UIDNEXT of the SELECT only: of what came later
		// it may have heard of some, and not of those between them.
		next, _ := strconv.ParseUint(next, 10, 32)
		sure, _ := slices.BinarySearch(known, uint32(next))
		var seqs, uids []uint32
		for i := 0; i < sure; i += 3 {
			seqs, uids = append(seqs, uint32(i+1)), append(uids, known[i])
		}
		if sure > 0 {
			state += fmt.Sprintf(" (%s %s)", imap.Runs(seqs), imap.Runs(uids))
		}
	case how == 3:
		since := m.modSeq
		m.command("SELECT INBOX")
		m.command(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)", since))
	}
	if how < 3 {
		m.command("SELECT INBOX (QRESYNC (" + state + "))")
	}
	m.command("UID FETCH " + next + ":* (FLAGS)")
}

// TestResync: a client that comes back and hears of the differences only knows the
// same as one that asks for everything (INV-11).
func TestResync(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Run("IMAP-017 INV-11", func(t *testing.T) {
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 1))
		h := open(t, nil)
		var others []*model
		for i := range 3 {
			o := &model{client: h.user(t), name: string(rune('a' + i))}
			o.open()
			others = append(others, o)
		}
		m := &memory{client: h.user(t), rng: rng, flags: map[uint32]string{}}
		m.command("ENABLE QRESYNC")
		m.command("SELECT INBOX")
		for round := range 40 {
			for range rng.IntN(12) { // while it looks on
				others[rng.IntN(len(others))].step(rng)
				if rng.IntN(4) == 0 {
					m.command(m.something(rng))
				}
			}
			if rng.IntN(2) == 0 {
				m.command("CLOSE")
			} else {
				m.command("UNSELECT")
			}
			for range rng.IntN(15) { // while it is away
				others[rng.IntN(len(others))].step(rng)
			}
			m.comeBack()
			m.same(round)
			if t.Failed() {
				return
			}
		}
	})
}

// something is a command of the client that resynchronises.
func (m *memory) something(rng *rand.Rand) string {
	some := fmt.Sprintf("%d:%d", 1+rng.IntN(200), 1+rng.IntN(200))
	return []string{"NOOP", "UID STORE " + some + " +FLAGS (\\Flagged)", "UID STORE " + some + " FLAGS.SILENT (own)", "UID EXPUNGE " + some,
		fmt.Sprintf("UID STORE %s (UNCHANGEDSINCE %d) +FLAGS (\\Answered)", some, m.modSeq), "EXPUNGE", "UID MOVE " + some + " Archive"}[rng.IntN(7)]
}

// same compares what is remembered with what is there.
func (m *memory) same(round int) {
	m.t.Helper()
	remembered := m.flags
	m.flags = map[uint32]string{}
	m.command("UID FETCH 1:* (FLAGS)")
	if !maps.Equal(remembered, m.flags) {
		m.t.Errorf("round %d: remembered\n%v\nthere\n%v", round, remembered, m.flags)
	}
}

// TestHostileResync: numbers that no client has (ATTACKS IMAP-023).
func TestHostileResync(t *testing.T) {
	h := open(t, nil)
	c := h.user(t)
	for range 5 {
		c.do("a APPEND INBOX {8+}\r\na: b\r\n\r\n")
	}
	c.do("a ENABLE QRESYNC")
	c.do("a SELECT INBOX")
	c.do("a UID STORE 2,4 +FLAGS (\\Deleted)")
	c.do("a EXPUNGE")
	validity := regexp.MustCompile(`UIDVALIDITY (\d+)`).FindStringSubmatch(c.do("a STATUS INBOX (UIDVALIDITY)"))[1]
	var many strings.Builder // a list of 60 KB
	for i := range 7000 {
		fmt.Fprintf(&many, ",%d", 2*i+1000001)
	}
	for name, x := range map[string]struct{ state, want string }{
		"MODSEQ 2^63-1":             {"9223372036854775807", "HIGHESTMODSEQ"},
		"MODSEQ 2^63":               {"9223372036854775808", "BAD"},
		"MODSEQ 2^64":               {"18446744073709551616", "BAD"},
		"MODSEQ 0":                  {"0", "* VANISHED (EARLIER) 2,4\n"},
		"UIDs of others":            {"1 4000000000:4294967295", "HIGHESTMODSEQ"},
		"all UIDs that there are":   {"1 1:4294967295", "* VANISHED (EARLIER) 2,4\n"},
		"60 KB of UIDs":             {"1 2,4" + many.String(), "* VANISHED (EARLIER) 2,4\n"},
		"all pairs":                 {"1 1:4294967295 (1:4294967295 1:4294967295)", "* VANISHED (EARLIER) 2,4\n"},
		"pairs that are half true":  {"1 1:5 (1:2 1:2)", "* VANISHED (EARLIER) 2,4\n"},
		"pairs of different sizes":  {"1 1:5 (1:3 1:2)", "BAD"},
		"pairs that hide what went": {"1 1:5 (1:3 1,3,5)", "* VANISHED (EARLIER) 2,4\n"},
	} {
		t.Run("IMAP-023 "+name, func(t *testing.T) {
			c.want("b SELECT INBOX (QRESYNC ("+validity+" "+x.state+"))", x.want)
		})
	}
	c.want("c UID FETCH 1:4294967295 (FLAGS) (CHANGEDSINCE 9223372036854775807 VANISHED)", "c OK")
	c.want("c UID FETCH 1:4294967295 (FLAGS) (CHANGEDSINCE 1 VANISHED)", "* VANISHED (EARLIER) 2,4\n")
	c.want("c UID STORE 1:4294967295 (UNCHANGEDSINCE 9223372036854775807) +FLAGS (x)", "c OK STORE")
}

// TestUIDOnly: no message number is said or taken (RFC 9586).
func TestUIDOnly(t *testing.T) {
	h := open(t, nil)
	c, other := h.user(t), h.user(t)
	for range 3 {
		c.do("a APPEND INBOX {8+}\r\na: b\r\n\r\n")
	}
	c.want("b ENABLE UIDONLY", "* ENABLED UIDONLY")
	if got := c.do("c SELECT INBOX"); strings.Contains(got, "UNSEEN") {
		t.Error(got)
	}
	for _, command := range []string{"FETCH 1 FLAGS", "STORE 1 +FLAGS (x)", "SEARCH ALL", "COPY 1 Trash", "MOVE 1 Trash", "UID SEARCH 1:2",
		"REPLACE 1 INBOX {8+}\r\na: b\r\n\r\n"} {
		c.want("d "+command, "d BAD [UIDREQUIRED]")
	}
	c.want("e UID FETCH 1:2 (FLAGS)", "* 2 UIDFETCH (")
	other.do("f SELECT INBOX")
	other.do("f UID STORE 2 +FLAGS (\\Deleted)")
	other.do("f EXPUNGE")
	other.do("f UID STORE 3 +FLAGS (\\Flagged)")
	got := c.want("g NOOP", "* VANISHED 2\n")
	if !strings.Contains(got, "* 3 UIDFETCH (UID 3 FLAGS (\\Flagged") {
		t.Error(got)
	}
	c.want("h UID STORE 1 +FLAGS (x)", "* 1 UIDFETCH (UID 1 FLAGS (")
	c.want("i UID REPLACE 1 INBOX {8+}\r\na: c\r\n\r\n", "* VANISHED 1\n")
}

// TestEightSessions plays random histories of eight sessions, of which some follow
// MODSEQs and some are told UIDs of what goes.
func TestEightSessions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Run("IMAP-017 eight sessions", func(t *testing.T) {
		t.Logf("seed %d", seed)
		h := open(t, nil)
		var ms []*model
		var remembering []*memory
		for i := range 8 {
			if i%4 == 3 {
				m := &memory{client: h.user(t), rng: rand.New(rand.NewPCG(seed, uint64(i))), flags: map[uint32]string{}}
				m.command("ENABLE QRESYNC")
				m.command("SELECT INBOX")
				remembering = append(remembering, m)
				continue
			}
			m := &model{client: h.user(t), name: string(rune('a' + i))}
			if i%4 == 2 {
				m.command("ENABLE CONDSTORE")
			}
			m.open()
			ms = append(ms, m)
		}
		var wg sync.WaitGroup
		for i, m := range ms {
			wg.Go(func() { m.steps(rand.New(rand.NewPCG(seed, 100+uint64(i))), 40) })
		}
		for _, m := range remembering {
			wg.Go(func() {
				for range 15 {
					m.command(m.something(m.rng))
					if m.rng.IntN(3) == 0 {
						m.command("UNSELECT")
						m.comeBack()
					}
				}
			})
		}
		wg.Wait()
		agree(t, ms)
		for _, m := range remembering {
			m.command("UNSELECT")
			m.comeBack()
			m.same(0)
		}
	})
}
