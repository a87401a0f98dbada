package mailbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// TestContents: what Contents gives is what Open gives, whatever the line ends are
// and wherever the files have gone.
func TestContents(t *testing.T) {
	home := t.TempDir()
	s := New(vfs.OS{}, event.Discard)
	defer s.Close()
	a, err := s.Open(t.Context(), Owner{Address: "a@b", Home: home})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	cur := filepath.Join(home, "Maildir", "cur")
	texts := []string{"A: b\n\nc\n", "A: b\r\n\r\nc\r\n", "A: b\n\r\nmixed\r\n", "", "no end", strings.Repeat("line\n", 20000), "\n\n\n"}
	for i, text := range texts {
		if err := os.WriteFile(filepath.Join(cur, fmt.Sprintf("%d.x:2,", i+1)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v, err := a.Select(context.Background(), "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	// Another program changes a name and removes a file.
	os.Rename(filepath.Join(cur, "1.x:2,"), filepath.Join(cur, "1.x:2,S"))
	os.Remove(filepath.Join(cur, "4.x:2,"))
	var got []uint32
	for c, err := range v.Contents(t.Context(), []uint32{1, 2, 3, 4, 5, 6, 7, 99}, 50000) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c.UID)
		r, err := v.Open(t.Context(), c.UID)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := io.ReadAll(r)
		r.Close()
		if whole := len(want) <= 50000; c.Whole != whole || whole && string(c.Text) != string(want) || !strings.HasPrefix(string(want), string(c.Text)) || !whole && len(c.Text) < 50000 {
			t.Errorf("UID %d: %d octets, whole %v; Open has %d", c.UID, len(c.Text), c.Whole, len(want))
		}
	}
	if want := []uint32{1, 2, 3, 5, 6, 7}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
