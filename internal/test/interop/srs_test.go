package interop

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/srs"
)

// postsrsd is a private instance of Debian's, and its two tables.
type postsrsd struct {
	t                testing.TB
	forward, reverse int
}

func newPostsrsd(t testing.TB, domain, secrets string, args ...string) *postsrsd {
	t.Helper()
	p := &postsrsd{t: t, forward: FreePort(t), reverse: FreePort(t)}
	file := WriteFile(t, filepath.Join(Room(t), "secret"), secrets)
	process := Spawn(t, nil, Need(t, "postsrsd"), append([]string{"-4", "-l127.0.0.1", "-s" + file, "-d" + domain,
		fmt.Sprintf("-f%d", p.forward), fmt.Sprintf("-r%d", p.reverse)}, args...)...)
	t.Cleanup(process.Kill)
	for _, port := range []int{p.forward, p.reverse} {
		WaitListening(t, "tcp", Loopback(port), process)
	}
	return p
}

// ask puts a question as Postfix's tcp_table(5) does.
func (p *postsrsd) ask(port int, key string) string {
	p.t.Helper()
	c, err := net.DialTimeout("tcp", Loopback(port), LongWait)
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(LongWait))
	fmt.Fprintf(c, "get %s\n", key)
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "200 "))
}

// Row 207, both ways: what postsrsd rewrote we reverse, and what we rewrote it reverses,
// with one of two secrets, with other separators, and after two hops.
func TestSRSOfPostsrsd(t *testing.T) {
	t.Parallel()
	p := newPostsrsd(t, "srs.example.net", "first secret\nsecond\n")
	plus := newPostsrsd(t, "srs.example.net", "first secret\n", "-a+")
	ours := &srs.Scheme{Domain: "srs.example.net", Secrets: [][]byte{[]byte("second"), []byte("first secret")}, Hash: srs.DefaultHash, Days: srs.DefaultDays}
	for _, in := range []string{
		"alice@example.org", "Alice.B+c=d@Example.ORG", "SRS0=abcd=TT=example.org=bob@other.example", "SRS0+abcd=TT=example.org=bob@other.example",
		"SRS1=abcd=first.example==hash=TT=example.org=bob@second.example", "srs0=x@other.example", "a@b.example",
	} {
		from, err := address.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		back := from.String()
		if srs.Is(from) { // one hop is left out
			made, err := ours.Forward(from, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			first, err := ours.Reverse(made, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			back = first.String()
		}
		for _, theirs := range []*postsrsd{p, plus} {
			text := theirs.ask(theirs.forward, in)
			made, err := address.Parse(text)
			if err != nil {
				t.Errorf("%s: postsrsd said %q", in, text)
				continue
			}
			if got, err := ours.Reverse(made, time.Now()); err != nil || got.Key() != strings.ToLower(back) {
				t.Errorf("%s: postsrsd made %s, we read %s, %v; want %s", in, text, got, err, back)
			}
		}
		made, err := ours.Forward(from, time.Now())
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		for _, spelling := range []string{made.String(), made.Key()} {
			if got := p.ask(p.reverse, spelling); !strings.EqualFold(got, back) {
				t.Errorf("%s: we made %s, postsrsd read %q; want %s", in, spelling, got, back)
			}
		}
	}
	forged := "SRS0=abcd=" + "AA" + "=example.org=alice@srs.example.net"
	if got := p.ask(p.reverse, forged); strings.Contains(got, "alice@example.org") {
		t.Errorf("postsrsd took %s", forged)
	}
}
