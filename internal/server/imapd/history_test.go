package imapd

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// model is what a client may believe of a mailbox: the UID of each message
// number, 0 where it was not told yet. Each line that it hears is checked
// against RFC 9051 §7.5.1 and §2.3.1 (ATTACKS IMAP-017).
type model struct {
	*client
	name string
	uids []uint32
	n    int // commands so far
	err  string
}

var (
	existsLine  = regexp.MustCompile(`^\* (\d+) EXISTS$`)
	expungeLine = regexp.MustCompile(`^\* (\d+) EXPUNGE$`)
	fetchLine   = regexp.MustCompile(`^\* (\d+) FETCH \(UID (\d+) `)
)

func (m *model) fail(format string, args ...any) {
	if m.err == "" {
		m.err = m.name + ": " + fmt.Sprintf(format, args...)
	}
}

// command sends one and hears the answer.
func (m *model) command(text string) []string {
	m.n++
	tag := fmt.Sprintf("%s%d", m.name, m.n)
	m.send(tag + " " + text + "\r\n")
	lines := m.until(tag)
	word, _, _ := strings.Cut(text, " ")
	for _, l := range lines {
		m.hear(l, word)
	}
	if last := lines[len(lines)-1]; strings.HasPrefix(last, tag+" BAD") || last == "EOF" {
		m.fail("%s: %s", text, last)
	}
	return lines
}

func (m *model) hear(line, word string) {
	if f := existsLine.FindStringSubmatch(line); f != nil {
		n, _ := strconv.Atoi(f[1])
		if n < len(m.uids) {
			m.fail("%d EXISTS after %d", n, len(m.uids))
		}
		m.uids = append(m.uids, make([]uint32, max(0, n-len(m.uids)))...)
	}
	if f := expungeLine.FindStringSubmatch(line); f != nil {
		n, _ := strconv.Atoi(f[1])
		if word == "FETCH" || word == "STORE" || word == "SEARCH" || n > len(m.uids) {
			m.fail("%q during %s, with %d messages", line, word, len(m.uids))
			return
		}
		m.uids = slices.Delete(m.uids, n-1, n)
	}
	if f := fetchLine.FindStringSubmatch(line); f != nil {
		n, _ := strconv.Atoi(f[1])
		uid, _ := strconv.ParseUint(f[2], 10, 32)
		m.learn(n, uint32(uid))
	}
}

// learn checks that a number means the same message as before, and that UIDs
// rise.
func (m *model) learn(n int, uid uint32) {
	if n < 1 || n > len(m.uids) || m.uids[n-1] != 0 && m.uids[n-1] != uid {
		m.fail("message %d is UID %d now; known are %v", n, uid, m.uids)
		return
	}
	m.uids[n-1] = uid
	last := uint32(0)
	for _, u := range m.uids {
		if u != 0 && u <= last {
			m.fail("UIDs don't rise: %v", m.uids)
		}
		last = max(last, u)
	}
}

func (m *model) open() {
	m.uids = nil
	m.command("SELECT INBOX")
}

// step does something at random.
func (m *model) step(rng *rand.Rand) {
	seq := 1
	if len(m.uids) > 0 {
		seq = 1 + rng.IntN(len(m.uids))
	}
	some := fmt.Sprintf("%d:%d", seq, max(seq, min(len(m.uids), seq+rng.IntN(3))))
	if len(m.uids) == 0 {
		some = "*"
	}
	switch rng.IntN(14) {
	case 0, 1, 2:
		m.command("APPEND INBOX {8+}\r\na: b\r\n\r\n")
	case 3:
		m.command("STORE " + some + " +FLAGS (\\Deleted)")
	case 4:
		m.command("UID STORE " + strconv.Itoa(1+rng.IntN(300)) + ":* FLAGS (\\Seen k" + strconv.Itoa(rng.IntN(4)) + ")")
	case 5:
		m.command("EXPUNGE")
	case 6, 7:
		m.command("FETCH " + some + " (UID FLAGS)")
	case 8:
		m.command("UID FETCH 1:* FLAGS")
	case 9:
		m.command("SEARCH NOT DELETED")
	case 10:
		m.command("NOOP")
	case 11:
		m.command("COPY " + some + " INBOX")
	case 12:
		m.command("MOVE " + some + " Archive")
	default:
		m.idle()
	}
}

func (m *model) idle() {
	m.n++
	tag := fmt.Sprintf("%s%d", m.name, m.n)
	m.send(tag + " IDLE\r\n")
	for _, l := range m.until(tag) {
		m.hear(l, "IDLE")
	}
	m.send("DONE\r\n")
	for _, l := range m.until(tag) {
		m.hear(l, "IDLE")
	}
}

// TestHistories plays random histories of several sessions on one mailbox.
func TestHistories(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for _, together := range []bool{false, true} {
		t.Run(fmt.Sprintf("IMAP-017 together=%v", together), func(t *testing.T) {
			t.Logf("seed %d", seed)
			h := open(t, nil)
			var ms []*model
			for i := range 4 {
				m := &model{client: h.user(t), name: string(rune('a' + i))}
				m.open()
				ms = append(ms, m)
			}
			if together {
				var wg sync.WaitGroup
				for i, m := range ms {
					wg.Go(func() { m.steps(rand.New(rand.NewPCG(seed, uint64(i))), 60) })
				}
				wg.Wait()
			} else {
				rng := rand.New(rand.NewPCG(seed, 99))
				for range 250 {
					ms[rng.IntN(len(ms))].step(rng)
				}
			}
			agree(t, ms)
		})
	}
}

func (m *model) steps(rng *rand.Rand, n int) {
	for range n {
		m.step(rng)
	}
}

// withoutRecent takes the flag out of lists of flags, with the blank beside it: which
// session has it is chance.
func withoutRecent(text string) string {
	return strings.NewReplacer(` \Recent`, "", `\Recent `, "", `\Recent`, "").Replace(text)
}

// agree: at the end all see the same, and so does who comes now.
func agree(t *testing.T, ms []*model) {
	t.Helper()
	var want string
	for i, m := range ms {
		m.command("NOOP")
		lines := m.command("UID FETCH 1:* (FLAGS)")
		if m.err != "" {
			t.Error(m.err)
		}
		got := withoutRecent(strings.Join(lines[:len(lines)-1], "\n"))
		if i == 0 {
			want = got
		} else if got != want {
			t.Errorf("%s sees\n%s\na sees\n%s", m.name, got, want)
		}
		if slices.Contains(m.uids, 0) {
			t.Errorf("%s: %v", m.name, m.uids)
		}
	}
}
