package milter

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// double is a milter that follows a script: for each packet it says what the
// script gives for its code, and Continue where the script is silent.
type double struct {
	net.Listener
	// version, actions and steps are what it answers in the negotiation; macros are
	// lists that it asks for.
	version, actions, steps uint32
	macros                  string
	// script gives the raw bytes said for a command; nil says Continue.
	script func(cmd byte, data string) []byte

	mu    sync.Mutex
	heard []string // "C name…", with macros as "D…"
	conns int
}

// start makes it listen; tune sets what is not as usual.
func start(t testing.TB, script func(cmd byte, data string) []byte, tune ...func(*double)) (*double, Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &double{Listener: l, version: 6, actions: allActions, script: script}
	for _, f := range tune {
		f(d)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.serve(c)
		}
	}()
	return d, Config{Name: "test", Network: "tcp", Address: l.Addr().String(),
		ConnectTimeout: time.Minute, CommandTimeout: time.Minute, ContentTimeout: time.Minute}
}

func (d *double) serve(c net.Conn) {
	defer c.Close()
	d.mu.Lock()
	d.conns++
	d.mu.Unlock()
	r := bufio.NewReader(c)
	for {
		code, n, err := readHead(r)
		if err != nil {
			return
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(r, data); err != nil {
			return
		}
		d.note(code, string(data))
		if code == cmdQuit {
			return
		}
		if _, err := c.Write(d.say(code, string(data))); err != nil {
			return
		}
	}
}

func (d *double) note(code byte, data string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if code == cmdOptNeg {
		return
	}
	d.heard = append(d.heard, string(code)+strings.ReplaceAll(data, "\x00", "|"))
}

// behave ends the script: from now on it says Continue.
func (d *double) behave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.script = nil
}

// served counts the connections.
func (d *double) served() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conns
}

// say is what it answers.
func (d *double) say(code byte, data string) []byte {
	d.mu.Lock()
	script := d.script
	d.mu.Unlock()
	if script != nil {
		if b := script(code, data); b != nil {
			return b
		}
	}
	switch code {
	case cmdOptNeg:
		b := binary.BigEndian.AppendUint32(nil, d.version)
		b = binary.BigEndian.AppendUint32(b, d.actions)
		b = binary.BigEndian.AppendUint32(b, d.steps)
		return pack(cmdOptNeg, string(b)+d.macros)
	case cmdMacro, cmdAbort, cmdQuitNC:
		return nil
	}
	if nr := map[byte]uint32{cmdConnect: nrConnect, cmdHelo: nrHelo, cmdMail: nrMail, cmdRcpt: nrRcpt, cmdData: nrData,
		cmdHeader: nrHeader, cmdEOH: nrEOH, cmdBody: nrBody, cmdUnknown: nrUnknown}[code]; d.steps&nr != 0 {
		return nil
	}
	return pack(repContinue, "")
}

// pack is a packet.
func pack(code byte, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)+1))
	return append(append(b, code), data...)
}

// told is what it heard so far, in one line a packet; macros only when asked for.
func (d *double) told(macros bool) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, s := range d.heard {
		if s[0] != cmdMacro || macros {
			fmt.Fprintf(&b, "%s\n", s)
		}
	}
	return b.String()
}

// on makes a script that answers one command.
func on(cmd byte, answers ...[]byte) func(byte, string) []byte {
	return func(c byte, _ string) []byte {
		if c != cmd {
			return nil
		}
		return join(answers...)
	}
}

func join(parts ...[]byte) []byte {
	b := []byte{}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// index is a 32-bit number.
func index(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
