package digest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strings"
	"time"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
)

// Digest is what a letter says. What is kept and asked for together stands
// together; the Want of a question tells which of it is there.
type Digest struct {
	UID uint32

	// For List: the responses in IMAP's words (RFC 9051 §7.5.2), ready to be sent.
	Envelope, BodyStructure []byte

	// For Lines: the lines of the fields of which Common is true, as they stand
	// in the header, without the empty line. nil where they are too long to be
	// kept: look into the letter then.
	Fields message.Header

	// For Keys (RFC 5256 §3, RFC 5957, RFC 8474).
	EmailID, ThreadID string
	Sent              time.Time // of the Date field, in its zone; zero: unreadable
	From, To, Cc      string    // local part of the first address
	FromName, ToName  string    // what SORT=DISPLAY compares, decoded: the name, else the address
	Subject           string    // base subject, decoded
	Reply             bool      // the subject is that of a reply or forward
	MessageID         string    // as message.MessageID gives it; "" if there is none
	References        []string  // of References, else In-Reply-To; the oldest first

	// For Body.
	Body    []byte // IMAP's BODY
	Part    *message.Part
	Preview string // RFC 8970
}

// Want is which parts of digests are asked for.
type Want uint8

// The parts of a Digest, each kept by itself.
const (
	List Want = 1 << iota
	Lines
	Keys
	Body
	// IDs is Keys with EMAILID and THREADID, which are not told without being asked for.
	IDs = Keys | 1<<parts
	All = List | Lines | IDs | Body
)

// smallLetter is the largest letter that is worked out in memory, in bytes. A
// larger one is streamed.
const smallLetter = 256 << 10

// Letter is an open letter.
type Letter interface {
	io.ReaderAt
	Size() int64
}

// Maker makes digests, one after the other, in a buffer for letters. Nothing of a
// digest points into it (ATTACKS IMAP-024).
type Maker struct{ buf []byte }

// Make works out the digest of a letter. Its error is one of reading.
func (m *Maker) Make(l Letter) (*Digest, error) {
	if l.Size() > smallLetter {
		sum := sha256.New()
		tree, err := message.Parse(io.TeeReader(io.NewSectionReader(l, 0, l.Size()), sum), message.Limits{})
		if err != nil {
			return nil, err
		}
		return ofLetter(l, tree, sum.Sum(nil))
	}
	if int64(cap(m.buf)) < l.Size() {
		m.buf = make([]byte, l.Size()+l.Size()/4)
	}
	b := m.buf[:l.Size()]
	if n, err := l.ReadAt(b, 0); n < len(b) {
		return nil, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	sum := sha256.Sum256(b)
	return ofLetter(bytes.NewReader(b), message.ParseBytes(b, message.Limits{}), sum[:])
}

// ofLetter works out the digest of a letter that was parsed.
func ofLetter(text io.ReaderAt, tree *message.Part, sum []byte) (d *Digest, err error) {
	d = &Digest{Part: tree, EmailID: id('M', sum)}
	if d.Preview, err = message.Preview(text, tree); err != nil {
		return nil, err
	}
	head, err := header(text, tree)
	if err != nil {
		return nil, err
	}
	d.keys(head)
	d.Fields = common(head)
	d.Envelope = imap.AppendEnvelope(nil, tree.Envelope)
	d.BodyStructure = imap.AppendBodyStructure(nil, tree, true)
	d.Body = imap.AppendBodyStructure(nil, tree, false)
	return d, nil
}

// id is an identifier of RFC 8474: a letter that says of what kind, then 120
// bits of a digest.
func id(kind byte, sum []byte) string {
	return string(kind) + base64.RawURLEncoding.EncodeToString(sum[:15])
}

// maxHeader is how much of a header the keys are taken from, in bytes.
const maxHeader = 256 << 10

func header(r io.ReaderAt, tree *message.Part) (message.Header, error) {
	b := make([]byte, min(tree.Body-tree.Header, maxHeader))
	if _, err := r.ReadAt(b, tree.Header); err != nil && err != io.EOF {
		return nil, err
	}
	return message.Header(b), nil
}

// keys fills in what SORT and THREAD compare.
func (d *Digest) keys(head message.Header) {
	e := d.Part.Envelope
	d.Sent, _ = message.ParseDate(e.Date)
	d.From, d.FromName = sortKeys(e.From)
	d.To, d.ToName = sortKeys(e.To)
	d.Cc, _ = sortKeys(e.Cc)
	d.Subject, d.Reply = message.BaseSubject(e.Subject), message.IsReplySubject(e.Subject)
	d.MessageID = message.MessageID(e.MessageID)
	references := head.Get("References")
	d.References = message.References(references)
	if len(d.References) == 0 {
		if parent := message.MessageID(e.InReplyTo); parent != "" {
			d.References = []string{parent}
		}
	}
	root := cmp.Or(message.MessageID(references), message.MessageID(e.InReplyTo), d.MessageID, d.EmailID)
	sum := sha256.Sum256([]byte(root))
	d.ThreadID = id('T', sum[:])
}

// sortKeys is the local part of the first address (RFC 5256 §3), and what
// SORT=DISPLAY compares in its place (RFC 5957 §3).
func sortKeys(list []message.Mailbox) (local, name string) {
	if len(list) == 0 {
		return "", ""
	}
	m := list[0]
	name = message.DecodeText(m.Name)
	if name == "" && !m.GroupStart {
		name = strings.TrimSuffix(m.Local+"@"+m.Host, "@")
	}
	return m.Local, cmp.Or(name, m.Local)
}
