package arc

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/test/doubling"
)

// world is keys and the DNS that has them.
type world struct {
	keys    map[string]dkim.Key
	records map[string]string
	asked   atomic.Int64
	down    bool
}

func newWorld(t testing.TB, domains ...string) *world {
	w := &world{keys: map[string]dkim.Key{}, records: map[string]string{}}
	for i, d := range domains {
		k := dkim.Key{Domain: d, Selector: "s"}
		if i%2 == 0 {
			_, private, err := ed25519.GenerateKey(rand.Reader)
			must(t, err)
			k.Private = private
		} else {
			private, err := rsa.GenerateKey(rand.Reader, 1024)
			must(t, err)
			k.Private = private
		}
		record, err := k.Record()
		must(t, err)
		name, err := k.Name()
		must(t, err)
		w.keys[d], w.records[name] = k, record
	}
	return w
}

func (w *world) txt(_ context.Context, name string) lookup.Answer[[]string] {
	w.asked.Add(1)
	if w.down {
		return lookup.Later[[]string](errors.New("timeout"))
	}
	if r, ok := w.records[name]; ok {
		return lookup.Yes([]string{r})
	}
	return lookup.No[[]string](errors.New("no such name"))
}

func (w *world) verify(text string, o Options) Result { return verify(text, w.txt, o) }

// seal puts a set on top of a message.
func (w *world) seal(t testing.TB, text, domain string, chain Status, found authres.Results) (string, error) {
	t.Helper()
	end := message.HeaderEnd([]byte(text))
	b, f := dkim.NewBody(), dkim.Form{}
	d := f.Wants(b)
	b.Write([]byte(text[end:]))
	set, err := Seal(message.Header(text[:end]), chain, found, b.Sum(d), w.keys[domain], f, at)
	return string(set) + text, err
}

func passed(id string) authres.Results {
	return authres.Results{ID: id, Methods: []authres.Method{{Name: "dmarc", Result: "pass",
		Properties: []authres.Property{{Type: "header", Name: "from", Value: "author.example"}}}}}
}

// chain is a letter with a chain of seals of these domains.
func (w *world) chain(t testing.TB, text string, domains ...string) string {
	t.Helper()
	for i, d := range domains {
		cv := Pass
		if i == 0 {
			cv = None
		}
		var err error
		text, err = w.seal(t, text, d, cv, passed("mx."+d))
		must(t, err)
	}
	return text
}

const letter = "Received: from a by b; Sun, 22 Nov 2026 11:00:00 +0000\r\nDKIM-Signature: v=1; d=author.example; b=\r\nFrom: Jane <jane@author.example>\r\n" +
	"To: list@list.example\r\nSubject: hello\r\n there\r\nDate: Sun, 22 Nov 2026 11:00:00 +0000\r\n\r\nHello.  \r\n\r\n"

func TestSealAndVerify(t *testing.T) {
	w := newWorld(t, "one.example", "two.example", "three.example")
	if r := w.verify(letter, Options{}); r.Status != None || r.Method().Result != "none" {
		t.Errorf("without a chain: %s", r)
	}
	text := w.chain(t, letter, "one.example", "two.example", "three.example")
	r := w.verify(text, Options{Oldest: true})
	if r.Status != Pass || len(r.Sets) != 3 || !r.Author || r.OldestPass != 0 || r.Sealer() != "three.example" {
		t.Fatalf("%s %+v", r, r)
	}
	for i, d := range []string{"one.example", "two.example", "three.example"} {
		s := r.Sets[i]
		if s.Domain != d || s.Results == nil || s.Results.ID != "mx."+d || len(s.Results.Find("dmarc")) != 1 || !s.Time.Equal(at) {
			t.Errorf("%+v", s)
		}
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > 78 {
			t.Errorf("a long line: %q", line)
		}
	}
	if w.asked.Load() != 3 {
		t.Errorf("%d look-ups; each key once", w.asked.Load())
	}
}

// TestWhatListsDo: who changes the letter and seals it does not break the chain; who changes
// it without a seal does. The oldest that holds tells who it was.
func TestWhatListsDo(t *testing.T) {
	w := newWorld(t, "one.example", "list.example", "last.example")
	text := w.chain(t, letter, "one.example")
	text = strings.Replace(text, "Subject: hello", "Subject: [list] hello", 1) + "-- \r\nfooter\r\n"
	r := w.verify(text, Options{})
	if r.Status != Fail || !strings.Contains(r.Reason, "the body was changed") {
		t.Errorf("changed without a seal: %s", r)
	}
	text, err := w.seal(t, text, "list.example", Pass, passed("list.example"))
	must(t, err)
	if r := w.verify(text, Options{Oldest: true}); r.Status != Pass || r.OldestPass != 2 {
		t.Errorf("changed, and sealed: %s %d", r, r.OldestPass)
	}
	for what, change := range map[string]func(string) string{
		"the header was changed since":    func(s string) string { return strings.Replace(s, "Jane", "Joan", 1) },
		"the header was changed since it": func(s string) string { return "From: Joan <joan@author.example>\r\n" + s },
		"an ARC field was changed":        func(s string) string { return strings.Replace(s, "i=1; mx.one.example", "i=1; mx.two.example", 1) },
		"the seal of list.example":        func(s string) string { return strings.Replace(s, "cv=none;", "cv=none; n=y;", 1) },
	} {
		if r := w.verify(change(text), Options{}); r.Status != Fail || !strings.Contains(r.Reason, what) {
			t.Errorf("%s: %s", what, r)
		}
	}
}

func TestShapes(t *testing.T) {
	w := newWorld(t, "one.example", "two.example")
	one := w.chain(t, letter, "one.example")
	two := w.chain(t, letter, "one.example", "two.example")
	set := func(i int) string {
		return fmt.Sprintf("ARC-Seal: i=%d; a=rsa-sha256; d=one.example; s=s; cv=pass; b=AAAA\r\n"+
			"ARC-Message-Signature: i=%d; a=rsa-sha256; d=one.example; s=s; h=from; bh=%s; b=AAAA\r\n"+
			"ARC-Authentication-Results: i=%d; one.example; none\r\n", i, i, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", i)
	}
	many := func(n int) string {
		var b strings.Builder
		for i := n; i > 0; i-- {
			b.WriteString(set(i))
		}
		return b.String() + letter
	}
	line := func(text, prefix string) string { // a whole field
		at := strings.Index(text, prefix)
		end := at + strings.Index(text[at:], "\r\n")
		for strings.HasPrefix(text[end:], "\r\n\t") || strings.HasPrefix(text[end:], "\r\n ") {
			end += 2 + strings.Index(text[end+2:], "\r\n")
		}
		return text[at : end+2]
	}
	for what, c := range map[string]struct{ text, reason string }{
		"AUT-020 i=51":               {set(51) + letter, "from 1 to 50"},
		"AUT-020 missing i=2":        {set(3) + one, "set 2: it has no"},
		"AUT-020 duplicate":          {line(one, "ARC-Seal:") + one, "more than one ARC-Seal"},
		"AUT-020 cv=pass at i=1":     {set(1) + letter, "it is the first, and does not say cv=none"},
		"AUT-020 cv=none at i=2":     {strings.Replace(two, "cv=pass", "cv=none", 1), "it is not the first"},
		"AUT-020 1000 sets":          {many(1000), "from 1 to 50"},
		"AUT-020 1000 of one":        {strings.Repeat(set(1), 1000) + letter, "more than one"},
		"AUT-020 50 sets of nothing": {many(50), "the first, and does not say cv=none"},
		"AUT-020 no seal":            {strings.Replace(one, line(one, "ARC-Seal:"), "", 1), "it has no ARC-Seal"},
		"AUT-020 cv=fail":            {strings.Replace(two, "cv=pass", "cv=fail", 1), "had failed before"},
		"AUT-020 partial body":       {strings.Replace(one, "ARC-Message-Signature: i=1;", "ARC-Message-Signature: i=1; l=3;", 1), "only a part of the body"},
		"AUT-020 huge number":        {strings.Replace(one, "i=1;", "i=99999999999999999999999999999;", 1), "from 1 to 50"},
	} {
		t.Run(what, func(t *testing.T) {
			w.asked.Store(0)
			r := w.verify(c.text, Options{})
			if r.Status != Fail || !strings.Contains(r.Reason, c.reason) || w.asked.Load() != 0 {
				t.Errorf("%s, %d look-ups; %q expected, and none", r, w.asked.Load(), c.reason)
			}
		})
	}
	t.Run("AUT-020 a bad AMS costs the look-ups of one set", func(t *testing.T) {
		w.asked.Store(0)
		if r := w.verify(strings.Replace(two, "hello", "bye", 1), Options{}); r.Status != Fail || w.asked.Load() != 1 {
			t.Errorf("%s, %d look-ups", r, w.asked.Load())
		}
	})
	t.Run("AUT-020 a bad AMS of an old hop does not count", func(t *testing.T) {
		text, err := w.seal(t, strings.Replace(one, "hello", "bye", 1), "two.example", Pass, passed("x"))
		must(t, err)
		if r := w.verify(text, Options{}); r.Status != Pass {
			t.Error(r)
		}
	})
}

// TestKeys: what is wrong with a key, and what is wrong with the DNS.
func TestKeys(t *testing.T) {
	w := newWorld(t, "one.example", "two.example")
	text := w.chain(t, letter, "one.example", "two.example")
	name := "s._domainkey.two.example"
	good := w.records[name]
	for reason, record := range map[string]string{
		"withdrawn": "v=DKIM1; p=", "may not be used with this hash": "v=DKIM1; h=sha1; " + good[len("v=DKIM1; "):], "not for mail": "v=DKIM1; s=tlsrpt; " + good[len("v=DKIM1; "):],
		"of another kind": w.records["s._domainkey.one.example"], "or the key is another one": newWorld(t, "x.example", "y.example").records["s._domainkey.y.example"],
	} {
		w.records[name] = record
		if r := w.verify(text, Options{}); r.Status != Fail || !strings.Contains(r.Reason, reason) {
			t.Errorf("%s: %s", reason, r)
		}
	}
	w.records[name] = good
	if r := w.verify(text, Options{MinBits: 2048}); r.Status != Fail || !strings.Contains(r.Reason, "its key has 1024 bits") {
		t.Error(r)
	}
	w.down = true
	if r := w.verify(text, Options{}); r.Status != TempError {
		t.Errorf("INV-05: the DNS is down: %s", r)
	}
}

// TestEnds: a chain that failed is sealed once more, for those to come, and one of 50 sets
// is not.
func TestEnds(t *testing.T) {
	w := newWorld(t, "one.example", "two.example", "three.example")
	broken := strings.Replace(w.chain(t, letter, "one.example"), "hello", "bye", 1)
	text, err := w.seal(t, broken, "two.example", Fail, passed("two.example"))
	must(t, err)
	if !strings.HasPrefix(text, "ARC-Seal: i=2;") || !strings.Contains(text, "cv=fail") {
		t.Errorf("%.300s", text)
	}
	if r := w.verify(text, Options{}); r.Status != Fail {
		t.Error(r)
	}
	if _, err := w.seal(t, text, "three.example", Fail, passed("x")); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	gap := "ARC-Seal: i=4; cv=pass\r\n" + letter
	text, err = w.seal(t, gap, "two.example", Fail, passed("two.example"))
	must(t, err)
	if !strings.HasPrefix(text, "ARC-Seal: i=5;") {
		t.Errorf("%.100s", text)
	}
	if _, err := w.seal(t, text, "three.example", Fail, passed("x")); !errors.Is(err, ErrEnded) {
		t.Errorf("a chain with a gap that ended: %v", err)
	}
	long := letter
	for i := range maxSets {
		cv := Pass
		if i == 0 {
			cv = None
		}
		long, err = w.seal(t, long, "one.example", cv, passed("x"))
		must(t, err)
	}
	if r := w.verify(long, Options{Oldest: true}); r.Status != Pass || len(r.Sets) != maxSets {
		t.Error(r)
	}
	if _, err := w.seal(t, long, "two.example", Pass, passed("x")); !errors.Is(err, ErrEnded) {
		t.Errorf("AUT-020 i=51: %v", err)
	}
	for _, cv := range []Status{Pass, Fail, TempError, ""} {
		if _, err := w.seal(t, letter, "one.example", cv, passed("x")); !errors.Is(err, ErrUnknown) {
			t.Errorf("no chain, cv=%s: %v", cv, err)
		}
	}
	if _, err := w.seal(t, broken, "one.example", None, passed("x")); !errors.Is(err, ErrUnknown) {
		t.Errorf("there is a chain, and cv=none: %v", err)
	}
}

func FuzzChain(f *testing.F) {
	w := newWorld(f, "one.example", "two.example")
	f.Add(w.chain(f, letter, "one.example", "two.example"))
	f.Add("ARC-Seal: i=51; cv=pass\r\nARC-Seal: ;;\r\nARC-Message-Signature: i=1; h=:;\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := w.verify(text, Options{Oldest: true})
		if (r.Status == Fail || r.Status == TempError) != (r.Reason != "") || len(r.Sets) > maxSets {
			t.Errorf("%+v", r)
		}
		again, err := w.seal(t, text, "one.example", r.Status, passed("x"))
		if err != nil {
			return
		}
		want := Pass
		if r.Status == Fail {
			want = Fail
		}
		if got := w.verify(again, Options{}); got.Status != want && message.HeaderEnd([]byte(text)) < len(text) {
			t.Errorf("sealed after %s: %s", r, got)
		}
	})
}

func TestDoubling(t *testing.T) {
	w := newWorld(t, "one.example", "two.example")
	chain := w.chain(t, letter, "one.example", "two.example")
	for _, unit := range []string{"ARC-Seal: i=1; cv=none;\r\n", "ARC-Authentication-Results: i=1; x; " + strings.Repeat("(", 100) + "\r\n", "ARC-Message-Signature: " + strings.Repeat("a;", 30) + "\r\n", "Received: x\r\n"} {
		doubling.Check(t, strings.TrimSpace(unit[:12]), 64<<10, func(n int) func() {
			text := strings.Repeat(unit, n/len(unit)+1) + chain
			return func() { w.verify(text, Options{Oldest: true}) }
		})
	}
}

// BenchmarkVerify is a chain of two sets over a letter of 10 KB, besides the DNS.
func BenchmarkVerify(b *testing.B) {
	w := newWorld(b, "one.example", "two.example")
	text := w.chain(b, letter+strings.Repeat("A line of a letter that somebody wrote.\r\n", 250), "one.example", "two.example")
	b.ReportAllocs()
	for b.Loop() {
		if r := w.verify(text, Options{}); r.Status != Pass {
			b.Fatal(r)
		}
	}
}
