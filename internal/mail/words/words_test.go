package words

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
	"facteur/internal/test/doubling"
)

// read makes the tokens of a letter as it came.
func read(letter string) *Tokens {
	b := []byte(letter)
	h := message.Header(b[:message.HeaderEnd(b)])
	return Read(content.Read(bytes.NewReader(b), message.ParseBytes(b, message.Limits{}), h, content.Limits{}), h)
}

func texts(v *View) (all []string) {
	for _, t := range v.tokens {
		all = append(all, v.text(t))
	}
	return all
}

// words are the single words of a text.
func wordsOf(text string) (all []string) {
	r := newReader(maxWords, 100)
	r.text(text)
	for _, t := range r.view.tokens {
		if t.kind == single {
			all = append(all, r.view.text(t))
		}
	}
	return all
}

func TestWordsOfAText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"See you on Tuesday", "see you on tuesday"},
		{"Économisez à l'étranger", "economisez l'etranger"},
		{"v\u200bi\u00ada\u2060gra", "viagra"},
		{"ｆｒｅｅ 𝐦𝐨𝐧𝐞𝐲", "free money"},
		{"раypаl", "paypal"}, // р and а are Cyrillic
		{"Встреча в четверг", "встреча в четверг"},
		{"会议改期", "会议 议改 改期"},
		{"Eメール会議", "メー ール ル会 会議"},
		{"only $1,999.99 or 20% or €5!", "only <thousands> or <per cent> <price>"},
		{"https://example.net/a write bob@example.net", "<link> write <address>"},
		{"FREE!!! now?", "free !! now"},
		{"in 24 hours of 2024", "in 24 hours of <number>"},
		{strings.Repeat("x", 31), "<long>"},
	} {
		if got := strings.Join(wordsOf(c.text), " "); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestPairsStandNear(t *testing.T) {
	t.Parallel()
	r := newReader(maxWords, 100)
	r.text("buy this pill now")
	want := []string{"buy", "this", "buy this", "pill", "buy pill", "this pill", "now", "this now", "pill now"}
	if got := texts(r.view); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// made are the tokens of all that a letter does not say.
func made(t *Tokens) []string { return append(texts(&t.Heading), texts(&t.Shape)...) }

// No token stands in two views, and what the subject says speaks in one alone: else one
// thing would condemn a letter by two voices.
func TestViewsShareNothing(t *testing.T) {
	t.Parallel()
	tokens := read("From: a@example.org\nSubject: you won a prize\n\nsee https://example.org/prize")
	seen := map[uint64]bool{}
	for _, h := range tokens.Hashes() {
		if seen[h] {
			t.Error("a token stands twice")
		}
		seen[h] = true
	}
	if got := texts(&tokens.Heading); !slices.Contains(got, "subject:prize") || !slices.Contains(got, "from host example.org") {
		t.Errorf("the header is missing in %q", got)
	}
	if got := texts(&tokens.Words); slices.Contains(got, "prize") {
		t.Errorf("the subject is among %q", got)
	}
	if got := texts(&tokens.Shape); !slices.Contains(got, "place prize") || slices.Contains(got, "subject:prize") {
		t.Errorf("the shape is %q", got)
	}
}

func TestShapeOfALetter(t *testing.T) {
	t.Parallel()
	got := made(read("From: \"WIN\" <a1234@sub.example.org>\nTo: bob@example.net\nReply-To: x@elsewhere.example\nSubject: YOU WON 1000 POUNDS!\nContent-Type: text/html\n\n<a href=\"http://192.0.2.1/\">here</a>"))
	for _, want := range []string{"no date", "no message-id", "subject in capitals", "reply elsewhere", "from with digits", "link to a number", "is text/html", "from host example.org", "to 1",
		"subject:won", "not came by author's host", "not links to author's host", "from name win"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
}

// What is right elsewhere is no mark of spam: a name in a writing without capitals, an
// address to write to, a date in Greenwich.
func TestShapeIsFair(t *testing.T) {
	t.Parallel()
	got := made(read("From: \u5c71\u7530\u592a\u90ce <yamada@mail.example.org>\nDate: Thu, 22 Aug 2002 21:23:14 GMT\nMessage-ID: <a@mx.example.org>\n" +
		"Received: from mx.example.org (mx.example.org [192.0.2.7]) by here.example.net with SMTP/8.12.5\n" +
		"Subject: a\nContent-Type: text/html\n\n<a href=\"mailto:a@example.org\">a</a> <a href=\"https://www.example.org/shop/list?id=123456\">b</a>"))
	for _, want := range []string{"came by author's host", "began at author's host", "message-id of author's host", "links to author's host", "date in GMT", "place shop", "place (code)"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	for _, not := range []string{"from in capitals", "link with a port", "link with @", "date without zone", "by host 8.12.5"} {
		if slices.Contains(got, not) {
			t.Errorf("%q is in %q", not, got)
		}
	}
}

// A language is told once, and a charset that only one is written in does not say it again;
// a firm's name in a text of a writing without capitals is no shout.
func TestShapeIsFairToLanguages(t *testing.T) {
	t.Parallel()
	got := made(read("From: a@example.org\nSubject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\nContent-Type: text/plain; charset=utf-8\n\n" +
		strings.Repeat("\u304a\u4e16\u8a71\u306b\u306a\u3063\u3066\u304a\u308a\u307e\u3059\u3002", 20) + " OPENTEXT TEL FAX"))
	for _, want := range []string{"language ja", "charset utf-8", "capitals 0"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	if slices.Contains(got, "subject in iso-2022-jp") {
		t.Errorf("the language is told twice: %q", got)
	}
}

// A letter of which hardly anything is known is not judged by the little that is.
func TestMostlyUnknownIsUnsure(t *testing.T) {
	t.Parallel()
	letters := map[string]bool{}
	for i := range 100 {
		letters[fmt.Sprintf("cheap gizmo offer %d buy gizmo today", 100+i)] = true
		letters[fmt.Sprintf("minutes of meeting %d attached for review", 100+i)] = false
	}
	layer := taught(letters)
	known := Judge(&read("\ngizmo offer").Words, nil, layer).Odds
	lost := Judge(&read("\ngizmo offer qwx zpt vlk mrn dsf ahd bge cif djk elo fmp gnq hor").Words, nil, layer).Odds
	if known <= 0 || lost > known*2/3 {
		t.Errorf("odds %.2f, among words that nobody knows %.2f", known, lost)
	}
}

func TestHiddenTextGivesNoWords(t *testing.T) {
	t.Parallel()
	got := texts(&read("Subject: a\nContent-Type: text/html\n\n<p>buy pills</p><div style=\"display:none\">meeting minutes</div>").Words)
	if !slices.Contains(got, "pills") || slices.Contains(got, "meeting") {
		t.Errorf("%q", got)
	}
}

func TestBoundsOfALetter(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&many, "w%x ", i)
	}
	for name, text := range map[string]string{
		"MAP-014 a million different words": many.String(),
		"MAP-014 one giant word":            strings.Repeat("x", 1<<20),
		"MAP-014 a giant chunk of words":    strings.Repeat("x-", 1<<19),
		"MAP-014 characters without spaces": strings.Repeat("会", 1<<18),
	} {
		t.Run(name, func(t *testing.T) {
			tokens := read("Subject: a\nContent-Type: text/plain; charset=utf-8\n\n" + text)
			if n := len(tokens.Hashes()); n > MaxTokens {
				t.Errorf("%d tokens", n)
			}
			for _, s := range texts(&tokens.Words) {
				if len(s) > 4*longWord {
					t.Errorf("a token of %d bytes", len(s))
				}
			}
		})
	}
	t.Run("MAP-014 a million header fields", func(t *testing.T) {
		if n := read(strings.Repeat("X-A: b\n", 1<<18) + "\n").Heading.Len(); n > maxHeading {
			t.Errorf("%d tokens", n)
		}
	})
}

// taught is a layer that learnt some letters.
func taught(letters map[string]bool) Layer {
	l := Layer{Name: "server"}
	counts := map[uint64][2]uint32{}
	for text, spam := range letters {
		n, which := &l.Ham, 1
		if spam {
			n, which = &l.Spam, 0
		}
		*n++
		for _, h := range read("Subject: a\n\n" + text).Hashes() {
			c := counts[h]
			c[which]++
			counts[h] = c
		}
	}
	l.Count = func(h uint64) (uint32, uint32) { return counts[h][0], counts[h][1] }
	return l
}

func TestWhatWasLearntCounts(t *testing.T) {
	t.Parallel()
	letters := map[string]bool{}
	for i := range 15 {
		letters[fmt.Sprintf("cheap gizmo offer %d buy gizmo today", 100+i)] = true
		letters[fmt.Sprintf("minutes of meeting %d attached for review", 100+i)] = false
	}
	layer := taught(letters)
	odds := func(text string, layers ...Layer) float64 {
		return Judge(&read("\n"+text).Words, nil, layers...).Odds
	}
	if o := odds("gizmo offer today", layer); o < 0.2 {
		t.Errorf("row 175: spam has odds %.2f", o)
	}
	if o := odds("minutes of the meeting", layer); o > -0.2 {
		t.Errorf("row 175: other mail has odds %.2f", o)
	}
	if o := odds("ornithology quarterly", layer); o != 0 {
		t.Errorf("words that nobody knows have odds %.2f", o)
	}
	if o := odds("gizmo offer today"); o != 0 {
		t.Errorf("without layers: %.2f", o)
	}
	mine := map[string]bool{}
	for i := range 10 {
		mine[fmt.Sprintf("gizmo offer %d as ordered", 500+i)] = false
	}
	if server, own := odds("gizmo offer today", layer), odds("gizmo offer today", layer, taught(mine)); own > server*2/3 {
		t.Errorf("row 175: who sells gizmos still has odds %.2f (%.2f)", own, server)
	}
}

func TestWordSalad(t *testing.T) {
	t.Parallel()
	prior, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	pitch := "Dear friend, buy cheap viagra online without prescription. Click here now to order today! 100% money back guarantee. Limited offer, act now and save up to 80%. "
	var salad strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&salad, "%s%s ", []string{"bor", "tal", "gri", "mon", "vel"}[i%5], []string{"dem", "fas", "lop", "qui"}[i%4])
	}
	alone := Judge(&read("Subject: order now\n\n"+pitch).Words, prior).Odds
	with := Judge(&read("Subject: order now\n\n"+pitch+salad.String()).Words, prior).Odds
	if alone < 1 || with < alone/2 {
		t.Errorf("odds %.2f alone, %.2f with salad", alone, with)
	}
}

func TestPriorAsAFile(t *testing.T) {
	t.Parallel()
	p := NewPrior([]Feature{{Print: 7 << 16, Weight: -3, Spam: 1, Ham: 200}, {Print: 1, Weight: 64}, {Print: math.MaxUint32, Weight: 1}})
	b := p.Append(nil)
	again, err := ParsePrior(b)
	if err != nil || !slices.Equal(again.features, p.features) {
		t.Fatalf("%v, %v", again, err)
	}
	for _, f := range p.features {
		if got, ok := again.find(&token{hash: uint64(f.Print) << 32}); !ok || got != f {
			t.Errorf("%x: %v", f.Print, got)
		}
	}
	if _, ok := again.find(&token{hash: 7 << 48, kind: author}); ok {
		t.Error("a prior knows nobody's name")
	}
	for _, bad := range [][]byte{nil, b[1:], b[:len(b)-1]} {
		if _, err := ParsePrior(bad); err == nil {
			t.Errorf("%d bytes were read", len(bad))
		}
	}
}

// TestHashesStay: counts are kept by these numbers.
func TestHashesStay(t *testing.T) {
	t.Parallel()
	for got, want := range map[uint64]uint64{
		hash(seedWord, "bonjour"):                                 0xe2eabc0d32cc550c,
		hash(seedShape, "no date"):                                0xe75ac44c67318453,
		hashPair(hash(seedWord, "click"), hash(seedWord, "here")): 0x5a56b86c4dddcda9,
	} {
		if got != want {
			t.Errorf("%#x, want %#x", got, want)
		}
	}
}

func TestReadingTakesLinearTime(t *testing.T) {
	for _, unit := range []string{"a ", "会", "$", "a@b ", "=?", "<b>x</b>", "' "} {
		doubling.Check(t, unit, 4<<10, func(n int) func() {
			l := &content.Letter{Subject: strings.Repeat(unit, n/40), Text: strings.Repeat(unit, n/4)}
			h := message.Header("To: " + strings.Repeat(unit, n/4) + "\nReceived: " + strings.Repeat(unit, n/4) + "\n\n")
			return func() { Read(l, h) }
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add("From: a <b@c>\nSubject: =?utf-8?q?=C3=A9?=\n\nВстреча 会议 $1,000!!")
	f.Add("To: x\nContent-Type: text/html\n\n<p>\u200bé</p>")
	f.Fuzz(func(t *testing.T, letter string) {
		tokens := read(letter)
		hashes := tokens.Hashes()
		if len(hashes) > MaxTokens {
			t.Fatalf("%d tokens", len(hashes))
		}
		slices.Sort(hashes)
		if len(slices.Compact(hashes)) != len(tokens.Hashes()) {
			t.Fatal("a token stands twice")
		}
		layer := Layer{Spam: 3, Ham: 4, Count: func(h uint64) (uint32, uint32) { return uint32(h % 4), uint32(h % 5) }}
		for _, v := range tokens.Views() {
			if o := Judge(v, nil, layer); math.IsNaN(o.Odds) || math.IsInf(o.Odds, 0) || len(o.Words) > wordsTold {
				t.Fatalf("%v", o)
			}
		}
	})
}
