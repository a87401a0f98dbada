package imapd

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/collate"
	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
	"facteur/internal/store/mailbox"
)

// oracle answers searches in the plainest way: every letter is read and parsed for
// every key.
type oracle struct {
	t    testing.TB
	view *mailbox.View
	now  time.Time
}

func (o *oracle) run(k *imap.SearchKey) (seqs []uint32) {
	for seq := uint32(1); seq <= o.view.Len(); seq++ {
		l := o.view.Letter(seq)
		r, err := o.view.Open(context.Background(), l.UID)
		if err != nil {
			o.t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			o.t.Fatal(err)
		}
		if o.meets(k, seq, l, string(text)) {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

func (o *oracle) meets(k *imap.SearchKey, seq uint32, l mailbox.Letter, text string) bool {
	has := func(text string) bool { return strings.Contains(collate.Fold(text), collate.Fold(k.Text)) }
	head, _, _ := message.ReadHeader(strings.NewReader(text), 1<<20)
	day := func(t time.Time) int {
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Compare(k.Date)
	}
	switch k.Op {
	case imap.SearchAnd:
		return !slices.ContainsFunc(k.Keys, func(x imap.SearchKey) bool { return !o.meets(&x, seq, l, text) })
	case imap.SearchOr:
		return slices.ContainsFunc(k.Keys, func(x imap.SearchKey) bool { return o.meets(&x, seq, l, text) })
	case imap.SearchNot:
		return !o.meets(&k.Keys[0], seq, l, text)
	case imap.SearchAll:
		return true
	case imap.SearchSeq:
		return k.Set.Resolve(o.view.Len()).Contains(seq)
	case imap.SearchUID:
		return k.Set.Resolve(o.view.Letter(o.view.Len()).UID).Contains(l.UID)
	case imap.SearchFlag:
		bits := map[string]mailbox.SystemFlags{`\Seen`: mailbox.Seen, `\Flagged`: mailbox.Flagged}
		return l.Flags.System&bits[k.Text] != 0 || slices.Contains(l.Flags.Keywords, strings.ToLower(k.Text))
	case imap.SearchBefore:
		return day(l.Received) < 0
	case imap.SearchSince:
		return day(l.Received) >= 0
	case imap.SearchLarger:
		return int64(len(text)) > k.Size
	case imap.SearchSmaller:
		return int64(len(text)) < k.Size
	case imap.SearchSentOn:
		t, ok := message.ParseDate(head.Get("Date"))
		return ok && day(t) == 0
	case imap.SearchHeader:
		return slices.ContainsFunc(head.All(k.Field), func(v string) bool { return has(message.DecodeText(v)) })
	case imap.SearchBody:
		return o.bodyHas(text, has)
	case imap.SearchText:
		return headerHas(head, has) || o.bodyHas(text, has)
	}
	o.t.Fatalf("the oracle does not know key %d", k.Op)
	return false
}

func headerHas(head message.Header, has func(string) bool) bool {
	for f := range head.Fields() {
		if has(string(f.Name) + ": " + message.DecodeText(f.Text())) {
			return true
		}
	}
	return false
}

func (o *oracle) bodyHas(text string, has func(string) bool) bool {
	tree, err := message.Parse(strings.NewReader(text), message.Limits{})
	if err != nil {
		o.t.Fatal(err)
	}
	return partHas(text, tree, has)
}

func partHas(text string, p *message.Part, has func(string) bool) bool {
	for _, kid := range p.Children {
		if p.Message() && headerHas(message.Header(text[kid.Header:kid.Body]), has) || partHas(text, kid, has) {
			return true
		}
	}
	if len(p.Children) > 0 || p.Type != "text" && p.Type != "message" && p.Type != "multipart" {
		return false
	}
	decoded, _ := io.ReadAll(message.ToUTF8(p.Param("charset"), message.DecodeTransfer(p.Encoding, strings.NewReader(text[p.Body:p.End]))))
	return has(string(decoded))
}

// scribe writes letters and searches at random.
type scribe struct{ *rand.Rand }

var scribeWords = strings.Fields("lunch Lunch invoice Rechnung Äpfel äpfel café cafe Straße STRASSE ﬁne fine 東京 привет ПРИВЕТ the a of ½ naïve re: fwd: 2026 x-y q=3D \u00a0 =? İstanbul i̇stanbul ıI oﬃce e\u0301te\u0301 Ａｂｃ ǆ ΣΑΣ σας ỗ o\u0302\u0303 한국 こんにちは \u200b 𝐀 K Å")

func (r scribe) one(list ...string) string { return list[r.IntN(len(list))] }

func (r scribe) text(most int) string {
	var words []string
	for range 1 + r.IntN(most) {
		words = append(words, scribeWords[r.IntN(len(scribeWords))])
	}
	return strings.Join(words, r.one(" ", " ", " ", "\n", ""))
}

func (r scribe) word(charset, text string) string {
	return "=?" + charset + "?b?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
}

func (r scribe) field() string {
	line := strings.ReplaceAll(r.text(5), "\n", "\n ")
	switch r.IntN(4) {
	case 0:
		return r.word("utf-8", line)
	case 1:
		return line + "\n\t" + r.word("utf-8", "é") + " " + r.word("iso-8859-1", "\xe9t\xe9")
	}
	return line
}

func (r scribe) part(depth int) string {
	switch r.IntN(13) {
	case 0:
		return "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(r.text(40))) + "\n"
	case 1:
		qp := strings.NewReplacer("=", "=3D", "é", "=C3=A9", "n", "=\nn").Replace(r.text(40))
		return "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" + qp + "\n"
	case 2:
		return "Content-Type: text/plain; charset=iso-8859-1\n\n" + strings.NewReplacer("é", "\xe9", "Ä", "\xc4", "½", "\xbd").Replace(r.text(30)) + "\n"
	case 3:
		return "Content-Type: image/png\n\n" + r.text(10) + "\n"
	case 9:
		return "Content-Type: text/plain; charset=iso-2022-jp\n\nlunch \x1b$B$3$s$K$A$O\x1b(B " + strings.Map(ascii, r.text(10)) + "\n"
	case 10: // a charset that hides text, and one with an octet too few
		return "Content-Type: text/plain; charset=" + r.one("utf-7", "utf-16le", "x-unknown", "gb18030") + "\n\n+AMQ-pfel " + r.text(10) + "\xe3\x81"
	case 11: // broken in the middle
		text := base64.StdEncoding.EncodeToString([]byte(r.text(40)))
		return "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + text[:len(text)/2] + r.one("*", "\n\n", "=", "==\n", "\xff") + text[len(text)/2:] + r.one("", "A", "\n")
	case 12: // the border never comes
		return "Content-Type: multipart/mixed; boundary=never\n\n--never\n\n" + r.text(10) + r.one("", "\n--neve", "\n--never-")
	case 4, 5:
		if depth < 3 {
			return fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\npreamble lunch\n--b%[1]d\n%s\n--b%[1]d\n%s\n--b%[1]d--\n", depth, r.part(depth+1), r.part(depth+1))
		}
	case 6:
		if depth < 3 {
			return "Content-Type: message/rfc822\n\nSubject: " + r.field() + "\n" + r.part(depth+1)
		}
	}
	return r.one("", "Content-Type: text/plain; charset=utf-8\n") + "\n" + r.text(60) + "\n"
}

func ascii(r rune) rune {
	if r > 0x7e {
		return '?'
	}
	return r
}

func (r scribe) letter() string {
	text := fmt.Sprintf("Subject: %s\nFrom: %s <x@example.org>\nX-Odd: %s\nDate: Tue, %d Feb 1994 10:00:00 +0000\n%s", r.field(), r.field(), r.field(), 1+r.IntN(3), r.part(0))
	if r.IntN(25) == 0 {
		text += strings.Repeat("filler äö\n", 30000) + r.text(3)
	}
	if r.IntN(2) == 0 {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

func (r scribe) key(depth int) string {
	quote := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(s) + `"`
	}
	switch n := r.IntN(17); {
	case depth < 3 && n == 0:
		return "NOT " + r.key(depth+1)
	case depth < 3 && n == 1:
		return "OR " + r.key(depth+1) + " " + r.key(depth+1)
	case depth < 3 && n == 2:
		return "(" + r.key(depth+1) + " " + r.key(depth+1) + ")"
	case n == 3:
		return r.one("SEEN", "UNSEEN", "FLAGGED", "UNKEYWORD work", "KEYWORD WORK", "ALL")
	case n == 4:
		return r.one("2:5", "UID 3:*", "*", "1,7,9:12", "UID 1:4,8")
	case n == 5:
		return r.one("LARGER 400", "SMALLER 900", "SINCE 14-Nov-2023", "BEFORE 14-Nov-2023", "SENTON 2-Feb-1994")
	case n == 6:
		return "SUBJECT " + quote(r.text(2))
	case n == 7:
		return "HEADER X-Odd " + quote(r.text(1))
	case n == 8:
		return r.one(`HEADER X-None ""`, `HEADER X-Odd ""`, "FROM x@EXAMPLE")
	case n == 9:
		return "BODY " + quote(scribeWords[r.IntN(len(scribeWords))][:1])
	case n < 13:
		return "BODY " + quote(r.text(2))
	}
	return "TEXT " + quote(r.text(2))
}

// TestOracle compares searches with the plain way, on mailboxes and keys at random.
func TestOracle(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := scribe{rand.New(rand.NewPCG(seed, 1))}
	h := open(t, nil)
	cur := filepath.Join(h.owner.Home, "Maildir", "cur")
	if err := os.MkdirAll(cur, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		name := fmt.Sprintf("%d.M%dP1.x:2,%s", 1_699_900_000+i*5000, i, rng.one("", "S", "F", "FS"))
		if err := os.WriteFile(filepath.Join(cur, name), []byte(rng.letter()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := h.store.Open(t.Context(), h.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	v, err := a.Select(t.Context(), "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := v.Store(t.Context(), []uint32{2, 3, 5, 8}, mailbox.FlagsAdd, mailbox.Flags{Keywords: []string{"work"}}); err != nil {
		t.Fatal(err)
	}
	o := &oracle{t: t, view: v}
	var keys []string
	for range 100 {
		keys = append(keys, rng.key(0))
	}
	compare := func(name string) {
		t.Run(name, func(t *testing.T) {
			for _, key := range keys {
				compareSearch(t, o, key)
			}
		})
	}
	compare("without an index")
	if _, err := indexPage(t.Context(), v, []uint32{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31}); err != nil {
		t.Fatal(err)
	}
	compare("half of an index")
	index(t.Context(), v)
	r := v.Texts().Reader(t.Context(), v.UIDValidity())
	for uid := range uint32(40) {
		if !r.Page(uid + 1).Has(indexed(v.Letter(uid + 1))) {
			t.Errorf("UID %d is not in the index", uid+1)
		}
	}
	r.Close()
	compare("with an index")
}

func compareSearch(t *testing.T, o *oracle, text string) {
	t.Helper()
	s, err := imap.ParseSearchKeys(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	q := newQuery(o.view, &s.Key, nil)
	q.index, q.few = true, 0
	got, err := q.all(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if want := o.run(&s.Key); !slices.Equal(got, want) {
		t.Errorf("%s\n got %v\nwant %v", text, got, want)
	}
}
