package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

func TestTraditionalLine(t *testing.T) {
	var out bytes.Buffer
	l := NewLog(&out, Traditional, slog.LevelInfo, "mail")
	l.Emit(Note{Program: "postfix/master", Text: "daemon started"})
	l.Emit(Note{Severity: slog.LevelDebug, Program: "x", Text: "not told"})
	l.Close()
	if s := out.String(); !strings.HasSuffix(s, " mail postfix/master["+l.pid+"]: daemon started\n") {
		t.Errorf("%q", s)
	}
}

func TestNoEventMakesTwoLines(t *testing.T) {
	hostile := "a\r\nb\x1b[31mc\u2028d\xffe\x00%s" + strings.Repeat("x", 1<<20)
	for _, f := range []Format{Traditional, Text, JSON} {
		t.Run("MAP-008 "+string(f), func(t *testing.T) {
			var out bytes.Buffer
			l := NewLog(&out, f, slog.LevelInfo, "mail")
			l.Emit(Note{Program: "p", Text: "n", Attrs: []slog.Attr{slog.String("k", hostile)}})
			l.Close()
			s := out.String()
			if strings.Count(s, "\n") != 1 || strings.ContainsAny(s, "\r\x1b\x00\u2028\xff") || len(s) > 2*lineMax {
				t.Errorf("%d bytes: %.80q", len(s), s)
			}
			if f == JSON && json.Unmarshal(out.Bytes(), &map[string]any{}) != nil {
				t.Error("not JSON")
			}
		})
	}
}

func TestNothingIsForgotten(t *testing.T) {
	var out bytes.Buffer
	l := NewLog(&out, Traditional, slog.LevelInfo, "mail")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				l.Emit(Note{Program: "p", Text: fmt.Sprint(g, " ", i)})
			}
		})
	}
	wg.Wait()
	l.Close()
	l.Emit(Note{Program: "p", Text: "after"})
	if n := strings.Count(out.String(), "\n"); n != 16001 {
		t.Errorf("%d lines", n)
	}
}
