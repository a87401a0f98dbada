package namespace

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/store/mailbox"
)

// town is a house with accounts of example.org.
type town struct {
	t     *testing.T
	dir   string
	house *House
	store *mailbox.Store
}

func newTown(t *testing.T, s *Settings) *town {
	t.Helper()
	w := &town{t: t, dir: t.TempDir(), store: mailbox.New(vfs.OS{}, event.Discard)}
	var err error
	if w.house, err = NewHouse(vfs.OS{}, w.dir, w.store, w.find, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	return w
}

func (w *town) owner(user string) mailbox.Owner {
	return mailbox.Owner{Address: user + "@example.org", Home: filepath.Join(w.dir, "mail", user)}
}

func (w *town) find(_ context.Context, address string) lookup.Answer[mailbox.Owner] {
	user, _, _ := strings.Cut(address, "@")
	if slices.Contains([]string{"alice", "bob", "carol"}, user) {
		return lookup.Yes(w.owner(user))
	}
	return lookup.No[mailbox.Owner](errors.New("nobody"))
}

func (w *town) user(user string) *Space {
	w.t.Helper()
	s, err := w.house.Open(w.t.Context(), w.owner(user))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

func usual() *Settings { return &Settings{Separator: '/', Users: "Users/", Public: "Public/"} }

// share lets somebody do something with a mailbox of the space's user.
func (w *town) share(s *Space, wire, who, rights string) {
	w.t.Helper()
	r, err := mailbox.ParseRights(rights)
	if err == nil {
		err = s.SetACL(w.t.Context(), wire, who, func(mailbox.Rights) mailbox.Rights { return r })
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func names(t *testing.T, s *Space) []string {
	t.Helper()
	list, err := s.List(t.Context(), func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range list {
		out = append(out, i.Name)
	}
	return out
}

func TestSharing(t *testing.T) {
	t.Parallel()
	w := newTown(t, usual())
	alice, bob := w.user("alice"), w.user("bob")
	ctx := t.Context()
	if err := bob.Create(ctx, "Work/2026"); err != nil {
		t.Fatal(err)
	}
	const shared = "Users/bob@example.org/Work/2026"
	if _, err := alice.Select(ctx, shared, false); err != mailbox.ErrNoMailbox {
		t.Error("IMAP-021 before it is shared:", err)
	}
	w.share(bob, "Work/2026", "alice@example.org", "lr")
	if got := names(t, alice); !slices.Contains(got, shared) || !slices.Contains(got, "Users") || slices.Contains(got, "Users/bob@example.org/INBOX") {
		t.Error("alice sees", got)
	}
	v, err := alice.Select(ctx, shared, false)
	if err != nil || !v.ReadOnly() {
		t.Fatal("lr is read-only:", err)
	}
	alice.Deselect(v)
	append := func() error {
		_, _, err := alice.Append(ctx, shared, strings.NewReader("A: b\r\n\r\nc\r\n"), 11, mailbox.AppendOptions{Flags: mailbox.Flags{System: mailbox.Flagged | mailbox.Seen}})
		return err
	}
	if err := append(); err != mailbox.ErrNoPermission {
		t.Error("without i:", err)
	}
	w.share(bob, "Work/2026", "alice@example.org", "lrsi")
	if err := append(); err != nil {
		t.Error("with i:", err)
	}
	v, err = alice.Select(ctx, shared, false)
	if err != nil {
		t.Fatal(err)
	}
	if f := v.Letter(1).Flags.System; f != mailbox.Seen {
		t.Error("only \\Seen may be set:", f)
	}
	if _, err := v.Store(ctx, []uint32{1}, mailbox.FlagsSet, mailbox.Flags{System: mailbox.Flagged}); err != mailbox.ErrNoPermission {
		t.Error("w is missing:", err)
	}
	if err := v.Expunge(ctx, nil); !errors.Is(err, mailbox.ErrNoPermission) {
		t.Error("e is missing:", err)
	}
	w.share(bob, "Work/2026", "alice@example.org", "")
	if _, err := v.Poll(ctx, true); err != mailbox.ErrMailboxGone {
		t.Error("taken away while it is open:", err)
	}
	if _, err := v.Open(ctx, 1); err == nil {
		t.Error("a letter can be read after the right to was taken away")
	}
	alice.Deselect(v)
	if got := names(t, alice); slices.ContainsFunc(got, func(n string) bool { return strings.HasPrefix(n, "Users") }) {
		t.Error("nothing is shared any more:", got)
	}
}

// TestNoLeak: what is not there and what may not be seen look alike.
func TestNoLeak(t *testing.T) {
	t.Parallel()
	w := newTown(t, usual())
	alice, bob := w.user("alice"), w.user("bob")
	ctx := t.Context()
	bob.Create(ctx, "Secret")
	bob.Create(ctx, "Open")
	w.share(bob, "Open", "alice@example.org", "lr")
	for _, name := range []string{"Users/bob@example.org/Secret", "Users/bob@example.org/Nothing", "Users/carol@example.org/INBOX",
		"Users/mallory@example.org/INBOX", "Users/bob@example.org", "Users/bob@example.org/Open/Below"} {
		for what, err := range map[string]error{
			"select": func() error { _, err := alice.Select(ctx, name, true); return err }(),
			"status": func() error { _, err := alice.Status(ctx, name); return err }(),
			"delete": alice.Delete(ctx, name), "rename": alice.Rename(ctx, name, "Mine"),
			"rights": func() error { _, err := alice.Rights(ctx, name); return err }(),
			"acl":    func() error { _, _, err := alice.ACL(ctx, name); return err }(),
		} {
			if err != mailbox.ErrNoMailbox {
				t.Errorf("IMAP-021 %s %s: %v", what, name, err)
			}
		}
	}
	for _, name := range []string{"Users/bob@example.org/Secret", "Users/bob@example.org/New", "Users/mallory@example.org/New"} {
		if err := alice.Create(ctx, name); err != mailbox.ErrBadName {
			t.Errorf("IMAP-021 create %s: %v", name, err)
		}
	}
}

func TestWireNames(t *testing.T) {
	t.Parallel()
	dots := &Settings{Separator: '.', Personal: "INBOX.", Users: "user.", Public: "pub.", PublicMailboxes: []PublicMailbox{{Name: "News"}}}
	for wire, want := range map[string]name{
		"INBOX": {inner: "INBOX"}, "inbox": {inner: "INBOX"}, "INBOX.Work": {inner: "Work"}, "inbox.Work.2026": {inner: "Work/2026"},
		`INBOX.a/b`: {inner: `a\2fb`}, `INBOX.v1\2e0`: {inner: "v1.0"}, `INBOX.a\5c2e`: {inner: `a\2e`}, `INBOX.c\d`: {inner: `c\d`},
		`user.bob@example\2eorg.Work`: {users, "bob@example.org", "Work"}, `user.bob@example\2eorg`: {users, "bob@example.org", ""},
		"pub.News.Old": {public, "", "News/Old"},
	} {
		got, ok := dots.parse(wire)
		if !ok || got != want {
			t.Errorf("%s: %+v %v", wire, got, ok)
		}
		if back := dots.wire(got); !strings.EqualFold(back, wire) {
			t.Errorf("%s comes back as %s", wire, back)
		}
	}
	for _, wire := range []string{"", "Work", "INBOX.INBOX", `INBOX.a\2fb`, "INBOX..", "user.bob", "INBOX"[:4]} {
		if n, ok := dots.parse(wire); ok && n.inner != "" && wire != "INBOX.." {
			t.Errorf("IMAP-008 %q is no name: %+v", wire, n)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"INBOX.a/b", `INBOX.\2e\5c\2f`, `user.a/b@c\2ed.x`, "Users/a@b/c", "x/..", `user.a\5c2f@b.c`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, wire string) {
		for _, s := range []*Settings{usual(), {Separator: '.', Personal: "INBOX.", Users: "user."}, {Separator: '.', Users: "u."}} {
			n, ok := s.parse(wire)
			if !ok {
				continue
			}
			again, ok := s.parse(s.wire(n))
			if !ok || again != n {
				t.Errorf("%q is %+v, written %q, read %+v %v", wire, n, s.wire(n), again, ok)
			}
		}
	})
}

// TestReserved: nobody makes a mailbox of his own where public ones or others' may
// stand one day: it could not be reached any more (IMAP-008).
func TestReserved(t *testing.T) {
	alice := newTown(t, usual()).user("alice")
	if err := alice.Create(t.Context(), "Work"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Public/New", "Users/x/y", "Users/nobody"} {
		if err := alice.Create(t.Context(), name); err != mailbox.ErrBadName {
			t.Errorf("CREATE %s: %v", name, err)
		}
		if err := alice.Rename(t.Context(), "Work", name); err != mailbox.ErrBadName {
			t.Errorf("RENAME to %s: %v", name, err)
		}
	}
	if err := alice.Create(t.Context(), "Publicity"); err != nil {
		t.Error(err)
	}
}
