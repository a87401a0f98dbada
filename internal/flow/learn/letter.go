package learn

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
	"facteur/internal/mail/words"
	"facteur/internal/store/mailbox"
)

const (
	// headMost is how much of a header is looked at, in bytes; bodyMost how much of a body
	// tells letters apart.
	headMost = 256 << 10
	bodyMost = 256 << 10
)

// Letter is what a letter teaches.
type Letter struct {
	// ID is the same wherever a copy of the letter is found.
	ID     [16]byte
	Tokens []uint64
	Facts  Facts
}

// Facts are what its header says about who sent it. Only From is there of letters that
// did not come from a mailbox of ours; there only Domains is proven.
type Facts struct {
	// Item is the queue ID that it had here; MessageID is without "<>".
	Item, MessageID string
	// From is the author's address, Sender the envelope's.
	From, Sender address.Address
	// Client is who brought it.
	Client netip.Addr
	// Domains are those that were proven to be what they say: by DKIM, and by SPF.
	Domains []string
	// Junked: the filter took it for spam when it came.
	Junked bool
}

// unproven are the facts that everybody can read in a letter.
func (f Facts) unproven() Facts { return Facts{MessageID: f.MessageID, From: f.From} }

// Read reads a letter. hostname is the name of this server in trace fields: what it wrote
// itself above the letter is not part of it.
func Read(r io.ReaderAt, size int64, hostname string) (*Letter, error) {
	return look(r, size, hostname, true)
}

// look reads a letter, with its tokens or without.
func look(r io.ReaderAt, size int64, hostname string, tokens bool) (*Letter, error) {
	header, _, err := message.ReadHeader(io.NewSectionReader(r, 0, size), headMost)
	if err != nil && !errors.Is(err, message.ErrHeaderTooLong) {
		return nil, err
	}
	trace := Trace(header, hostname)
	start := int64(len(trace))
	rest := io.NewSectionReader(r, start, size-start)
	root, err := message.Parse(io.NewSectionReader(rest, 0, rest.Size()), message.Limits{})
	if err != nil {
		return nil, err
	}
	own := message.Header(header[start:])
	l := &Letter{Facts: factsOf(trace, own, hostname)}
	if l.ID, err = idOf(own, io.NewSectionReader(rest, root.Body, min(rest.Size()-root.Body, bodyMost))); err != nil {
		return nil, err
	}
	if tokens {
		l.Tokens = words.Read(content.Read(rest, root, own, content.Limits{}), own).Hashes()
	}
	return l, nil
}

// Trace is the fields at the top of a header that this server wrote on the way of the
// letter to its mailbox: down to the Received that names it. What comes from elsewhere
// has none.
func Trace(h message.Header, hostname string) message.Header {
	for f := range h.Fields() {
		name := strings.ToLower(string(f.Name))
		switch {
		case name == "received":
			if _, _, ours := receivedBy(f.Text(), hostname); ours {
				return h[:f.End]
			}
			return nil
		case !isTrace(name):
			return nil
		}
	}
	return nil
}

// isTrace tells the fields that we write above Received.
func isTrace(name string) bool {
	switch name {
	case "return-path", "delivered-to", "x-original-to", "authentication-results", "received-spf", "x-greylist":
		return true
	}
	return strings.HasPrefix(name, "arc-") || strings.HasPrefix(name, "x-spam-") || strings.HasPrefix(name, "x-virus-") || strings.HasPrefix(name, "x-facteur-")
}

// receivedBy reads a Received field that this server wrote.
func receivedBy(value, hostname string) (client netip.Addr, id string, ours bool) {
	words := strings.Fields(value)
	for i, w := range words[:max(len(words)-1, 0)] {
		next := strings.TrimSuffix(words[i+1], ";")
		switch {
		case w == "by" && !ours:
			ours = strings.EqualFold(next, hostname)
		case w == "id" && ours && id == "":
			id = next
		case !ours && !client.IsValid() && strings.HasSuffix(next, "])"):
			text := strings.TrimPrefix(strings.Trim(next, "()[]"), "IPv6:")
			client, _ = netip.ParseAddr(text)
		}
	}
	return client, id, ours && hostname != ""
}

// factsOf are what a letter's header says; the trace is ours and is believed.
func factsOf(trace, own message.Header, hostname string) (f Facts) {
	f.MessageID = strings.Trim(message.MessageID(own.Get("Message-Id")), "<>")
	for _, m := range message.ParseAddresses(own.Get("From")) {
		if a, err := address.Parse(m.Address()); err == nil {
			f.From = a
			break
		}
	}
	if len(trace) == 0 {
		return f
	}
	if sender, _, err := address.ParsePath(strings.TrimSpace(trace.Get("Return-Path"))); err == nil {
		f.Sender = sender
	}
	f.Junked = strings.EqualFold(strings.TrimSpace(trace.Get("X-Spam-Flag")), "YES")
	f.Client, f.Item, _ = receivedBy(trace.Get("Received"), hostname)
	for _, r := range authres.Of(trace, hostname) {
		f.Domains = append(f.Domains, provenIn(r)...)
	}
	return f
}

// provenIn are the domains that a result of ours vouches for.
func provenIn(r authres.Results) (domains []string) {
	for _, m := range r.Methods {
		if m.Result != "pass" {
			continue
		}
		var d string
		switch m.Name {
		case "dkim":
			d = m.Property("header", "d")
		case "spf":
			d = m.Property("smtp", "mailfrom")
		case "dmarc":
			d = m.Property("header", "from")
		}
		d = d[strings.LastIndexByte(d, '@')+1:]
		if d, err := address.CanonicalDomain(d); err == nil && d != "" && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	return domains
}

// idOf tells letters apart: by the fields that no server changes, and the beginning of
// the body, however its lines end.
func idOf(h message.Header, body io.Reader) (id [16]byte, err error) {
	sum := sha256.New()
	for _, name := range []string{"Message-Id", "Date", "From", "Subject"} {
		io.WriteString(sum, strings.Join(strings.Fields(h.Get(name)), " ")+"\n")
	}
	if _, err = io.Copy(&plain{sum: sum}, body); err != nil {
		return id, err
	}
	copy(id[:], sum.Sum(nil))
	return id, nil
}

// plain hashes text without its CRs, and without the empty lines at its end.
type plain struct {
	sum   hash.Hash
	lines int
	buf   []byte
}

// Write implements io.Writer.
func (p *plain) Write(b []byte) (int, error) {
	p.buf = p.buf[:0]
	for _, c := range b {
		switch c {
		case '\r':
		case '\n':
			p.lines++
		default:
			for ; p.lines > 0; p.lines-- {
				p.buf = append(p.buf, '\n')
			}
			p.buf = append(p.buf, c)
		}
	}
	p.sum.Write(p.buf)
	return len(b), nil
}

func isGone(err error) bool {
	return errors.Is(err, mailbox.ErrGone) || errors.Is(err, mailbox.ErrNoMailbox)
}
