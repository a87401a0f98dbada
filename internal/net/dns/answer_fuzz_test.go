package dns

import (
	"errors"
	"net/netip"
	"testing"
)

// AUT-026: whatever a server answers in the place of a list, only 127.0.0.0/8 counts.
func FuzzBlockListAnswer(f *testing.F) {
	f.Add([]byte{127, 0, 0, 2, 127, 0, 0, 4})
	f.Add([]byte{127, 255, 255, 254})
	f.Add([]byte{0, 0, 0, 0, 127, 0, 0, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var answers []netip.Addr
		for ; len(raw) >= 4; raw = raw[4:] {
			answers = append(answers, netip.AddrFrom4([4]byte(raw)))
		}
		codes, err := BlockList{Zone: "list.example"}.read(answers)
		if err != nil && (!errors.Is(err, ErrBlockList) || codes != nil) {
			t.Errorf("%v with %v", err, codes)
		}
		for i, c := range codes {
			if b := c.As4(); b[0] != 127 || c == localhost || b[1] == 255 && b[2] == 255 || i > 0 && codes[i-1] == c {
				t.Errorf("%v counts", c)
			}
		}
	})
}
