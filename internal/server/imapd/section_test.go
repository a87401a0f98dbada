package imapd

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
)

func TestFieldFilter(t *testing.T) {
	const head = "A: 1\r\nB : 2\r\n\tfolded\r\na: 3\r\nno colon\r\nC: 4"
	for _, c := range []struct {
		names []string
		not   bool
		want  string
	}{
		{[]string{"a"}, false, "A: 1\r\na: 3\r\n\r\n"}, {[]string{"b", "x"}, false, "B : 2\r\n\tfolded\r\n\r\n"},
		{[]string{"a", "b", "no colon"}, true, "C: 4\r\n"}, {[]string{"x"}, false, "\r\n"},
	} {
		f := fieldFilter{src: strings.NewReader(head), span: span{0, int64(len(head))}, fieldNames: &fieldNames{names: map[string]bool{}, not: c.not}}
		for _, n := range c.names {
			f.names[n] = true
		}
		var all strings.Builder
		if err := f.writeTo(&all); err != nil || all.String() != c.want {
			t.Errorf("%v: %q %v, want %q", c.names, all.String(), err, c.want)
		}
		var got bytes.Buffer
		s := &session{enc: imap.NewEncoder(bufio.NewWriter(&got))}
		s.sendFields(&fetchItem{fields: f.fieldNames}, message.Header(head))
		s.enc.Flush()
		if want := fmt.Sprintf("{%d}\r\n%s", len(c.want), c.want); got.String() != want {
			t.Errorf("%v in memory: %q, want %q", c.names, got.String(), want)
		}
		for from := range int64(len(c.want)) {
			var cut strings.Builder
			f.writeTo(&window{w: &cut, span: span{from, from + 3}})
			if want := c.want[from:min(from+3, int64(len(c.want)))]; cut.String() != want {
				t.Errorf("%v from %d: %q, want %q", c.names, from, cut.String(), want)
			}
		}
	}
	long := "X: 1\r\n" + strings.Repeat("y", 10000) + ": 2\r\nX: 3\r\n\r\nbody"
	f := fieldFilter{src: strings.NewReader(long), span: span{0, int64(len(long))}, fieldNames: &fieldNames{names: map[string]bool{"x": true}}}
	var all strings.Builder
	if f.writeTo(&all); all.String() != "X: 1\r\nX: 3\r\n\r\n" {
		t.Errorf("IMAP-007: %q", all.String())
	}
}
