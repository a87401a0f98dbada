package list

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestEntries are the values as they were written, with their places.
func TestEntries(t *testing.T) {
	for _, x := range []struct{ kind, text, want string }{
		{"file", "# c\na OK\nb\n\t550 no\n\"c d\" HOLD\ne\n", "2 OK, 3 550 no, 5 HOLD, 6 "},
		{"cidr", "192.0.2.0/24 REJECT\n", "1 REJECT"},
		{"regexp", "if /x/\n/a/ OK\nendif\n/(b)/i REJECT $1\n!/c/ hold\n", "2 OK, 5 hold"},
	} {
		path := write(t, x.text)
		all, err := Entries(Source{From: x.kind + ":" + path})
		var got []string
		for _, e := range all {
			got = append(got, strings.TrimPrefix(e.Where, path+":")+" "+e.Value)
		}
		if s := strings.Join(got, ", "); err != nil || s != x.want {
			t.Errorf("%s: %q %v", x.kind, s, err)
		}
	}
	if all, err := Entries(Source{Entries: []string{"a OK", "b"}}); err != nil || fmt.Sprint(all) != "[{entry 1 OK} {entry 2 }]" {
		t.Error(all, err)
	}
	if all, err := Entries(Source{From: "sqlite:/x?query=SELECT 1"}); err != nil || all != nil {
		t.Error(all, err)
	}
	if _, err := Entries(Source{From: "file:" + filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a file that is not there")
	}
}

// TestWhole: lists of patterns are told from the others.
func TestWhole(t *testing.T) {
	for kind, want := range map[string]bool{"file": false, "regexp": true, "pcre": true} {
		if got := one(t, kind+":"+write(t, "/a/ OK\n")).Whole("l"); got != want {
			t.Errorf("%s: %v", kind, got)
		}
	}
	if one(t, "file:"+write(t, "a OK\n")).Whole("other") {
		t.Error("a list that is not there")
	}
}
