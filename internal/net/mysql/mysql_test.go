package mysql

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

// hello is the greeting of MySQL 8, whose users have caching_sha2_password.
func hello(plugin string) []byte {
	b := append([]byte{10}, "8.0.36\x00"...)
	b = append(b, 1, 0, 0, 0)
	b = append(b, "abcdefgh\x00"...)
	b = append(b, 0xff, 0xf7, 45, 2, 0, 0xff, 0xdf, 21)
	b = append(b, make([]byte, 10)...)
	b = append(b, "ijklmnopqrst\x00"...)
	return append(append(b, plugin...), 0)
}

// serve is a server that says these packets, each after a packet of ours but the
// first and what follows remembered, and gives what it read.
func serve(t *testing.T, network string, says ...[]byte) (net.Conn, func() [][]byte) {
	t.Helper()
	at := "127.0.0.1:0"
	if network == "unix" {
		at = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan [][]byte, 1)
	go func() {
		var got [][]byte
		defer func() { heard <- got }()
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		p := packets{rw: c}
		for i, b := range says {
			if i > 0 && !bytes.Equal(says[i-1], remembered) {
				if bytes.Equal(says[i-1], okay) {
					p.next = 0 // a command begins
				}
				in, err := p.read()
				if err != nil {
					return
				}
				got = append(got, bytes.Clone(in))
			}
			if p.write(b) != nil {
				return
			}
		}
		io.Copy(io.Discard, c)
	}()
	c, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close(); l.Close() })
	return c, func() [][]byte { c.Close(); return <-heard }
}

var (
	okay       = []byte{isOK, 0, 0, 2, 0, 0, 0}
	remembered = []byte{isMore, 3}
)

func TestLogIn(t *testing.T) {
	t.Parallel()
	me := Config{User: "u", Password: "secret", Database: "d"}
	another := func(plugin string) []byte {
		return append(append([]byte{isEnd}, plugin+"\x00"...), "01234567890123456789\x00"...)
	}
	for name, c := range map[string]struct {
		network string
		says    [][]byte
		want    string
	}{
		"native":                   {"tcp", [][]byte{hello(nativePassword), okay, okay}, ""},
		"remembered":               {"tcp", [][]byte{hello(cachingPassword), remembered, okay, okay}, ""},
		"full, by the socket":      {"unix", [][]byte{hello(cachingPassword), {isMore, 4}, okay, okay}, ""},
		"full, in clear":           {"tcp", [][]byte{hello(cachingPassword), {isMore, 4}}, "use TLS or the server's socket"},
		"clear, in clear":          {"tcp", [][]byte{hello(nativePassword), another(clearPassword)}, "use TLS or the server's socket"},
		"clear, by the socket":     {"unix", [][]byte{hello(nativePassword), another(clearPassword), okay, okay}, ""},
		"another":                  {"tcp", [][]byte{hello("strange"), another(nativePassword), okay, okay}, ""},
		"unknown":                  {"tcp", [][]byte{hello(nativePassword), another("dialog")}, `"dialog", which is not spoken here`},
		"for ever":                 {"tcp", append([][]byte{hello(nativePassword)}, repeat(another(nativePassword), 10)...), "more than 8 questions"},
		"refused":                  {"tcp", [][]byte{hello(nativePassword), []byte("\xff\x15\x04#28000Access denied")}, "Access denied (error 1045, SQLSTATE 28000)"},
		"too many clients":         {"tcp", [][]byte{[]byte("\xff\x10\x04Too many connections")}, "Too many connections (error 1040)"},
		"another protocol":         {"tcp", [][]byte{[]byte("\x09old")}, "version 9"},
		"cut off":                  {"tcp", [][]byte{hello(nativePassword)[:20]}, "does not keep to MySQL's protocol"},
		"MAP-006 asks for a file":  {"tcp", [][]byte{hello(nativePassword), okay, []byte("\xfb/etc/passwd")}, "asks for a file"},
		"rows where none were due": {"tcp", [][]byte{hello(nativePassword), okay, {1}}, "rows where none were due"},
	} {
		raw, heard := serve(t, c.network, c.says...)
		_, err := Connect(raw, me)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		for _, b := range heard() {
			if c.network == "tcp" && bytes.Contains(b, []byte("secret")) {
				t.Errorf("MAP-010 %s: the password went out in clear", name)
			}
		}
	}
}

func repeat(b []byte, n int) (out [][]byte) {
	for range n {
		out = append(out, b)
	}
	return out
}

// The answers, checked with what other clients make of the same salt.
func TestScrambles(t *testing.T) {
	t.Parallel()
	salt := []byte{10, 47, 74, 111, 75, 73, 34, 48, 88, 76, 114, 74, 37, 13, 3, 80, 82, 2, 23, 21}
	for pass, want := range map[string]string{
		"secret": "f490e76f66d9d86665ce54d98c78d0acfe2fb0b08b423da807144873d30b312c",
		"":       "",
	} {
		if got := hex.EncodeToString(cachingAnswer(pass, salt)); got != want {
			t.Errorf("caching_sha2_password %q: %s", pass, got)
		}
	}
}

// What a hostile server can announce costs nothing but what it sends.
func TestBounds(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"a packet of 16 MB":     "\xff\xff\xff\x00",
		"out of order":          "\x01\x00\x00\x07x",
		"an empty packet":       "\x00\x00\x00\x00",
		"half a packet":         "\x09\x00\x00\x00abc",
		"half a head":           "\x09",
		"a megabyte, announced": "\xff\xff\x0f\x00x",
	} {
		p := packets{rw: struct {
			io.Reader
			io.Writer
		}{strings.NewReader(in), io.Discard}}
		if b, err := p.read(); err == nil || p.buf.Cap() > 4096 {
			t.Errorf("MAP-006 %s: %q, %v, %d bytes", name, b, err, p.buf.Cap())
		}
	}
}

// A row of NULLs is small on the wire only.
func TestRowsAreBounded(t *testing.T) {
	t.Parallel()
	description := []byte("\x03def\x00\x00\x00\x01v\x00\x0c\x2d\x00\xc8\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
	end := []byte{isEnd, 0, 0, 2, 0}
	nulls := append([]byte{isOK}, bytes.Repeat([]byte{0xff}, (maxColumns+9)/8)...)
	answer := [][]byte{{0xfc, 0, 1}}
	answer = append(append(answer, repeat(description, maxColumns)...), end)
	answer = append(append(answer, repeat(nulls, 100)...), end)
	for _, c := range []struct {
		rows int
		size int64
		want error
	}{{100, 1 << 20, nil}, {99, 1 << 20, ErrTooMany}, {1000, 256 << 10, ErrTooMany}} {
		var in bytes.Buffer
		for i, b := range answer {
			in.Write(append([]byte{byte(len(b)), 0, 0, byte(i + 1)}, b...))
		}
		conn := &Conn{packets: packets{rw: struct {
			io.Reader
			io.Writer
		}{&in, io.Discard}}}
		rows, err := (&Statement{conn: conn}).Query(c.rows, c.size)
		if !errors.Is(err, c.want) || c.want == nil && len(rows) != 100 {
			t.Errorf("MAP-006 %d rows, %d bytes: %d rows, %v", c.rows, c.size, len(rows), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(hello(cachingPassword))
	f.Add([]byte("\x03def\x04mail\x01t\x01t\x01v\x01v\x0c\x2d\x00\xc8\x00\x00\x00\xfd\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x03abc\x05"))
	f.Add([]byte("\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		parseGreeting(b)
		refusal(b)
		parseColumn(b)
		for _, kind := range []byte{typeTiny, typeShort, typeLong, typeLongLong, typeFloat, typeDouble, typeNull, typeDate, typeTime, typeDateTime, typeVarString} {
			row, err := parseRow(b, []column{{kind: kind}, {kind: typeVarString}})
			if err != nil && !errors.Is(err, ErrProtocol) {
				t.Fatal(err)
			}
			for _, v := range row {
				if len(v.Text) > len(b)+40 {
					t.Fatalf("a value of %d bytes of %d", len(v.Text), len(b))
				}
			}
		}
	})
}

func TestRowsAreLinear(t *testing.T) {
	doubling.Check(t, "rows of a MySQL server", 20000, func(n int) func() {
		row := append([]byte{0, 0}, appendCounted(nil, strings.Repeat("x", n))...)
		return func() { parseRow(row, []column{{kind: typeVarString}}) }
	})
}
