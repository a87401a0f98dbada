package milter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Commands of the mail server.
const (
	cmdAbort   = 'A'
	cmdBody    = 'B'
	cmdConnect = 'C'
	cmdMacro   = 'D'
	cmdEOM     = 'E'
	cmdHelo    = 'H'
	cmdQuitNC  = 'K'
	cmdHeader  = 'L'
	cmdMail    = 'M'
	cmdEOH     = 'N'
	cmdOptNeg  = 'O'
	cmdQuit    = 'Q'
	cmdRcpt    = 'R'
	cmdData    = 'T'
	cmdUnknown = 'U'
)

// Replies of the milter.
const (
	repAddRcpt    = '+'
	repDelRcpt    = '-'
	repAddRcptPar = '2'
	repShutdown   = '4'
	repAccept     = 'a'
	repReplBody   = 'b'
	repContinue   = 'c'
	repDiscard    = 'd'
	repChgFrom    = 'e'
	repConnFail   = 'f'
	repAddHeader  = 'h'
	repInsHeader  = 'i'
	repChgHeader  = 'm'
	repProgress   = 'p'
	repQuarantine = 'q'
	repReject     = 'r'
	repSkip       = 's'
	repTempFail   = 't'
	repReplyCode  = 'y'
)

const (
	// bodyChunk is the most of a body in one packet (MILTER_CHUNK_SIZE).
	bodyChunk = 65535
	// maxReply is the longest reply in bytes but for a new body: the longest field
	// that a milter can be shown fits twice.
	maxReply = 128 << 10
)

// What is wrong with what a milter says.
var (
	errTooLong    = fmt.Errorf("reply is longer than %d bytes", maxReply)
	errEmpty      = errors.New("packet without a code")
	errTorn       = errors.New("connection closed in the middle of a reply")
	errUnasked    = errors.New("reply that nobody asked for")
	errMalformed  = errors.New("malformed reply")
	errNotOffered = errors.New("change that was not negotiated")
)

// ErrUnframeable says that a value of the dialogue can not be told to a milter: it
// has a NUL or a line end in it.
var ErrUnframeable = errors.New("value with a line end or NUL")

// writePacket writes one packet of code and the parts of its data.
func writePacket(w *bufio.Writer, code byte, parts ...[]byte) error {
	n := 1
	for _, p := range parts {
		n += len(p)
	}
	var head [5]byte
	binary.BigEndian.PutUint32(head[:4], uint32(n))
	head[4] = code
	w.Write(head[:]) // a bufio.Writer keeps its error
	for _, p := range parts {
		w.Write(p)
	}
	_, err := w.Write(nil)
	return err
}

// readHead reads the length of a packet's data, and its code.
func readHead(r *bufio.Reader) (code byte, n uint32, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return 0, 0, torn(err)
	}
	n = binary.BigEndian.Uint32(head[:4])
	if n == 0 {
		return 0, 0, errEmpty
	}
	code, err = r.ReadByte()
	return code, n - 1, torn(err)
}

// readData reads n bytes, if they are not too many; room grows as they come.
func readData(r *bufio.Reader, n uint32) ([]byte, error) {
	if n > maxReply {
		return nil, errTooLong
	}
	if n == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(n)); err != nil {
		return nil, torn(err)
	}
	return b.Bytes(), nil
}

// torn makes the end of a connection say what it means here.
func torn(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errTorn
	}
	return err
}

// texts cuts data into its NUL-terminated strings; ok is false when the last one
// has no end or there are more than most.
func texts(data []byte, most int) (all []string, ok bool) {
	for len(data) > 0 {
		s, rest, found := bytes.Cut(data, []byte{0})
		if !found || len(all) == most {
			return nil, false
		}
		all, data = append(all, string(s)), rest
	}
	return all, true
}

// terminated is strings as the protocol has them.
func terminated(all ...string) ([]byte, error) {
	var b []byte
	for _, s := range all {
		for i := range len(s) {
			if s[i] == 0 || s[i] == '\r' || s[i] == '\n' {
				return nil, ErrUnframeable
			}
		}
		b = append(append(b, s...), 0)
	}
	return b, nil
}
