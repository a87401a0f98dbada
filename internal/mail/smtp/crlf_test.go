package smtp

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCRLF(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "x": "x", "\n": "\r\n", "\r\n": "\r\n", "\n\n": "\r\n\r\n", "a\nb\r\nc": "a\r\nb\r\nc",
		"\r": "\r", "\r\r\n": "\r\r\n", "a\r": "a\r", "\n.\n": "\r\n.\r\n",
		strings.Repeat("x\n", 5000): strings.Repeat("x\r\n", 5000),
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			if got, err := io.ReadAll(iotest.HalfReader(CRLF(r))); string(got) != want || err != nil {
				t.Errorf("%.40q: %.40q, %v", in, got, err)
			}
		}
		if got, err := io.ReadAll(iotest.OneByteReader(CRLF(strings.NewReader(in)))); string(got) != want || err != nil {
			t.Errorf("%.40q into a small buffer: %.40q, %v", in, got, err)
		}
	}
}
