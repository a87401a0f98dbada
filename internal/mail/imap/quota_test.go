package imap

import (
	"bufio"
	"strings"
	"testing"
)

func FuzzSetQuota(f *testing.F) {
	for _, s := range []string{`"User quota" (STORAGE 512)`, `"" ()`, `{4+}` + "\r\nroot (MESSAGE 1 STORAGE 2)", `x (STORAGE -1)`, `x (STORAGE 1`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, args string) {
		c, err := NewDecoder(bufio.NewReader(strings.NewReader("a SETQUOTA "+args+"\r\n")), AfterLogin(), func() error { return nil }).Next()
		if err != nil {
			return
		}
		for _, l := range c.Args.(SetQuota).Limits {
			if l.Limit < 0 || l.Resource != strings.ToUpper(l.Resource) {
				t.Errorf("%q: %+v", args, l)
			}
		}
	})
}
