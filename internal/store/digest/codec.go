package digest

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"facteur/internal/mail/message"
)

// The parts of a digest by number: bits of Want.
const (
	listPart = iota
	linesPart
	keysPart
	bodyPart
)

// append appends a part in the form of the cache. The order of fields is the
// format: change formatVersion with it.
func (d *Digest) append(b []byte, part int) []byte {
	switch part {
	case listPart:
		return append(appendBytes(b, d.Envelope), d.BodyStructure...)
	case linesPart:
		if d.Fields == nil {
			return append(b, 0)
		}
		return append(append(b, 1), d.Fields...)
	case keysPart:
		return d.appendKeys(b)
	}
	return d.Part.Append(appendBytes(appendBytes(b, d.Body), []byte(d.Preview)))
}

func (d *Digest) appendKeys(b []byte) []byte {
	var flags byte
	if d.Reply {
		flags |= 1
	}
	if !d.Sent.IsZero() {
		flags |= 2
	}
	b = append(b, flags)
	b = appendID(appendID(b, d.EmailID), d.ThreadID)
	_, zone := d.Sent.Zone()
	b = binary.AppendVarint(binary.AppendVarint(b, d.Sent.Unix()), int64(zone))
	for _, s := range [...]string{d.From, d.To, d.Cc, d.FromName, d.ToName, d.Subject, d.MessageID} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = binary.AppendUvarint(b, uint64(len(d.References)))
	for _, s := range d.References {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func appendBytes(b, data []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

// idBytes is the binary length of an id.
const idBytes = 15

func appendID(b []byte, id string) []byte {
	raw, err := base64.RawURLEncoding.AppendDecode(b, []byte(id[1:]))
	if err != nil || len(raw) != len(b)+idBytes {
		panic("digest: an id that Make did not make")
	}
	return raw
}

// decode fills in a part, as far as it is wanted; false if data is none. Byte slices
// point into data.
func (d *Digest) decode(data []byte, part int, want Want) bool {
	r := reader{data: data}
	switch part {
	case listPart:
		d.Envelope = r.bytes()
		d.BodyStructure = r.data
	case linesPart:
		d.Fields = nil
		if r.byte() == 1 {
			d.Fields = message.Header(r.data[:len(r.data):len(r.data)])
		}
	case keysPart:
		d.decodeKeys(&r, want&IDs == IDs)
	case bodyPart:
		d.Body, d.Preview = r.bytes(), string(r.bytes())
		var err error
		d.Part, err = message.Decode(r.data)
		r.bad = r.bad || err != nil
	}
	return !r.bad
}

func (d *Digest) decodeKeys(r *reader, ids bool) {
	flags := r.byte()
	d.Reply = flags&1 != 0
	if email, thread := r.take(idBytes), r.take(idBytes); ids {
		d.EmailID, d.ThreadID = id('M', email), id('T', thread)
	}
	d.Sent = time.Time{}
	if sent, zone := r.varint(), r.varint(); flags&2 != 0 {
		d.Sent = time.Unix(sent, 0).In(time.FixedZone("", int(zone)))
	}
	r.text = string(r.data)
	for _, s := range [...]*string{&d.From, &d.To, &d.Cc, &d.FromName, &d.ToName, &d.Subject, &d.MessageID} {
		*s = r.string()
	}
	d.References = nil
	if n := r.uvarint(); n > message.MaxReferences {
		r.bad = true
	} else if n > 0 {
		d.References = make([]string, n)
	}
	for i := range d.References {
		d.References[i] = r.string()
	}
}

// reader reads from the front of data. After the first fault it gives zeros.
type reader struct {
	data []byte
	text string // data as it was when strings began: they share it
	bad  bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.data)) {
		r.bad, r.data = true, nil
		return make([]byte, min(n, idBytes))
	}
	out := r.data[:n:n]
	r.data = r.data[n:]
	return out
}

func (r *reader) byte() byte {
	b := r.take(1)
	if r.bad {
		return 0
	}
	return b[0]
}

func (r *reader) bytes() []byte {
	b := r.take(r.uvarint())
	if r.bad {
		return nil
	}
	return b
}

// string is bytes as a part of text.
func (r *reader) string() string {
	b := r.bytes()
	end := len(r.text) - len(r.data)
	if r.bad {
		return ""
	}
	return r.text[end-len(b) : end]
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	return uint64(r.skip(int64(v), n))
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	return r.skip(v, n)
}

func (r *reader) skip(v int64, n int) int64 {
	if n <= 0 || r.bad {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}
