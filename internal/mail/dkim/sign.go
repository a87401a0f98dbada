package dkim

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/internal/mail/message"
)

// Form says what a signature of ours covers. The zero Form is today's practice:
// relaxed both ways, the default fields, no end.
type Form struct {
	// Header and Body are the canonical forms.
	Header, Body Canon
	// Fields are the names of those that are signed, as often as they are there; nil:
	// DefaultFields. From is signed always.
	Fields []string
	// Oversign are those of which one more is signed than there are, so that none can
	// be added; nil: DefaultOversign. From always is: a letter with two of them shows one
	// and proves the other. The fields of MIME are where the letter has them: others add
	// them to letters that have none.
	Oversign []string
	// Expire is for how long the signature is good; 0: no end is told.
	Expire time.Duration
	// Identity is i=, "@sub.example.org" or "user@example.org"; "": none.
	Identity string
	// Untimed leaves t= out.
	Untimed bool
}

// DefaultFields are what a reader sees and what decides how he sees it (RFC 6376
// §5.4.1), and what makes a letter belong to a list or a thread. Return-Path,
// Received and what others add on the way are not among them.
func DefaultFields() []string {
	return []string{
		"from", "sender", "reply-to", "subject", "date", "message-id", "to", "cc",
		"in-reply-to", "references", "mime-version", "content-type", "content-transfer-encoding",
		"content-id", "content-description", "content-disposition",
		"resent-date", "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-message-id",
		"list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post", "list-subscribe", "list-post", "list-owner", "list-archive",
		"autocrypt", "auto-submitted", "feedback-id",
	}
}

// DefaultOversign are those that a stranger must not add to a letter of ours that he
// sends on: they are what a reader takes for the truth.
func DefaultOversign() []string {
	return []string{"from", "reply-to", "subject", "date", "message-id", "to", "cc", "mime-version", "content-type", "content-transfer-encoding"}
}

// What can not be signed.
var (
	errNoBodyHash = errors.New("the body has no SHA-256 hash")
	errNoFrom     = errors.New("the message has no From field")
	errIdentity   = errors.New("the identity (i=) is not of the signing domain (d=)")
	errFieldName  = errors.New("a name among the fields to sign is no name of a field")
)

// Wants claims from b what Sign needs.
func (f Form) Wants(b *Body) Digest { return b.Want(f.Body, crypto.SHA256, -1) }

// Sign makes a DKIM-Signature field, folded, with its last CRLF. It stands above
// the header then. bodyHash is what Wants was answered with. Nothing is signed that
// Verify would not accept: an error says why.
func Sign(h message.Header, bodyHash []byte, k Key, f Form, now time.Time) ([]byte, error) {
	if err := f.check(bodyHash, k); err != nil {
		return nil, err
	}
	fields := NewFields(h)
	if fields.count("From") == 0 {
		return nil, errNoFrom
	}
	names := f.names(fields)
	field := f.write(names, bodyHash, k, now)
	signature, err := k.Sign(fields.Hash(names, f.Header, append(field, "\r\n"...)))
	if err != nil {
		return nil, err
	}
	return AppendBase64(field, signature), nil
}

func (f Form) check(bodyHash []byte, k Key) error {
	if len(bodyHash) != sha256.Size {
		return errNoBodyHash
	}
	if err := k.check(); err != nil {
		return err
	}
	if f.Expire < 0 || f.Expire > 0 && f.Expire < time.Second {
		return fmt.Errorf("a signature can not be good for %v", f.Expire)
	}
	for _, name := range slices.Concat(f.Fields, f.Oversign) {
		if !isFieldName(name) {
			return errFieldName
		}
	}
	return f.checkIdentity(k)
}

func (f Form) checkIdentity(k Key) error {
	if f.Identity == "" {
		return nil
	}
	domain, err := Domain(k.Domain)
	of := identityDomain(f.Identity)
	if err != nil || of != domain && !strings.HasSuffix(of, "."+domain) || strings.ContainsAny(f.Identity, "; \t\r\n=") {
		return errIdentity
	}
	return nil
}

// isFieldName tells what can stand in h=: printable ASCII but ":" and ";".
func isFieldName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == ':' || c == ';' {
			return false
		}
	}
	return name != ""
}

// names is h=: each field as often as it is there, those oversigned once more.
func (f Form) names(fields *Fields) []string {
	signed, over := f.Fields, f.Oversign
	if signed == nil {
		signed = DefaultFields()
	}
	if over == nil {
		over = DefaultOversign()
	}
	more := make(map[string]bool, len(over))
	for _, name := range over {
		more[strings.ToLower(name)] = true
	}
	names := make([]string, 0, 32)
	seen := make(map[string]bool, len(signed))
	for _, name := range slices.Concat([]string{"from"}, signed, over) {
		name = strings.ToLower(name)
		if seen[name] {
			continue
		}
		seen[name] = true
		n := fields.count(name)
		if name == "from" || more[name] && (n > 0 || !isMIME(name)) {
			n++
		}
		for range n {
			names = append(names, name)
		}
	}
	return names
}

// isMIME tells the fields that others add to letters that have none of them.
func isMIME(name string) bool {
	return name == "mime-version" || name == "content-type" || name == "content-transfer-encoding"
}

// write makes the field up to "b=".
func (f Form) write(names []string, bodyHash []byte, k Key, now time.Time) []byte {
	domain, _ := Domain(k.Domain)
	name, _ := k.Name() // in A-labels, as d= is
	w := NewTagWriter("DKIM-Signature")
	w.Tag("v", "1")
	w.Tag("a", k.Algorithm())
	w.Tag("c", f.Header.String()+"/"+f.Body.String())
	w.Tag("d", domain)
	w.Tag("s", strings.TrimSuffix(name, "._domainkey."+domain))
	if f.Identity != "" {
		w.Tag("i", f.Identity)
	}
	if !f.Untimed {
		w.Tag("t", strconv.FormatInt(now.Unix(), 10))
	}
	if f.Expire > 0 {
		w.Tag("x", strconv.FormatInt(now.Add(f.Expire).Unix(), 10))
	}
	w.Names("h", names)
	w.Tag("bh", base64.StdEncoding.EncodeToString(bodyHash))
	return w.Signature()
}
