package spamd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

func read(text string) (Answer, error) { return readAnswer(bufio.NewReader(strings.NewReader(text))) }

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SPAMD/1.1 0 EX_OK\r\nContent-length: 12\r\nSpam: True ; 1000.0 / 5.0\r\n\r\nGTUBE,A_B\r\n": "{true 1000 5 [GTUBE A_B]}",
		"SPAMD/1.5 0 EX_OK\nspam: No ; -1.2 / 5\n\n":                                                "{false -1.2 5 []}",
		"SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0 / 5\r\n\r\nnone":                                      "{false 0 5 []}",
		"SPAMD/1.1 0 EX_OK\r\nSpam: Yes ; 6 / 5\r\n\r\nA\r\nX: \xffB":                               "{true 6 5 [A??X: ?B]}",
	} {
		if a, err := read(text); err != nil || fmt.Sprint(a) != want {
			t.Errorf("%q: %v, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "SPAMD/1.1 0 EX_OK\r\n", "SPAMD/1.1 0 EX_OK\r\n\r\nGTUBE", "HTTP/1.1 200 OK\r\n\r\n", "SPAMD/1.1 x EX_OK\r\n\r\n", "SPAMD/1.1 0\r\n\r\n",
		"SPAMD/1.1 0 EX_OK\r\nSpam: Maybe ; 1 / 5\r\n\r\n", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; NaN / 5\r\n\r\n", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1\r\n\r\n",
		"SPAMD/1.1 0 EX_OK\r\nSpam: True ; inf / 5\r\n\r\n", "SPAMD/1.1 0 EX_OK\r\n" + strings.Repeat("X: y\r\n", 100), "SPAMD/1.1 0 EX_OK\r\n" + strings.Repeat("x", lineMost+1)} {
		if a, err := read(text); err == nil {
			t.Errorf("%.40q is no answer, and gives %v", text, a)
		}
	}
	var refused *Refused
	if _, err := read("SPAMD/1.0 79 Timeout: (30 second timeout)\r\n"); !errors.As(err, &refused) || refused.Code != 79 {
		t.Error(err)
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1000.0 / 5.0\r\n\r\nGTUBE,A_B\r\n")
	f.Add("SPAMD/1.5 0 PONG\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := read(text)
		if a.Score-a.Score != 0 || err != nil && len(a.Tests) > 0 {
			t.Fatalf("%v, %v", a, err)
		}
		for _, name := range a.Tests {
			if len(name) > nameMost || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("%q", name)
			}
		}
	})
}

func TestReadAnswerDoubling(t *testing.T) {
	doubling.Check(t, "an answer", 2000, func(n int) func() {
		text := "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 5\r\n\r\n" + strings.Repeat("A,B ,", n)
		return func() { read(text) }
	})
}

// double is a spamd that reads to the end and says what a test wants.
func double(t *testing.T, say func(question string) string) (Config, context.Context) {
	t.Helper()
	c := Config{Network: "unix", Address: filepath.Join(t.TempDir(), "s"), User: "an na\r\n"}
	l, err := net.Listen(c.Network, c.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(nc)
			io.WriteString(nc, say(string(text)))
			nc.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return c, ctx
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c, ctx := double(t, func(question string) string {
		switch question {
		case "SYMBOLS SPAMC/1.5\r\nContent-length: 10\r\nUser: an_na__\r\n\r\nthe letter":
			return "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6 / 5\r\n\r\nA"
		case "PING SPAMC/1.5\r\n\r\n":
			return "SPAMD/1.5 0 PONG\r\n"
		}
		return fmt.Sprintf("SPAMD/1.1 76 %q\r\n", question)
	})
	if a, err := c.Check(ctx, strings.NewReader("the letter and more"), 10); err != nil || a.Score != 6 {
		t.Errorf("%v, %v", a, err)
	}
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	if _, err := c.Check(ctx, strings.NewReader("short"), 10); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a letter: %v", err)
	}
}

// FLT-018: one that hangs is left when the context ends.
func TestCheckEnds(t *testing.T) {
	t.Parallel()
	c := Config{Network: "unix", Address: filepath.Join(t.TempDir(), "s")}
	l, err := net.Listen(c.Network, c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Check(ctx, strings.NewReader("x"), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
