package interop_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/net/dns"
	. "facteur/internal/test/interop"
)

// oddLetters are letters that canonicalisers disagree about, where they do. Lines end at
// CRLF, as on the wire.
func oddLetters() map[string]string {
	const head = "From: Änna <anna@example.test>\r\nTo: bob@example.net\r\nSubject: odd\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n"
	letters := map[string]string{
		"plain":         head + "\r\nHello\r\n",
		"empty":         head + "\r\n",
		"emptylines":    head + "\r\n\r\n\r\n\r\n",
		"blanks":        head + "\r\n \t\r\n \r\n",
		"trailing":      head + "\r\nHello\r\n\r\n\r\n",
		"whitespace":    head + "\r\n  a \t b \r\n \t \r\nc\t\r\n\r\nd  \r\n \r\n\t\r\n",
		"8bit":          head + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße, 世界 \xff\xfe\r\n",
		"dots":          head + "\r\n.\r\n..\r\n.a\r\n",
		"folded":        strings.Replace(head, "Subject: odd", "Subject: \r\n a\t  folded\r\n\t  subject \t", 1) + "\r\nHello\r\n",
		"emptysubject":  strings.Replace(head, "Subject: odd", "Subject:", 1) + "\r\nHello\r\n",
		"case":          strings.NewReplacer("From:", "FROM:", "Subject:", "sUbJect:").Replace(head) + "\r\nHello\r\n",
		"twice":         head + "Cc: one@example.net\r\nCc: two@example.net\r\nReferences: <a@b>\r\n <c@d>\r\n\r\nHello\r\n",
		"longline":      head + "\r\n" + strings.Repeat("long ", 5000) + "\r\nend\r\n",
		"longheader":    head + "References: " + strings.Repeat("<0123456789@example.test>\r\n ", 200) + "<x@y>\r\n\r\nHello\r\n",
		"html":          head + "MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n\tboundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--b--\r\n\r\n",
		"resent":        "Resent-From: x@example.net\r\nResent-To: one@example.net\r\n" + "Resent-From: y@example.net\r\nResent-To: two@example.net\r\n" + head + "\r\nHello\r\n",
		"tabs in front": head + "X-Tab:\tvalue\r\n\r\n\tindented\r\n\t\tmore\r\n",
	}
	return letters
}

// dkimWorld is a domain with two keys, in a zone of an unbound, and files.
type dkimWorld struct {
	dir, dns string
	keyFiles map[string]string // by selector, as rspamadm writes them
	seedFile string            // the Ed25519 key as dkimpy keeps it
	rsa, ed  dkim.Key
}

func newDKIMWorld(t *testing.T) *dkimWorld {
	t.Helper()
	w := &dkimWorld{dir: Room(t), keyFiles: map[string]string{}}
	w.rsa, w.ed = w.newKey(t, "r", "rsa"), w.newKey(t, "e", "ed25519")
	seed := w.ed.Private.(ed25519.PrivateKey).Seed()
	w.seedFile = WriteFile(t, filepath.Join(w.dir, "seed"), base64.StdEncoding.EncodeToString(seed))
	var records strings.Builder
	for _, k := range []dkim.Key{w.rsa, w.ed} {
		text, err := k.Record()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&records, "%s._domainkey.example.test. TXT", k.Selector)
		for part := range slices.Chunk([]byte(text), 255) {
			fmt.Fprintf(&records, " %q", part)
		}
		records.WriteByte('\n')
	}
	w.dns = StartUnbound(t, Zone{Name: "example.test", Records: records.String()}).Addr()
	return w
}

// newKey is a key that rspamadm made.
func (w *dkimWorld) newKey(t *testing.T, selector, kind string) dkim.Key {
	t.Helper()
	w.keyFiles[selector] = filepath.Join(w.dir, selector+".key") // a name without a dot is no file for rspamd
	Run(t, "", Need(t, "rspamadm"), "dkim_keygen", "-b", "2048", "-t", kind, "-s", selector, "-d", "example.test", "-k", w.keyFiles[selector])
	return dkim.Key{Domain: "example.test", Selector: selector, Private: readKey(t, w.keyFiles[selector])}
}

func readKey(t *testing.T, file string) crypto.Signer {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dkim.ParsePrivateKey(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return key
}

// write makes a file of each letter, in a room of its own.
func write(t *testing.T, letters map[string]string) (files []string) {
	t.Helper()
	dir := Room(t)
	for name, text := range letters {
		files = append(files, WriteFile(t, filepath.Join(dir, strings.ReplaceAll(name, "/", "-")), text))
	}
	slices.Sort(files)
	return files
}

var canons = []struct{ header, body dkim.Canon }{
	{dkim.Relaxed, dkim.Relaxed}, {dkim.Relaxed, dkim.Simple}, {dkim.Simple, dkim.Relaxed}, {dkim.Simple, dkim.Simple},
}

func signLetter(t *testing.T, text string, k dkim.Key, f dkim.Form) string {
	t.Helper()
	end := message.HeaderEnd([]byte(text))
	body := dkim.NewBody()
	want := f.Wants(body)
	fmt.Fprint(body, text[end:])
	field, err := dkim.Sign(message.Header(text[:end]), body.Sum(want), k, f, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return string(field) + text
}

// TestOthersVerifyOurSignatures: what we sign holds for all that Debian has.
func TestOthersVerifyOurSignatures(t *testing.T) {
	t.Parallel()
	w := newDKIMWorld(t)
	good, changed := map[string]string{}, map[string]string{}
	for _, c := range canons {
		for name, text := range oddLetters() {
			for _, k := range []dkim.Key{w.rsa, w.ed} {
				name := fmt.Sprintf("%s-%v-%v-%s", k.Selector, c.header, c.body, name)
				good[name] = signLetter(t, text, k, dkim.Form{Header: c.header, Body: c.body, Expire: time.Hour, Identity: "anna@news.example.test"})
				if strings.HasSuffix(name, "plain") {
					changed["changed-"+name] = strings.Replace(good[name], "Hello", "Hallo", 1)
				}
			}
		}
	}
	for name, verify := range DKIMVerifiers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := slices.Concat(write(t, good), write(t, changed))
			files = slices.DeleteFunc(files, func(f string) bool { return unknownTo(name, filepath.Base(f)) })
			results := verify(t, w.dns, files)
			for _, file := range files {
				if want := !strings.HasPrefix(filepath.Base(file), "changed-"); results[file] != want {
					t.Errorf("%s: %v, want %v", filepath.Base(file), results[file], want)
				}
			}
		})
	}
}

// unknownTo tells which letters a verifier is not asked about, and why.
func unknownTo(verifier, letter string) bool {
	ed := strings.Contains(letter, "e-relaxed-") || strings.Contains(letter, "e-simple-")
	switch verifier {
	case "Mail::DKIM":
		return ed // this one has no Ed25519
	case "opendkim": // a process for each letter; and a milter does not see the white space after the colon
		mixed := strings.Contains(letter, "relaxed-simple") || strings.Contains(letter, "simple-relaxed")
		return mixed || strings.Contains(letter, "simple-simple") && (strings.HasSuffix(letter, "emptysubject") || strings.HasSuffix(letter, "folded"))
	case "rspamd":
		// It lets no letter with two Cc fields pass, on purpose; and of a body of blanks it
		// leaves a line end in the relaxed form, where all others leave nothing.
		return strings.HasSuffix(letter, "twice") || strings.HasSuffix(letter, "relaxed-blanks")
	}
	return false
}

// verifyFile is what we say of the only signature in a file, asking the name server.
func verifyFile(t *testing.T, server, file string) dkim.Result {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := dns.New(dns.Config{Servers: []string{server}})
	if err != nil {
		t.Fatal(err)
	}
	end := message.HeaderEnd(text)
	body := dkim.NewBody()
	signatures := dkim.Read(message.Header(text[:end]), body, dkim.Options{})
	body.Write(text[end:])
	results := signatures.Verify(context.Background(), resolver.LookupTXT, time.Now())
	if len(results) != 1 {
		t.Fatalf("%s: %d signatures", file, len(results))
	}
	return results[0]
}

// TestWeVerifySignaturesOfOthers: what they sign holds for us, and nothing else.
func TestWeVerifySignaturesOfOthers(t *testing.T) {
	t.Parallel()
	w := newDKIMWorld(t)
	check := func(t *testing.T, files []string, algorithm string) {
		t.Helper()
		for _, file := range files {
			if got := verifyFile(t, w.dns, file+".signed"); got.Status != dkim.Pass || got.Algorithm != algorithm || got.Domain != "example.test" {
				t.Errorf("%s: %+v", filepath.Base(file), got)
			}
		}
		text, err := os.ReadFile(files[0] + ".signed")
		if err != nil {
			t.Fatal(err)
		}
		if got := verifyFile(t, w.dns, WriteFile(t, files[0]+".changed", string(text)+"more\r\n")); got.Status == dkim.Pass || got.Reason == "" {
			t.Errorf("changed: %+v", got)
		}
	}
	for _, c := range canons {
		form := c.header.String() + "/" + c.body.String()
		t.Run("dkimpy "+form, func(t *testing.T) {
			t.Parallel()
			files := write(t, oddLetters())
			DKIMPySign(t, "example.test", "r", "rsa-sha256", c.header.String(), c.body.String(), false, w.keyFiles["r"], files)
			check(t, files, "rsa-sha256")
			DKIMPySign(t, "example.test", "e", "ed25519-sha256", c.header.String(), c.body.String(), true, w.seedFile, files)
			check(t, files, "ed25519-sha256")
		})
		t.Run("Mail::DKIM "+form, func(t *testing.T) {
			t.Parallel()
			files := write(t, oddLetters())
			MailDKIMSign(t, "example.test", "r", form, w.keyFiles["r"], files)
			check(t, files, "rsa-sha256")
		})
	}
	t.Run("rspamd", func(t *testing.T) {
		t.Parallel()
		for selector, algorithm := range map[string]string{"r": "rsa-sha256", "e": "ed25519-sha256"} {
			r := StartRspamd(t, w.dns, map[string]string{selector: w.keyFiles[selector]})
			letters := oddLetters()
			delete(letters, "twice") // as unknownTo says
			delete(letters, "blanks")
			files := write(t, letters)
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				value := strings.ReplaceAll(strings.ReplaceAll(r.Sign(t, text, "anna@example.test")[0], "\r\n", "\n"), "\n", "\r\n")
				WriteFile(t, file+".signed", "DKIM-Signature: "+value+"\r\n"+string(text))
			}
			check(t, files, algorithm)
		}
	})
}

// A letter of 20 MB is signed and verified by the commands, and holds for others.
func TestLargeLetter(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("20 MB")
	}
	w := newDKIMWorld(t)
	letter := WriteFile(t, filepath.Join(w.dir, "large"), oddLetters()["html"]+strings.Repeat("A line  of \t a large letter \r\n\r\n", 20<<20/34))
	facteur := Binary(t)
	signed := Run(t, "", facteur, "dkim", "sign", letter, "--key", w.keyFiles["e"], "--domain", "example.test", "--selector", "e")
	file := WriteFile(t, filepath.Join(w.dir, "signed"), signed)
	if out := Run(t, "", facteur, "dkim", "verify", file, "--dns", w.dns); !strings.Contains(out, "pass") {
		t.Errorf("it does not hold here:\n%s", out)
	}
	if !DKIMVerifiers()["opendkim"](t, w.dns, []string{file})[file] {
		t.Error("it does not hold for opendkim")
	}
}

// The keys that others write are read.
func TestKeyFilesOfOthers(t *testing.T) {
	t.Parallel()
	w := newDKIMWorld(t)
	dir := Room(t)
	Run(t, "", Need(t, "opendkim-genkey"), "-b", "2048", "-d", "example.test", "-s", "g", "-D", dir)
	Run(t, "", Need(t, "openssl"), "genpkey", "-algorithm", "ed25519", "-out", filepath.Join(dir, "ed"))
	Run(t, "", Need(t, "openssl"), "genrsa", "-out", filepath.Join(dir, "rsa"), "2048")
	for _, name := range []string{"g.private", "ed", "rsa"} {
		key := dkim.Key{Domain: "example.test", Selector: "s", Private: readKey(t, filepath.Join(dir, name))}
		if field := signLetter(t, oddLetters()["plain"], key, dkim.Form{}); !strings.HasPrefix(field, "DKIM-Signature: ") {
			t.Errorf("%s: %s", name, field)
		}
	}
	if seed := readKey(t, w.seedFile).(ed25519.PrivateKey); !seed.Equal(w.ed.Private) {
		t.Error("dkimpy's and rspamd's form of a key are two keys")
	}
}
