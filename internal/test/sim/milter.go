package sim

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
)

// Milter is a milter that follows a script.
type Milter struct {
	l       net.Listener
	answers map[byte]string

	mu    sync.Mutex
	heard []string
}

// StartMilter listens at address and answers each command ('C', 'H', 'M', … of the
// milter protocol) with the bytes that answers has for it, MilterPackets one after
// the other, or with Continue. It offers to change everything and wants to hear of
// every step. "hang" as an answer says nothing at all.
func StartMilter(address string, answers map[byte]string) (*Milter, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	m := &Milter{l: l, answers: answers}
	go m.accept()
	return m, nil
}

// MilterPacket is one packet of the protocol.
func MilterPacket(code byte, data string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)+1))
	return string(append(append(b, code), data...))
}

// Addr is where it listens.
func (m *Milter) Addr() string { return m.l.Addr().String() }

// Close ends it.
func (m *Milter) Close() { m.l.Close() }

// Heard is what it was told: a line for each packet, with "|" for NUL.
func (m *Milter) Heard() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.heard, "\n") + "\n"
}

func (m *Milter) accept() {
	for {
		nc, err := m.l.Accept()
		if err != nil {
			return
		}
		go m.talk(nc)
	}
}

func (m *Milter) talk(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	for {
		var n uint32
		if binary.Read(r, binary.BigEndian, &n) != nil || n == 0 || n > 1<<20 {
			return
		}
		packet := make([]byte, n)
		if _, err := io.ReadFull(r, packet); err != nil {
			return
		}
		m.note(string(packet))
		if _, err := io.WriteString(nc, m.answer(packet[0])); err != nil || packet[0] == 'Q' {
			return
		}
	}
}

func (m *Milter) note(packet string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = append(m.heard, strings.ReplaceAll(packet, "\x00", "|"))
}

func (m *Milter) answer(command byte) string {
	answer, scripted := m.answers[command]
	switch {
	case answer == "hang":
		return ""
	case scripted:
		return answer
	case command == 'O':
		return MilterPacket('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x00\x00\x00")
	case strings.IndexByte("DAKQ", command) >= 0:
		return ""
	}
	return MilterPacket('c', "")
}
