package quota

import (
	"math"
	"testing"
)

func TestRules(t *testing.T) {
	t.Parallel()
	account := Limits{Bytes: 1 << 30, Messages: 1000, Outside: "Expunged"}
	for _, text := range []string{"Trash:storage=+100M", "Junk:ignore", "Archive/*:storage=+50%:messages=+1000", "inbox:bytes=1000",
		"Old:storage=2048", "[Gmail]/?:messages=7", "a:b:ignore", "Tiny:storage=-2G"} {
		r, err := ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		account.Rules = append(account.Rules, r)
	}
	for mailbox, want := range map[string]Usage{
		"Sent": {1 << 30, 1000}, "Trash": {1<<30 + 100<<20, 1000}, "Archive/2024/05": {3 << 29, 2000}, "Archive": {1 << 30, 1000},
		"INBOX": {1000, 1000}, "Old": {2 << 20, 1000}, "[Gmail]/x": {1 << 30, 7}, "[Gmail]/xy": {1 << 30, 1000}, "Tiny": {1, 1000},
	} {
		if got := account.For(mailbox); got.Bytes/1024 != want.Bytes/1024 || got.Messages != want.Messages {
			t.Errorf("%s: %+v, want %+v", mailbox, got, want)
		}
	}
	for mailbox, want := range map[string]bool{"Junk": true, "a:b": true, "Expunged": true, "Trash": false, "Junk/x": false} {
		if account.Ignores(mailbox) != want {
			t.Errorf("%s: %v", mailbox, !want)
		}
	}
	for _, text := range []string{"", "Trash", "*:storage=1G", ":ignore", "Trash:storage=", "Trash:storage=0", "Trash:storage=+1X",
		"Trash:messages=1.5", "Trash:storage=99999999999T", "Trash:storage=+99999999%", "Trash:storage=++1"} {
		if r, err := ParseRule(text); err == nil {
			t.Errorf("%q: %+v", text, r)
		}
	}
}

// TestNoLimitOfARuleIsNone: an account without a limit gets none by a relative rule.
func TestNoLimitOfARuleIsNone(t *testing.T) {
	t.Parallel()
	r, _ := ParseRule("Trash:storage=+100M")
	l := Limits{Messages: 10, Rules: []Rule{r}}
	if got := l.For("Trash"); got != (Usage{0, 10}) {
		t.Errorf("%+v", got)
	}
}

func TestFree(t *testing.T) {
	t.Parallel()
	l := Limits{Bytes: 1000, Messages: 10, Grace: 10}
	for _, c := range []struct {
		used Usage
		want int64
	}{
		{Usage{0, 0}, 1100}, {Usage{999, 9}, 101}, {Usage{1000, 1}, 0}, {Usage{1099, 1}, 0}, {Usage{10, 10}, 0},
	} {
		if got := l.Free(c.used); got != c.want {
			t.Errorf("%+v: %d, want %d", c.used, got, c.want)
		}
	}
	if got := (&Limits{Messages: 3}).Free(Usage{1 << 40, 2}); got != math.MaxInt64 {
		t.Error(got)
	}
}

func FuzzRule(f *testing.F) {
	for _, s := range []string{"Trash:storage=+100M", "Junk:ignore", "A*:messages=5:bytes=-10%", "::ignore", "[:storage=1"} {
		f.Add(s, "Trash")
	}
	f.Fuzz(func(t *testing.T, text, mailbox string) {
		r, err := ParseRule(text)
		if err != nil {
			return
		}
		l := Limits{Bytes: 1 << 30, Messages: 1000, Rules: []Rule{r}}
		if most := l.For(mailbox); most.Bytes <= 0 || most.Messages <= 0 {
			t.Errorf("%q allows %s %+v: nothing, or everything", text, mailbox, most)
		}
	})
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		def  string
		sum  Usage
		ok   bool
	}{
		{"1000S,10C\n", "1000S,10C", Usage{}, true},
		{"1000S,10C\n100 1\n          50         1\n-30 -1\n", "1000S,10C", Usage{120, 1}, true},
		{"10C\n1 1\r\n", "10C", Usage{1, 1}, true},
		{"", "", Usage{}, false},
		{"1000S\n1 1", "", Usage{}, false},
		{"1000S\n1\n", "", Usage{}, false},
		{"1000S\n1 x\n", "", Usage{}, false},
		{"1000S\n-1 0\n", "1000S", Usage{-1, 0}, false},
		{"1000S\n99999999999999999999 0\n", "", Usage{}, false},
		{"1000S\n9223372036854775807 0\n", "", Usage{}, false},
	} {
		def, sum, ok := parseSizes([]byte(c.text))
		if def != c.def || sum != c.sum || ok != c.ok {
			t.Errorf("%q: %q %+v %v", c.text, def, sum, ok)
		}
	}
	if !sameDefinition("1000S,10C", "10C, 1000S") || sameDefinition("1000S", "1000S,10C") || sameDefinition("1000S", "100S") {
		t.Error("definitions")
	}
}

func FuzzSizes(f *testing.F) {
	f.Add([]byte("1000S,10C\n100 1\n-30 -1\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, sum, ok := parseSizes(data); ok && (sum.Bytes < 0 || sum.Messages < 0 || len(data) >= maxSizeFile) {
			t.Errorf("%q: %+v", data, sum)
		}
	})
}
