package conf

import (
	"reflect"
	"testing"
)

func TestInside(t *testing.T) {
	for doc, want := range map[string]Pos{
		"when = \"abc\"":             {1, 10},
		"when = 'abc'":               {1, 10},
		"x = 1\nwhen = '''abc'''":    {2, 12},
		"when = '''\nabc'''":         {2, 2},
		"when = \"\"\"\r\nabc\"\"\"": {2, 2},
		"when = ''":                  {1, 10},
	} {
		var into struct {
			When string `toml:"when"`
			X    int    `toml:"x"`
		}
		p, err := Decode("f", []byte(doc), &into)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Inside("when", 1, 2, "x").Pos; got != want {
			t.Errorf("%q: %v, want %v", doc, got, want)
		}
	}
	var into struct {
		When string `toml:"when"`
	}
	p, _ := Decode("f", []byte("when = '''\na\nbc'''"), &into)
	if got := p.Inside("when", 2, 2, "x").Pos; got != (Pos{3, 2}) {
		t.Errorf("second line: %v", got)
	}
	if got := p.Inside("other", 1, 1, "x").Pos; got != (Pos{}) {
		t.Errorf("a key that is not there: %v", got)
	}
	var none *Positions
	if none.Inside("when", 1, 1, "x").Pos != (Pos{}) {
		t.Error("no positions know one")
	}
}

func TestStrings(t *testing.T) {
	var into struct {
		Then Strings `toml:"then"`
	}
	for doc, want := range map[string]Strings{`then = "a"`: {"a"}, `then = ["a", "b"]`: {"a", "b"}, `then = []`: {}} {
		if _, err := Decode("f", []byte(doc), &into); err != nil || !reflect.DeepEqual(into.Then, want) {
			t.Errorf("%s: %v %v", doc, into.Then, err)
		}
	}
	if _, err := Decode("f", []byte(`then = 3`), &into); err == nil ||
		err.Error() != `f:1:8: then: expected text in quotes, or a list of such in brackets, found 3` {
		t.Error(err)
	}
}
