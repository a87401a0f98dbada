package clamav

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"stream: OK": "", "stream: Eicar-Test-Signature FOUND": "Eicar-Test-Signature", "stream: Win.Test.EICAR_HDB-1 FOUND": "Win.Test.EICAR_HDB-1",
		"stream: OK FOUND": "OK", "stream: a b FOUND": "a b", "stream: évil\r\nX-Spam: no FOUND": "?vil??X-Spam: no",
		"stream: " + strings.Repeat("x", 300) + " FOUND": strings.Repeat("x", 200),
	} {
		if a, err := parse([]byte(text)); err != nil || a.Name != want {
			t.Errorf("%q: %q, %v", text, a.Name, err)
		}
	}
	for _, text := range []string{"", "OK", "stream: ", "stream:OK", "stream: OK ", "stream: ok", "stream:  FOUND", "stream: FOUND", "FOUND", "PONG", "stream: a FOUND x", "fd[1]: OK"} {
		if a, err := parse([]byte(text)); err == nil {
			t.Errorf("%q is no answer, and gives %+v", text, a)
		}
	}
	if _, err := parse([]byte("INSTREAM size limit exceeded. ERROR")); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	var refused *Refused
	if _, err := parse([]byte("stream: Can't allocate memory ERROR")); !errors.As(err, &refused) || refused.Text != "stream: Can't allocate memory" {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"stream: OK", "stream: Eicar FOUND", "INSTREAM size limit exceeded. ERROR", "stream: \xff\n FOUND", "UNKNOWN COMMAND"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parse(text)
		if err != nil && a.Name != "" || len(a.Name) > nameMost || strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q: %+v, %v", text, a, err)
		}
		if err == nil && a.Name == "" && string(text) != "stream: OK" {
			t.Fatalf("%q is taken for clean", text)
		}
	})
}

func TestParseDoubling(t *testing.T) {
	doubling.Check(t, "an answer", 2000, func(n int) func() {
		text := []byte("stream: " + strings.Repeat("x y ", n) + " FOUND")
		return func() { parse(text) }
	})
}

// clamd is one that reads as the real one does, with a bound, and says what a test wants.
func clamd(t *testing.T, most int, say func(letter []byte) string) Config {
	t.Helper()
	c := Config{"unix", filepath.Join(t.TempDir(), "s")}
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
			go func() {
				defer nc.Close()
				letter, err := readStream(nc, most)
				if err != nil {
					io.WriteString(nc, "INSTREAM size limit exceeded. ERROR\x00")
					return
				}
				io.WriteString(nc, say(letter))
			}()
		}
	}()
	return c
}

func readStream(nc net.Conn, most int) (letter []byte, err error) {
	command := ""
	for b := make([]byte, 1); !strings.HasSuffix(command, "\x00"); command += string(b) {
		if _, err := io.ReadFull(nc, b); err != nil {
			return nil, err
		}
	}
	if command != "zINSTREAM\x00" {
		return nil, nil // another question
	}
	var length [4]byte
	for {
		if _, err := io.ReadFull(nc, length[:]); err != nil {
			return nil, err
		}
		n := int(binary.BigEndian.Uint32(length[:]))
		if n == 0 {
			return letter, nil
		}
		if len(letter)+n > most {
			return nil, io.ErrShortBuffer
		}
		chunk := make([]byte, n)
		if _, err := io.ReadFull(nc, chunk); err != nil {
			return nil, err
		}
		letter = append(letter, chunk...)
	}
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestScan(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 7} {
		want := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		c := clamd(t, 1<<20, func(got []byte) string {
			if !bytes.Equal(got, want) {
				return "stream: it came otherwise ERROR\x00"
			}
			return "stream: Eicar FOUND\x00"
		})
		if a, err := c.Scan(patient(t), bytes.NewReader(want)); err != nil || a.Name != "Eicar" {
			t.Errorf("%d bytes: %+v, %v", size, a, err)
		}
	}
	c := clamd(t, 1000, nil)
	if _, err := c.Scan(patient(t), io.LimitReader(zeros{}, 50<<20)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("above StreamMaxLength: %v", err)
	}
	for _, text := range []string{"", "stream: OK", "stream: OK\n", strings.Repeat("x", answerMost+10)} {
		c := clamd(t, 1000, func([]byte) string { return text })
		if a, err := c.Scan(patient(t), strings.NewReader("x")); err == nil {
			t.Errorf("%.20q is no answer, and gives %+v", text, a)
		}
	}
	broken := errors.New("the disk is broken")
	if _, err := clamd(t, 1000, func([]byte) string { return "stream: OK\x00" }).Scan(patient(t), io.MultiReader(strings.NewReader("x"), failing{broken})); err != broken {
		t.Errorf("half a letter was scanned: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FLT-018: one that hangs, or reads nothing, is left when the context ends.
func TestScanEnds(t *testing.T) {
	t.Parallel()
	c := Config{"unix", filepath.Join(t.TempDir(), "s")}
	l, err := net.Listen(c.Network, c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, letter := range []io.Reader{strings.NewReader("short"), io.LimitReader(zeros{}, 50<<20)} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := c.Scan(ctx, letter); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
	}
	if err := (Config{"unix", c.Address + "x"}).Ping(patient(t)); err == nil {
		t.Error("nobody is there")
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	answer := func(text string) Config { return clamd(t, 0, func([]byte) string { return text }) }
	if err := answer("PONG\x00").Ping(patient(t)); err != nil {
		t.Error(err)
	}
	if err := answer("PONG?\x00").Ping(patient(t)); err == nil {
		t.Error("that is no PONG")
	}
	if v, err := answer("ClamAV 1.4.3/27500\x00").Version(patient(t)); err != nil || v != "ClamAV 1.4.3/27500" {
		t.Error(v, err)
	}
	if _, err := answer("UNKNOWN COMMAND\x00").Version(patient(t)); err == nil {
		t.Error("that is no version")
	}
}
