package mailbox

import (
	"strings"
	"testing"
)

// TestACL: the rules of who has what, and Dovecot's file.
func TestACL(t *testing.T) {
	t.Parallel()
	const file = "anyone lr\nauthenticated lrs\ngroup=staff lrswipkxtea\nowner lrw\nuser=bob@example.org lrswi:expire\n" +
		"-user=bob@example.org s\n\"user=with space@example.org\" l\nnonsense\nuser=x Q\n# a remark\n"
	list := ParseACL(file)
	for _, c := range []struct {
		who  Subject
		want string
	}{
		{Subject{}, "lr"}, {Subject{Address: "carol@example.org"}, "lrs"}, {Subject{Address: "BOB@EXAMPLE.ORG"}, "lrwi"},
		{Subject{Address: "alice@example.org", Owner: true}, "lrwa"},
	} {
		if got := list.Rights(c.who); got.String() != c.want {
			t.Errorf("%+v: %s, want %s", c.who, got, c.want)
		}
	}
	if got := ParseACL("").Rights(Subject{Address: "a@b.c", Owner: true}); got != AllRights {
		t.Error("the owner of a mailbox without a list:", got)
	}
	if got := ParseACL("user=a@b.c lr\n").Rights(Subject{}); got != NoRights {
		t.Error("a stranger:", got)
	}
	if got := ParseACL("anyone lrs\n-user=bob@example.org s?\n").Rights(Subject{Address: "bob@example.org"}); got != NoRights {
		t.Error("what a line takes away that can't be read:", got)
	}
	if again := ParseACL(list.String()); again.String() != list.String() || !strings.Contains(list.String(), "user=bob@example.org lrswi:expire\n") {
		t.Errorf("%s is written as\n%s", file, list)
	}
	if got, _ := ParseRights("rcd"); got.String() != "rkxte" || got.Compatible() != "rkxtecd" {
		t.Error("RFC 2086:", got, got.Compatible())
	}
}

func FuzzACL(f *testing.F) {
	for _, seed := range []string{"anyone lr\n", "\"user=a b@c\\\"\" l\n-owner a\n", "user=a@b lr:x y\n", "user= l", "\"", "-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := ParseACL(text)
		if again := ParseACL(list.String()); again.String() != list.String() {
			t.Errorf("%q: %q, then %q", text, list, again)
		}
		list.Rights(Subject{Address: "a@b"})
	})
}

func FuzzNotes(f *testing.F) {
	f.Add("- /shared/comment \"x\"\n")
	f.Add("a@b /private/comment \"\\x00\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		values := parseNotes(text)
		if again := writeNotes(parseNotes(writeNotes(values))); again != writeNotes(values) {
			t.Errorf("%q", text)
		}
	})
}
