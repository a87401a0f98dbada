package smtpc_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/net/smtpc"
)

// lmtpServer takes one connection on a Unix socket, and answers each line of the
// script's left side with its right side; the dot by dot.
func lmtpServer(t *testing.T, dot string, answers map[string]string) smtpc.Target {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lmtp")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(wait))
		r := bufio.NewReader(nc)
		io.WriteString(nc, "220 store LMTP\r\n")
		for data := false; ; {
			line, err := r.ReadString('\n')
			line = strings.TrimSpace(line)
			switch {
			case err != nil:
				return
			case data && line == ".":
				data = false
				io.WriteString(nc, dot)
			case data:
			case line == "DATA" && answers[line] == "":
				data = true
				io.WriteString(nc, "354 go\r\n")
			case answers[line] != "":
				io.WriteString(nc, answers[line])
			default:
				io.WriteString(nc, "250 ok\r\n")
			}
		}
	}()
	return smtpc.Target{Host: "store.example", Socket: path}
}

// RFC 2033 §4.2: behind the data there is one reply for each recipient that was taken.
func TestLMTP(t *testing.T) {
	cfg := config()
	cfg.LMTP = true
	lhlo := func(more map[string]string) map[string]string {
		all := map[string]string{"LHLO client.example": "250-store\r\n250 PIPELINING\r\n", "EHLO client.example": "500 what\r\n"}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	nobody := map[string]string{"RCPT TO:<b@x.example>": "550 5.1.1 No\r\n"}
	for name, x := range map[string]struct {
		dot     string
		answers map[string]string
		want    []string
	}{
		"each its own":     {"250 2.1.5 a\r\n452 4.2.2 Full\r\n550 5.2.1 c\r\n", nil, []string{"250 end of DATA", "452 end of DATA", "550 end of DATA"}},
		"one not taken":    {"250 2.1.5 a\r\n552 5.2.2 c\r\n", nobody, []string{"250 end of DATA", "550 RCPT TO", "552 end of DATA"}},
		"one reply short":  {"250 2.1.5 a\r\n250 b\r\n", nil, []string{"250 end of DATA", "250 end of DATA", "451 end of DATA!"}},
		"closes in middle": {"250 2.1.5 a\r\n421 4.3.2 Bye\r\n", nil, []string{"250 end of DATA", "421 end of DATA", "421 end of DATA"}},
	} {
		t.Run(name, func(t *testing.T) {
			impatient := cfg
			impatient.Timeouts.DataEnd = brief
			c, err := smtpc.Dial(context.Background(), lmtpServer(t, x.dot, lhlo(x.answers)), impatient)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			expect(t, c.Send(context.Background(), envelope(t, "a@x.example", "b@x.example", "c@x.example"), strings.NewReader(letter)), x.want...)
			if !strings.HasPrefix(c.Peer(), "store.example[/") {
				t.Errorf("peer %s", c.Peer())
			}
			if whole := !strings.Contains(strings.Join(x.want, ""), "!") && !slices.Contains(x.want, "421 end of DATA"); c.Usable() != whole {
				t.Errorf("usable %v", !whole)
			}
		})
	}
	t.Run("no recipient, and 503 for DATA", func(t *testing.T) {
		c, err := smtpc.Dial(context.Background(), lmtpServer(t, "", lhlo(map[string]string{"RCPT TO:<b@x.example>": "550 5.1.1 No\r\n", "DATA": "503 5.5.1 No\r\n"})), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		expect(t, c.Send(context.Background(), envelope(t, "b@x.example"), unread{t}), "550 RCPT TO")
		if !c.Usable() {
			t.Error("the connection is lost")
		}
	})
	t.Run("EHLO is not tried", func(t *testing.T) {
		target := lmtpServer(t, "", map[string]string{"LHLO client.example": "500 What?\r\n"})
		_, err := smtpc.Dial(context.Background(), target, cfg)
		var failure *smtpc.Failure
		if !errors.As(err, &failure) || failure.Reply.Code != 500 {
			t.Errorf("%v", err)
		}
	})
	t.Run("no such socket", func(t *testing.T) {
		if f := fails(t, smtpc.Target{Host: "store.example", Socket: filepath.Join(t.TempDir(), "none")}, cfg); f.Reply.Enhanced != "4.4.1" || !strings.Contains(f.Error(), ": No such file") {
			t.Errorf("%v", f)
		}
	})
}
