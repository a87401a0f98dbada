package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// house is a data directory with an account that has mail.
func house(t *testing.T) (*config.Config, string, control.Office) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "facteur.toml")
	text := "hostname = 'mx.example.org'\ndata_dir = 'data'\n[[domain]]\nname = 'example.org'\n"
	must(t, os.WriteFile(file, []byte(text), 0o600))
	cfg, err := config.Load(file)
	must(t, err)
	o, done, err := control.Open(context.Background(), cfg)
	must(t, err)
	t.Cleanup(func() { done() })
	must(t, o.AddAccount(t.Context(), control.NewAccount{Address: "alice@example.org", Password: "a password"}))
	i, err := o.Import(t.Context(), control.ImportTarget{Address: "alice@example.org", Mailbox: "INBOX", Source: "test"})
	must(t, err)
	must(t, i.Add(t.Context(), control.ImportLetter{}, strings.NewReader("Subject: x\r\n\r\nText.\r\n")))
	_, err = i.Commit(t.Context())
	must(t, errors.Join(err, i.Close()))
	return cfg, file, o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// made makes a backup.
func made(t *testing.T, to, previous string) string {
	t.Helper()
	cfg, file, o := house(t)
	j := &Job{Config: cfg, Settings: file, To: to, Previous: previous, Note: func(s string) { t.Log(s) }}
	must(t, j.Run(t.Context(), o))
	left, _ := filepath.Glob(filepath.Join(cfg.DataDir, control.CutPrefix+"*"))
	if len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	return to
}

// What was damaged, cut, added or taken away is found, and nothing of it is restored.
func TestDamage(t *testing.T) {
	t.Parallel()
	letterIn := func(dir string) string {
		found, _ := filepath.Glob(filepath.Join(dir, "data/mail/*/*/Maildir/new/*"))
		if len(found) != 1 {
			t.Fatal(found)
		}
		return found[0]
	}
	for name, harm := range map[string]func(dir string) error{
		"":             func(string) error { return nil },
		"no manifest":  func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) },
		"cut manifest": func(dir string) error { return os.Truncate(filepath.Join(dir, manifestName), 300) },
		"a byte of a text": func(dir string) error {
			return os.WriteFile(letterIn(dir), []byte("Subject: y\r\n\r\nText.\r\n"), 0o600)
		},
		"a letter gone": func(dir string) error { return os.Remove(letterIn(dir)) },
		"a link instead": func(dir string) error {
			p := letterIn(dir)
			return errors.Join(os.Remove(p), os.Symlink("/etc/passwd", p))
		},
		"a path that leads out": func(dir string) error {
			p := filepath.Join(dir, manifestName)
			text, err := os.ReadFile(p)
			return errors.Join(err, os.WriteFile(p, bytes.Replace(text, []byte("data/facteur.db"), []byte("data/../../x"), 1), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := made(t, filepath.Join(t.TempDir(), "b"), "")
			must(t, harm(dir))
			_, _, err := Verify(t.Context(), dir)
			to := filepath.Join(t.TempDir(), "data")
			rerr := (&Restore{From: dir, To: to, Note: func(string) {}}).Run(t.Context())
			if (err == nil) != (name == "") || (rerr == nil) != (name == "") {
				t.Errorf("verify: %v; restore: %v", err, rerr)
			}
			if left, _ := os.ReadDir(filepath.Dir(to)); name != "" && len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

// A tar file with names and kinds that no backup has writes nothing elsewhere.
func TestHostileTar(t *testing.T) {
	t.Parallel()
	file := func(name string, kind byte) tar.Header { return tar.Header{Name: name, Typeflag: kind, Mode: 0o600} }
	for name, list := range map[string][]tar.Header{
		"up":          {file("data/../../../x", tar.TypeReg)},
		"absolute":    {file("/data/x", tar.TypeReg)},
		"elsewhere":   {file("x", tar.TypeReg)},
		"symlink":     {{Name: "data/mail", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, file("data/mail/x", tar.TypeReg)},
		"hard link":   {{Name: "data/x", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
		"device":      {file("data/x", tar.TypeChar)},
		"pipe":        {file("data/x", tar.TypeFifo)},
		"twice":       {file("data/x", tar.TypeReg), file("data/x", tar.TypeReg)},
		"no manifest": {file("data/x", tar.TypeReg)},
		"empty name":  {file("", tar.TypeReg)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := filepath.Join(t.TempDir(), "b.tar")
			var out bytes.Buffer
			w := tar.NewWriter(&out)
			for _, h := range list {
				must(t, w.WriteHeader(&h))
			}
			must(t, w.Close())
			must(t, os.WriteFile(from, out.Bytes(), 0o600))
			to := filepath.Join(t.TempDir(), "deep", "data")
			if err := (&Restore{From: from, To: to, Note: func(string) {}}).Run(t.Context()); err == nil {
				t.Error("no error")
			}
			if left, _ := os.ReadDir(filepath.Dir(to)); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

// A tar file that was cut anywhere is no backup; a whole one is.
func TestCutTar(t *testing.T) {
	t.Parallel()
	from := made(t, filepath.Join(t.TempDir(), "b.tar.gz"), "")
	_, _, err := Verify(t.Context(), from)
	must(t, err)
	whole, err := os.ReadFile(from)
	must(t, err)
	for _, size := range []int{0, 1, 10, len(whole) / 2, len(whole) - 20} {
		must(t, os.WriteFile(from, whole[:size], 0o600))
		if _, _, err := Verify(t.Context(), from); err == nil {
			t.Errorf("%d of %d bytes are a backup", size, len(whole))
		}
	}
}

// An incremental backup shares the files of letters.
func TestSince(t *testing.T) {
	t.Parallel()
	cfg, file, o := house(t)
	dir := t.TempDir()
	var previous string
	for _, name := range []string{"1", "2"} {
		j := &Job{Config: cfg, Settings: file, To: filepath.Join(dir, name), Previous: previous, Note: func(s string) { t.Error(s) }}
		must(t, j.Run(t.Context(), o))
		previous = j.To
	}
	found, _ := filepath.Glob(filepath.Join(dir, "?/data/mail/*/*/Maildir/new/*"))
	if len(found) != 2 {
		t.Fatal(found)
	}
	a, _ := os.Stat(found[0])
	b, _ := os.Stat(found[1])
	if !os.SameFile(a, b) {
		t.Error("the letter was copied")
	}
	must(t, os.RemoveAll(filepath.Join(dir, "1")))
	_, _, err := Verify(t.Context(), filepath.Join(dir, "2"))
	must(t, err)
}

// In the backup is the mail of accounts that a directory has and of those that were
// removed, the key that signs forwarded mail, what the filter has learnt, and what the settings name; all of it
// readable by its owner only.
func TestWholeHouse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "facteur.toml")
	users := filepath.Join(filepath.Dir(file), "users")
	must(t, os.WriteFile(users, []byte("bob@example.org:{PLAIN}x\ncarol@example.org:{PLAIN}x\n"), 0o600))
	text := "hostname = 'mx.example.org'\ndata_dir = 'data'\n[[domain]]\nname = 'example.org'\n[[directory]]\nname='f'\nkind='passwd-file'\nsource='" + users + "'\n"
	must(t, os.WriteFile(file, []byte(text), 0o600))
	cfg, err := config.Load(file)
	must(t, err)
	o, done, err := control.Open(t.Context(), cfg)
	must(t, err)
	defer func() { done() }()
	must(t, os.WriteFile(filepath.Join(cfg.DataDir, "forwarding.key"), []byte("key\n"), 0o600))
	must(t, os.MkdirAll(filepath.Join(cfg.DataDir, "lexicon", "ab"), 0o700))
	must(t, os.WriteFile(filepath.Join(cfg.DataDir, "lexicon", "ab", "cd.words"), []byte("learnt\n"), 0o600))
	for _, name := range []string{"bob@example.org", "carol@example.org"} {
		i, err := o.Import(t.Context(), control.ImportTarget{Address: name, Mailbox: "INBOX", Source: "test"})
		must(t, err)
		must(t, i.Add(t.Context(), control.ImportLetter{}, strings.NewReader("Subject: x\r\n\r\nText.\r\n")))
		_, err = i.Commit(t.Context())
		must(t, errors.Join(err, i.Close()))
	}
	must(t, done()) // and carol is removed from the directory
	must(t, os.WriteFile(users, []byte("bob@example.org:{PLAIN}x\n"), 0o600))
	o, done, err = control.Open(t.Context(), cfg)
	must(t, err)
	to := filepath.Join(t.TempDir(), "b")
	must(t, (&Job{Config: cfg, Settings: file, To: to, Note: func(s string) { t.Error(s) }}).Run(t.Context(), o))
	for _, want := range []string{"data/mail/example.org/bob/Maildir/new/*", "data/mail/example.org/carol/Maildir/new/*",
		"data/forwarding.key", "data/lexicon/ab/cd.words", "settings" + users, "settings" + file} {
		found, _ := filepath.Glob(filepath.Join(to, want))
		if len(found) != 1 {
			t.Errorf("%s: %q", want, found)
			continue
		}
		if info, err := os.Stat(found[0]); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", want, info.Mode(), err)
		}
	}
}

// A data directory that can't be replaced, as that of a volume, is filled.
func TestRestoreIntoVolume(t *testing.T) {
	t.Parallel()
	from := made(t, filepath.Join(t.TempDir(), "b"), "")
	to := t.TempDir()
	must(t, os.Mkdir(filepath.Join(to, "lost+found"), 0o700))
	fresh, err := os.MkdirTemp(to, restoring)
	must(t, err)
	r := &Restore{From: from, To: to, inside: true, Note: func(s string) { t.Log(s) }}
	must(t, r.unpack(t.Context(), fresh))
	must(t, r.install(fresh))
	must(t, os.RemoveAll(fresh))
	if err := (&Restore{From: from, To: to, Note: func(string) {}}).Run(t.Context()); !errors.Is(err, ErrNotEmpty) {
		t.Error("over what is there:", err)
	}
	fresh, err = os.MkdirTemp(to, restoring)
	must(t, err)
	r.Aside = true
	must(t, r.unpack(t.Context(), fresh))
	must(t, r.install(fresh))
	for want, n := range map[string]int{"facteur.db": 1, "mail/example.org/alice/index.db": 1, before + "*/facteur.db": 1, "lost+found": 1, "restored-settings": 1} {
		if found, _ := filepath.Glob(filepath.Join(to, want)); len(found) != n {
			t.Errorf("%s: %q", want, found)
		}
	}
}

// FuzzManifest: whatever stands in a manifest, its paths stay below the backup.
func FuzzManifest(f *testing.F) {
	var out bytes.Buffer
	m := newManifest(&out, "mx.example.org", time.Unix(1e9, 0))
	m.add(File{Path: "data/mail/a b\n", Sum: sha256.Sum256(nil)})
	m.end()
	f.Add(out.Bytes())
	f.Add([]byte(manifestMark + "x\nend "))
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		err := readManifest(bytes.NewReader(in), func(f File) error {
			if n++; !filepath.IsLocal(f.Path) {
				t.Errorf("%q", f.Path)
			}
			return nil
		})
		if err == nil && !bytes.Contains(in, []byte("end ")) {
			t.Error("whole without an end")
		}
	})
}

// A letter that was in the queue when that was cut, and in its mailbox when that was,
// doesn't come twice; one that was on its way only is on hold.
func TestRestoreEndsDelivered(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	q, err := queue.Open(data)
	must(t, err)
	it := &queue.Item{ID: q.NextID(), Arrived: time.Now(), Sender: address.Address{Local: "s", Domain: "example.org"}}
	for _, local := range []string{"alice", "bob", "carol"} {
		a := address.Address{Local: local, Domain: "example.org"}
		it.Recipients = append(it.Recipients, queue.Recipient{Address: a, Original: a, Route: "local"})
	}
	s := q.Spool()
	s.Write([]byte("Subject: x\r\n\r\nText.\r\n"))
	must(t, q.Commit(t.Context(), queue.Draft{Item: it, Spool: s}))
	must(t, q.Close())
	q, err = queue.Open(data)
	must(t, err)
	it, _, err = q.Show(t.Context(), it.ID)
	must(t, errors.Join(err, q.Close()))
	for i, below := range []string{"cur/%s,S=30,W=30:2,S", "tmp/%s"} {
		file := filepath.Join(data, "mail", "example.org", "x", "Maildir", ".Work", fmt.Sprintf(below, deliveryName(it, it.Recipients[i])))
		must(t, errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)))
	}
	must(t, (&Restore{Note: func(string) {}}).settleQueue(t.Context(), data))
	q, err = queue.Open(data)
	must(t, err)
	it, _, err = q.Show(t.Context(), it.ID)
	must(t, errors.Join(err, q.Close()))
	got := ""
	for _, r := range it.Recipients {
		got += fmt.Sprint(r.Address.Local, r.State == queue.Held, " ")
	}
	if got != "bobtrue caroltrue " {
		t.Error(got)
	}
}

// A cut that is still being copied is not removed by a later backup, however old it is;
// one of a backup that was killed is.
func TestCutsInUse(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range []string{"used", "killed", "before"} {
		cut := filepath.Join(data, control.CutPrefix+name)
		must(t, os.Mkdir(cut, 0o700))
		must(t, os.WriteFile(cut+manifestSuffix, nil, 0o600))
		if name != "before" {
			release, err := lockCut(cut)
			must(t, err)
			defer release()
		}
		if name == "killed" { // nobody has it locked any more
			must(t, os.Remove(cut+lockSuffix))
			must(t, os.WriteFile(cut+lockSuffix, nil, 0o600))
		}
		for _, suffix := range []string{"", manifestSuffix, lockSuffix} {
			os.Chtimes(cut+suffix, old, old)
		}
	}
	(&Job{Config: &config.Config{DataDir: data}}).removeCuts()
	left, err := filepath.Glob(filepath.Join(data, "*"))
	must(t, err)
	for i := range left {
		left[i] = strings.TrimPrefix(filepath.Base(left[i]), control.CutPrefix)
	}
	if got := strings.Join(left, " "); got != "used used.lock used.manifest" {
		t.Error(got)
	}
}
