package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"io"
	"strings"
	"testing"

	peer "github.com/emersion/go-msgauth/dkim"

	"facteur/internal/base/lookup"
	"facteur/internal/test/doubling"
)

// FuzzSignature: whatever a field says, it is read without harm, and what is refused has
// a reason.
func FuzzSignature(f *testing.F) {
	f.Add(rfc6376[len("DKIM-Signature:"):strings.Index(rfc6376, "Received:")])
	f.Add(" v=1; a=ed25519-sha256; d=example.org; s=e; h=from:to; i=@example.org; l=0; x=1; bh=; b=")
	f.Add("v=1;;v=1; =; a; q=dns/txt:x")
	f.Fuzz(func(t *testing.T, value string) {
		raw := []byte("DKIM-Signature:" + value)
		s := readSignature(raw, raw[len("DKIM-Signature:"):])
		if (s.result.Status == "") != (s.result.Reason == "") || s.result.Status == Pass {
			t.Errorf("%+v", s.result)
		}
		if s.result.Status == "" {
			name, err := Name(s.result.Selector, s.result.Domain)
			if err != nil || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || len(name) > 253 {
				t.Errorf("would ask for %q, %v", name, err)
			}
		}
		if without := WithoutSignature(raw); len(without) > len(raw) {
			t.Errorf("%q grows to %q", raw, without)
		}
	})
}

// FuzzRecord: whatever the DNS says, it is read without harm, and a key that is used has
// a size.
func FuzzRecord(f *testing.F) {
	for _, text := range theirKeys() {
		f.Add(text)
	}
	f.Add("v=DKIM1; k=ed25519; t=y:s; s=email; h=sha256; n=note; p=")
	sum := make([]byte, 32)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRecord(text)
		if err != nil {
			return
		}
		if (r.Public == nil) != (r.Bits == 0) {
			t.Errorf("%q: %d bits of %v", text, r.Bits, r.Public)
		}
		if r.Bits <= 4096 && r.Check(sum, sum) == nil {
			t.Errorf("%q: a signature of zeros fits", text)
		}
	})
}

// slowly is a body in canonical form, as plainly as it can be said.
func slowly(c Canon, body string) string {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		if c == Relaxed {
			words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
			joined := strings.Join(words, " ")
			if line != "" && joined != "" && (line[0] == ' ' || line[0] == '\t') {
				joined = " " + joined
			}
			lines[i] = joined
		}
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 && c == Relaxed {
		return ""
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

// FuzzBody: AUT-013, against what is said plainly, however the body comes in.
func FuzzBody(f *testing.F) {
	for _, tc := range bodies {
		f.Add(tc.body, 3, int64(2))
	}
	f.Fuzz(func(t *testing.T, body string, size int, limit int64) {
		size = max(1, min(size, 1<<16))
		b := NewBody()
		claims := []Digest{b.Want(Simple, crypto.SHA256, -1), b.Want(Relaxed, crypto.SHA256, -1), b.Want(Simple, crypto.SHA256, limit), b.Want(Relaxed, crypto.SHA256, limit)}
		for part := body; part != ""; part = part[min(size, len(part)):] {
			io.WriteString(b, part[:min(size, len(part))])
		}
		for _, d := range claims {
			want := slowly(d.canon, body)
			if b.Length(d.canon) != int64(len(want)) {
				t.Errorf("%v %q: %d bytes, want %q", d.canon, body, b.Length(d.canon), want)
			}
			if d.limit >= 0 {
				want = want[:min(int64(len(want)), d.limit)]
			}
			if sum := sha256.Sum256([]byte(want)); !bytes.Equal(b.Sum(d), sum[:]) {
				t.Errorf("%v %q, %d: not the hash of %q", d.canon, body, d.limit, want)
			}
		}
	})
}

// strange are letters that the peer reads in another way, each for a reason: it works on
// whole lines, so that a bare CR or LF, or a header that is none, is undefined for it.
func strange(h, body string) bool {
	if strings.ContainsAny(strings.ReplaceAll(h+body, "\r\n", ""), "\r\n") || !strings.HasSuffix(h, "\r\n") {
		return true
	}
	if strings.TrimLeft(body, " \t\r\n") == "" && body != "" && !strings.HasPrefix(body, "\r\n") {
		return true // a body of white space only: it ends it, we (RFC 6376 §3.4.4) leave nothing
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(h, "\r\n"), "\r\n") {
		name, _, found := strings.Cut(line, ":")
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			continue // a fold: what is folded has to be a field
		}
		if !found || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return true
		}
		if strings.EqualFold(name, "DKIM-Signature") {
			return true
		}
	}
	return strings.HasPrefix(h, " ") || strings.HasPrefix(h, "\t")
}

// FuzzPeer: AUT-013, what we sign holds for another implementation, and what it signs
// holds for us, whatever the letter looks like.
func FuzzPeer(f *testing.F) {
	head, body, _ := strings.Cut(plainLetter, "\r\n\r\n")
	f.Add(head+"\r\n", body, uint8(0))
	for i, tc := range bodies {
		f.Add("From: a@example.org\r\nSubject: \t a\r\n\t b \r\nX:\r\n", tc.body, uint8(i))
	}
	f.Add("FROM: a@b\r\nsubject:  \r\nReferences: <a>\r\n  <b>\r\nreferences: <c>\r\n", "8 bit é\r\n", uint8(3))
	k := edKey()
	records := keyZone(f, k)
	txt := func(name string) ([]string, error) { return []string{records[name]}, nil }
	f.Fuzz(func(t *testing.T, h, body string, kind uint8) {
		form := Form{Header: Canon(kind & 1), Body: Canon(kind >> 1 & 1)}
		if strange(h, body) || NewFields([]byte(h)).count("From") == 0 {
			return
		}
		text := signed(t, h+"\r\n"+body, k, form)
		theirs, err := peer.VerifyWithOptions(strings.NewReader(text), &peer.VerifyOptions{LookupTXT: txt})
		if err != nil || len(theirs) != 1 || theirs[0].Err != nil {
			t.Errorf("ours does not hold there: %v, %+v\n%q", err, theirs, text)
		}
		if ours := verify(text, zone(records), day, Options{}); ours[0].Status != Pass {
			t.Errorf("ours does not hold here: %+v\n%q", ours, text)
		}
		var out bytes.Buffer
		options := &peer.SignOptions{Domain: k.Domain, Selector: k.Selector, Signer: k.Private,
			HeaderCanonicalization: peer.Canonicalization(form.Header.String()), BodyCanonicalization: peer.Canonicalization(form.Body.String())}
		if err := peer.Sign(&out, strings.NewReader(h+"\r\n"+body), options); err != nil {
			return
		}
		if ours := verify(out.String(), zone(records), day.AddDate(100, 0, 0), Options{}); len(ours) != 1 || ours[0].Status != Pass {
			t.Errorf("theirs does not hold here: %+v\n%q", ours, out.String())
		}
	})
}

// Work grows with the letter, not with its square: INV-16.
func TestDoubling(t *testing.T) {
	none := func(context.Context, string) lookup.Answer[[]string] { return lookup.No[[]string](nil) }
	field := strings.TrimSuffix(signed(t, plainLetter, edKey(), Form{}), plainLetter)
	run := func(text string) func() {
		return func() { verify(text, none, day, Options{}) }
	}
	record, err := edKey().Record()
	if err != nil {
		t.Fatal(err)
	}
	have := func(context.Context, string) lookup.Answer[[]string] { return lookup.Yes([]string{record}) }
	for name, prepare := range map[string]func(n int) func(){
		"signatures": func(n int) func() { return run(strings.Repeat(field, n) + plainLetter) },
		"fields":     func(n int) func() { return run(field + strings.Repeat("To: x\r\n", n) + plainLetter) },
		"names in h=": func(n int) func() {
			text := strings.Replace(field, "h=from", "h="+strings.Repeat("to:", n)+"from", 1) + strings.Repeat("To: x\r\n", n) + plainLetter
			return func() { verify(text, have, day, Options{}) }
		},
		"tags": func(n int) func() {
			return run(strings.Replace(field, "v=1;", strings.Repeat("x=1;", n), 1) + plainLetter)
		},
		"semicolons": func(n int) func() {
			return run(strings.Replace(field, "v=1;", strings.Repeat(";", n), 1) + plainLetter)
		},
		"white space": func(n int) func() {
			return run(strings.Replace(field, "bh=", "bh="+strings.Repeat(" \r\n", n), 1) + plainLetter)
		},
		"authors":     func(n int) func() { return run(field + "From: " + strings.Repeat("a@b.example, ", n) + plainLetter) },
		"empty lines": func(n int) func() { return run(field + plainLetter + strings.Repeat("\r\n", n) + "x\r\n") },
		"blanks":      func(n int) func() { return run(field + plainLetter + strings.Repeat(" ", n) + "x\r\n") },
		"carriage":    func(n int) func() { return run(field + plainLetter + strings.Repeat("\r", n) + "x\r\n") },
		"labels": func(n int) func() {
			return run(strings.Replace(field, "d=", "d="+strings.Repeat("a.", n), 1) + plainLetter)
		},
		"folded header": func(n int) func() {
			return run(field + "Subject: " + strings.Repeat("a\r\n ", n) + "\r\n" + plainLetter)
		},
	} {
		t.Run(name, func(t *testing.T) { doubling.Check(t, name, 2000, prepare) })
	}
	t.Run("record", func(t *testing.T) {
		doubling.Check(t, "record", 4000, func(n int) func() {
			text := "v=DKIM1; n=" + strings.Repeat("a ", n/2) + "; p=" + strings.Repeat("A ", n/2)
			return func() { ParseRecord(text) }
		})
	})
}
