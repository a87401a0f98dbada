package message

import (
	"runtime"
	"strings"
	"testing"
)

func TestSection(t *testing.T) {
	letter := crlf("Content-Type: multipart/mixed; boundary=x\n\n--x\n\n1\n--x\nContent-Type: message/rfc822\n\nSubject: a\n\n2.1\n--x\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\n3.1\n--y\nContent-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nSubject: b\n\n3.2.1.1\n--y--\n\n--x--\n")
	root := mustParse(t, letter)
	for _, path := range [][]uint32{{1}, {2, 1}, {3, 1}, {3, 2, 1, 1}} {
		var want []string
		for _, n := range path {
			want = append(want, string(rune('0'+n)))
		}
		p := root.Section(path)
		if p == nil || letter[p.Body:p.End] != strings.Join(want, ".") {
			t.Errorf("%v: %+v", path, p)
		}
	}
	plain := mustParse(t, "Subject: x\r\n\r\nbody")
	if root.Section(nil) != root || plain.Section([]uint32{1}) != plain {
		t.Error("the message itself")
	}
	t.Run("IMAP-007 parts that are not there", func(t *testing.T) {
		deep := mustParse(t, nested(10_000))
		path := make([]uint32, 1000)
		for i := range path {
			path[i] = uint32(i + 1)
		}
		ones := make([]uint32, 1000)
		for i := range ones {
			ones[i] = 1
		}
		for _, missing := range [][]uint32{{0}, {4}, {999999999, 1}, {4294967295}, {1, 1}, {2, 2}, {2, 1, 1}, path, ones} {
			if p := root.Section(missing); p != nil {
				t.Errorf("%v gives %+v", missing, p)
			}
			if p := plain.Section(append([]uint32{1}, missing...)); p != nil {
				t.Errorf("1 %v gives %+v", missing, p)
			}
		}
		if deep.Section(ones[:100]) == nil || deep.Section(ones) != nil {
			t.Error("deep paths")
		}
	})
}

// TestMemory measures what Parse allocates over its whole run: it may not
// depend on the size of bodies, and only within the limits on that of headers.
func TestMemory(t *testing.T) {
	for _, tt := range []struct {
		name, letter string
		most         uint64 // bytes
	}{
		{"body of 10 MiB", string(bigMultipart(10 << 20)), 256 << 10},
		{"MIME-001 deep", nested(10_000), 2 << 20},
		{"MIME-003 siblings", letterOf("x", strings.Repeat("--x\n", 1_400_000)), 8 << 20},
		{"MIME-006 addresses", "To: " + strings.Repeat("a@b,", 1_000_000) + "\r\n\r\n", 12 << 20},
		{"MIME-007 a header of 10 MiB", "Subject: " + strings.Repeat("x", 10<<20) + "\r\n\r\n", 12 << 20},
		{"MIME-007 parts with long headers", letterOf("x", strings.Repeat("--x\nContent-ID: "+strings.Repeat("i", 20_000)+"\n\n\n", 1000)), 12 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := strings.NewReader(tt.letter)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := Parse(r, Limits{}); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > tt.most {
				t.Errorf("allocated %d bytes, at most %d expected", n, tt.most)
			}
		})
	}
}
