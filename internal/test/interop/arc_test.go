package interop_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/arc"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/net/dns"
	. "facteur/internal/test/interop"
)

// sealed puts a set of ours on a letter.
func (w *dkimWorld) sealed(t *testing.T, text string, chain arc.Status) string {
	t.Helper()
	end, b, f := message.HeaderEnd([]byte(text)), dkim.NewBody(), dkim.Form{}
	digest := f.Wants(b)
	b.Write([]byte(text[end:]))
	found := authres.Results{ID: "mx.example.test", Methods: []authres.Method{{Name: "spf", Result: "pass"}, {Name: "arc", Result: string(chain)}}}
	set, err := arc.Seal(message.Header(text[:end]), chain, found, b.Sum(digest), w.rsa, f, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return string(set) + text
}

func (w *dkimWorld) chain(t *testing.T, text string) arc.Result {
	t.Helper()
	resolver, err := dns.New(dns.Config{Servers: []string{w.dns}})
	if err != nil {
		t.Fatal(err)
	}
	end, b := message.HeaderEnd([]byte(text)), dkim.NewBody()
	c := arc.Read(message.Header(text[:end]), b, arc.Options{})
	b.Write([]byte(text[end:]))
	return c.Verify(t.Context(), resolver.LookupTXT, time.Now())
}

// TestARCPeers: row 173. Chains that we and Debian's programs made, one upon the other, hold
// for us and for them; what was changed holds for nobody.
func TestARCPeers(t *testing.T) {
	w := newDKIMWorld(t)
	letters := make(map[string]string)
	for name, text := range oddLetters() {
		text = "Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=a@example.net\r\n" + text
		letters[name+" ours"] = w.sealed(t, text, arc.None)
		letters[name+" ours twice"] = w.sealed(t, w.sealed(t, text, arc.None)+"footer\r\n", arc.Pass)
	}
	w.sealByPeers(t, letters)
	bad := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(letters)) {
		if strings.HasPrefix(name, "plain ") {
			changed := name + " changed"
			letters[changed], bad[changed] = strings.Replace(letters[name], "Subject: odd", "Subject: even", 1), true
		}
	}
	files := make(map[string]string) // by name
	for name, text := range letters {
		if r := w.chain(t, text); (r.Status == arc.Pass) == bad[name] {
			t.Errorf("%s: %s", name, r)
		}
		files[name] = WriteFile(t, filepath.Join(w.dir, "arc "+strings.ReplaceAll(name, ":", "")), text)
	}
	for program, verify := range ARCVerifiers() {
		results := verify(t, w.dns, slices.Collect(maps.Values(files)))
		for name, file := range files {
			if results[file] == bad[name] && !knownOdd(program, name) {
				t.Errorf("%s: %s says %t", name, program, results[file])
			}
		}
	}
}

// sealByPeers adds letters that others sealed, with a seal of ours on top of those.
func (w *dkimWorld) sealByPeers(t *testing.T, letters map[string]string) {
	t.Helper()
	for program, seal := range ARCSealers() {
		var files, names []string
		for name, text := range oddLetters() {
			text = "Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=a@example.net\r\n" + text
			names = append(names, name)
			files = append(files, WriteFile(t, filepath.Join(w.dir, fmt.Sprintf("in %d", len(letters)+len(files))), text))
		}
		seal(t, "example.test", "r", "mx.example.test", w.keyFiles["r"], files)
		for i, file := range files {
			text, err := os.ReadFile(file + ".sealed")
			if err != nil {
				t.Fatal(err)
			}
			letters[names[i]+" of "+program] = string(text)
			letters[names[i]+" of "+program+" and ours"] = w.sealed(t, string(text)+"footer\r\n", arc.Pass)
		}
	}
}

// knownOdd are letters that a program reads in a way of its own: rspamd lets none with two
// Cc fields pass, on purpose, and alone keeps a line end of a body of blanks.
func knownOdd(program, name string) bool {
	return program == "rspamd" && (strings.HasPrefix(name, "twice ") || strings.HasPrefix(name, "blanks "))
}
