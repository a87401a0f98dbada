package words

import (
	"bytes"
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
	"facteur/internal/mail/words"
)

func shipped(t testing.TB) *words.Prior {
	t.Helper()
	p, err := words.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// letterOf is a letter as a check sees it at the end.
func letterOf(text string, accounts ...string) *filter.Letter {
	b := []byte(text)
	l := &filter.Letter{Header: message.Header(b[:message.HeaderEnd(b)]), Message: bytes.NewReader(b), Size: int64(len(b))}
	l.Content = func() *content.Letter {
		return content.Read(bytes.NewReader(b), message.ParseBytes(b, message.Limits{}), l.Header, content.Limits{})
	}
	for _, a := range accounts {
		l.Recipients = append(l.Recipients, filter.Recipient{Account: a})
	}
	return l
}

// letters are those of a file in testdata. They were written for this test: nothing was
// trained on them.
func letters(t testing.TB, name string) []string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(string(b), "From MAILER-DAEMON ")[1:]
	for i, l := range all {
		_, all[i], _ = strings.Cut(l, "\n")
	}
	return all
}

// remarks are what the checks of these names say of a letter.
func remarks(t testing.TB, learnt Learnt, l *filter.Letter, names ...string) (all []filter.Remark) {
	for _, c := range Checks(learnt) {
		if slices.Contains(names, c.Name()) {
			all = append(all, c.Examine(t.Context(), l)...)
		}
	}
	return all
}

// score is what all checks say of a letter, by the prior alone.
func score(t testing.TB, p *words.Prior, text string) (sum float64) {
	for _, r := range remarks(t, Learnt{Prior: p}, letterOf(text), "words", "heading", "shape") {
		sum += r.Score
	}
	return sum
}

// Letters from elsewhere: the corpus is of 2002, and nearly all English. No wanted letter may
// come near the level junk, and of spams two in three have to be heard of. With -v it tells
// what docs/BENCHMARKS.md has.
func TestRow175LettersFromElsewhere(t *testing.T) {
	t.Parallel()
	for _, set := range []struct {
		name    string
		hamMost float64
	}{
		{"", 3},
		{"today-", 2},
	} {
		ham, spam := totals(t, set.name+"ham.mbox"), totals(t, set.name+"spam.mbox")
		t.Logf("%sham.mbox: %d letters, %d from 1 on, most %.1f", set.name, len(ham), from(ham, 1), slices.Max(ham))
		t.Logf("%sspam.mbox: %d letters, %d from 1 on, %d from 3 on, %d from 5 on", set.name, len(spam), from(spam, 1), from(spam, 3), from(spam, 5))
		for i, score := range ham {
			if score >= set.hamMost {
				t.Errorf("wanted letter %d of %sham.mbox has %.1f", i+1, set.name, score)
			}
		}
		if n := from(spam, 1); n < len(spam)*2/3 {
			t.Errorf("%d of %d letters of %sspam.mbox have a score of 1", n, len(spam), set.name)
		}
	}
}

// totals are what the checks say together of each letter of a file.
func totals(t testing.TB, name string) (all []float64) {
	t.Helper()
	p := shipped(t)
	for _, text := range letters(t, name) {
		all = append(all, score(t, p, text))
	}
	return all
}

// from is how many scores are of least or more.
func from(scores []float64, least float64) (n int) {
	for _, s := range scores {
		if s >= least {
			n++
		}
	}
	return n
}

func TestUnknownIsUnsure(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"zxqv wkrtp blomf ghrnk",
		"Ogloszenie qwertz uiopue asdfgh",
	} {
		l := letterOf("From: a@example.org\nTo: b@example.net\nSubject: " + text + "\n\n" + text)
		for _, r := range remarks(t, Learnt{Prior: shipped(t)}, l, "words") {
			if r.Score > 0.5 || r.Score < -0.5 {
				t.Errorf("%q has %.1f", text, r.Score)
			}
		}
	}
}

func TestNoViewCondemns(t *testing.T) {
	t.Parallel()
	text := "Subject: FREE VIAGRA!!!\n\n" + strings.Repeat("Click here to order cheap viagra now, 100% money back guarantee, remove me. ", 50)
	for _, r := range remarks(t, Learnt{Prior: shipped(t)}, letterOf(text), "words", "heading", "shape") {
		if r.Score > 4.5 || r.Check == "words" && r.Score <= 0 {
			t.Errorf("%+v", r)
		}
	}
}

// Where nothing was learnt, a form that looks like spam is not half of a verdict: honest
// letters of other languages and programs may look so.
func TestAnUntaughtServerMindsFormLess(t *testing.T) {
	t.Parallel()
	form := letterOf("From: a@example.org\nSubject: x\nContent-Type: text/html; charset=us-ascii\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString([]byte("<html><script>x()</script><img src='http://192.0.2.1/a.gif'><font color=red size=7><a href='http://192.0.2.1:8080/?a@b'>x</a>")))
	shape := func(l Learnt) float64 {
		all := remarks(t, l, form, "shape")
		if len(all) == 0 {
			t.Fatal("the form says nothing")
		}
		return all[0].Score
	}
	if s := shape(Learnt{Prior: shipped(t)}); s != untaughtMost {
		t.Errorf("%.1f, want %d", s, untaughtMost)
	}
	taught := func(owner string) words.Layer {
		return words.Layer{Name: owner, Spam: 500, Ham: 500, Count: func(uint64) (uint32, uint32) { return 0, 0 }}
	}
	if s := shape(Learnt{Prior: shipped(t), Layer: taught}); s <= untaughtMost {
		t.Errorf("once much was learnt: %.1f", s)
	}
}

func TestWordsAreToldEncoded(t *testing.T) {
	t.Parallel()
	learnt := Learnt{Layer: func(owner string) words.Layer {
		return words.Layer{Name: owner, Spam: 100, Ham: 100, Count: func(uint64) (uint32, uint32) { return 90, 1 }}
	}}
	told := remarks(t, learnt, letterOf("Subject: a\n\névil привет \u202egnp.exe w\u0007rd", "alice@example.net"), "words")
	if len(told) == 0 || told[0].Score <= 0 || !strings.Contains(told[0].Sentence, `"evil"`) {
		t.Fatalf("%+v", told)
	}
	for _, r := range told {
		if strings.ContainsAny(r.Sentence, "\n\r\u0007\u202e") {
			t.Errorf("%q", r.Sentence)
		}
	}
}

// MAP-014: what one account has learnt is told to nobody else.
func TestWhatAnAccountLearnt(t *testing.T) {
	t.Parallel()
	learnt := Learnt{Layer: func(owner string) words.Layer {
		if owner != "alice@example.net" {
			return words.Layer{Name: owner}
		}
		return words.Layer{Name: owner, Spam: 50, Ham: 50, Count: func(uint64) (uint32, uint32) { return 40, 0 }}
	}}
	text := "From: shop@example.org\nSubject: gizmos for you\n\nThe new gizmos are here, come and see them in the shop before friday."
	told := remarks(t, learnt, letterOf(text, "bob@example.net", "alice@example.net", "alice@example.net", ""), "words")
	if len(told) != 1 || told[0].Of != "alice@example.net" || told[0].Score <= 0 {
		t.Errorf("MAP-014: %+v", told)
	}
	if want := "By what this account has learnt, what it says speaks more like spam: "; !strings.HasPrefix(told[0].Sentence, want) {
		t.Errorf("%s", told[0].Sentence)
	}
	if change(1, -0.2) != "less " || change(-1, -0.2) != "more " || change(-1, 0.2) != "less " {
		t.Error("the sentence says the contrary of the points")
	}
}

func BenchmarkChecks(b *testing.B) {
	p := shipped(b)
	text := letters(b, "ham.mbox")[23]
	for b.Loop() {
		score(b, p, text)
	}
}
