package namespace

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/internal/store/mailbox"
)

// TestForget: whoever gets the address of a removed account has nothing of what its
// last owner was given.
func TestForget(t *testing.T) {
	t.Parallel()
	s := usual()
	s.PublicMailboxes = []PublicMailbox{{Name: "News", ACL: mailbox.ParseACL("user=alice@example.org lrk")}}
	w := newTown(t, s)
	alice, bob := w.user("alice"), w.user("bob")
	ctx := t.Context()
	if err := w.house.DeclarePublic(ctx); err != nil {
		t.Fatal(err)
	}
	const shared, public = "Users/bob@example.org/Work", "Public/News/Hers"
	bob.Create(ctx, "Work")
	w.share(bob, "Work", "alice@example.org", "lrw")
	w.share(bob, "Work", "-alice@example.org", "w")
	w.share(bob, "Work", "carol@example.org", "lr")
	if err := alice.Create(ctx, public); err != nil {
		t.Fatal(err)
	}
	note := []mailbox.Annotation{{Entry: "/private/comment", Value: []byte("mine")}}
	for _, name := range []string{shared, public} {
		if err := alice.Annotate(ctx, name, note); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.house.Forget(ctx, "Alice@example.org", []mailbox.Owner{w.owner("alice"), w.owner("bob"), w.owner("carol")}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, alice); slices.Contains(got, shared) || slices.Contains(got, public) || slices.Contains(got, "Users") {
		t.Error("IMAP-021 the next owner of the address sees", got)
	}
	if _, err := alice.Rights(ctx, shared); err != mailbox.ErrNoMailbox {
		t.Error("IMAP-021", err)
	}
	for _, file := range []string{"mail/bob/Maildir/.Work/dovecot-acl", "mail/bob/Maildir/.Work/facteur-metadata",
		"mail/.public/Maildir/.News.Hers/dovecot-acl", "mail/.public/Maildir/.News.Hers/facteur-metadata", "shared-mailboxes"} {
		text, err := os.ReadFile(filepath.Join(w.dir, file))
		if err != nil || strings.Contains(string(text), "alice") {
			t.Errorf("%s: %q %v", file, text, err)
		}
	}
	w.share(bob, "Work", "alice@example.org", "lr")
	if list, err := alice.Annotations(ctx, shared); err != nil || len(list) > 0 {
		t.Errorf("IMAP-021 her notes are told to the next owner of the address: %v %v", list, err)
	}
	if got := names(t, w.user("carol")); !slices.Contains(got, shared) {
		t.Error("others keep their rights:", got)
	}
}

// TestPublicNoMore: a public mailbox that the settings do not name any more is there
// for nobody, not even for who has it selected.
func TestPublicNoMore(t *testing.T) {
	t.Parallel()
	old, now := usual(), usual()
	news := PublicMailbox{Name: "News", ACL: mailbox.ParseACL("anyone lrik")}
	old.PublicMailboxes = []PublicMailbox{news, {Name: "Other", ACL: mailbox.ParseACL("anyone lr")}}
	now.PublicMailboxes = old.PublicMailboxes[1:]
	w := newTown(t, old)
	ctx := t.Context()
	declare := func(s *Settings) {
		t.Helper()
		w.house.Configure(s)
		if err := w.house.DeclarePublic(ctx); err != nil {
			t.Fatal(err)
		}
	}
	declare(old)
	alice := w.user("alice")
	alice.Create(ctx, "Public/News/2026")
	v, err := alice.Select(ctx, "Public/News", true)
	if err != nil {
		t.Fatal(err)
	}
	declare(now)
	if err := v.Readable(); err != mailbox.ErrMailboxGone {
		t.Error("while it is selected:", err)
	}
	alice.Deselect(v)
	for _, s := range []*Space{alice, w.user("bob")} {
		if got := names(t, s); !slices.Contains(got, "Public/Other") || slices.ContainsFunc(got, func(n string) bool { return strings.Contains(n, "News") }) {
			t.Error("LIST:", got)
		}
		for _, name := range []string{"Public/News", "Public/News/2026"} {
			if _, err := s.Status(ctx, name); err != mailbox.ErrNoMailbox {
				t.Errorf("IMAP-021 STATUS %s: %v", name, err)
			}
		}
		if err := s.Create(ctx, "Public/News/More"); err != mailbox.ErrBadName {
			t.Error("CREATE:", err)
		}
	}
	declare(old)
	if got := names(t, alice); !slices.Contains(got, "Public/News/2026") {
		t.Error("it comes back as it was:", got)
	}
}

// TestFlagsOfGuests: COPY and MOVE set only the flags that the user may set there
// (RFC 4314 §4), and what a guest takes away is kept for the owner.
func TestFlagsOfGuests(t *testing.T) {
	t.Parallel()
	w := newTown(t, usual())
	alice, bob := w.user("alice"), w.user("bob")
	ctx := t.Context()
	const all = mailbox.Seen | mailbox.Flagged | mailbox.Deleted | mailbox.Answered
	put := func(s *Space) {
		t.Helper()
		_, _, err := s.Append(ctx, "INBOX", strings.NewReader("A: b\r\n\r\nc\r\n"), 11,
			mailbox.AppendOptions{Flags: mailbox.Flags{System: all, Keywords: []string{"Red"}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(alice)
	put(alice)
	bob.Create(ctx, "In")
	bob.Create(ctx, "Out")
	w.share(bob, "In", "alice@example.org", "lrsi")
	w.share(bob, "Out", "alice@example.org", "lrit")
	look := func(s *Space, wire string, want ...mailbox.SystemFlags) {
		t.Helper()
		v, err := s.Select(ctx, wire, true)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Deselect(v)
		if int(v.Len()) != len(want) {
			t.Fatalf("%s: %d letters", wire, v.Len())
		}
		for i, f := range want {
			if l := v.Letter(uint32(i + 1)); l.Flags.System != f || len(l.Flags.Keywords) > 0 {
				t.Errorf("%s %d: %v", wire, i+1, l.Flags)
			}
		}
	}
	const in, out = "Users/bob@example.org/In", "Users/bob@example.org/Out"
	v, err := alice.Select(ctx, "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = alice.Copy(ctx, v, []uint32{1}, in); err == nil {
		_, _, err = alice.Move(ctx, v, []uint32{2}, in)
	}
	if err != nil {
		t.Fatal(err)
	}
	alice.Deselect(v)
	look(bob, "In", mailbox.Seen, mailbox.Seen)
	if v, err = alice.Select(ctx, in, false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := alice.Copy(ctx, v, []uint32{1}, out); err != nil { // within bob's account
		t.Fatal(err)
	}
	alice.Deselect(v)
	look(bob, "Out", 0)
}

// TestOwnersInOneForm: the address in a name may be written in any case.
func TestOwnersInOneForm(t *testing.T) {
	t.Parallel()
	w := newTown(t, usual())
	alice, bob := w.user("alice"), w.user("bob")
	bob.Create(t.Context(), "Work")
	w.share(bob, "Work", "alice@example.org", "lr")
	v, err := alice.Select(t.Context(), "Users/BOB@Example.ORG/Work", true)
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Deselect(v)
	if !alice.IsSelected("Users/bob@example.org/Work") || !alice.Holds("Users/Bob@example.org") || alice.Selected().Wire != "Users/bob@example.org/Work" {
		t.Error("selected is", alice.Selected().Wire)
	}
}

// TestChangedOfOthers: the names of private annotations are their user's.
func TestChangedOfOthers(t *testing.T) {
	t.Parallel()
	w := newTown(t, usual())
	alice, bob := w.user("alice"), w.user("bob")
	ctx := t.Context()
	bob.Create(ctx, "Work")
	w.share(bob, "Work", "alice@example.org", "lrw")
	const shared = "Users/bob@example.org/Work"
	err := alice.Annotate(ctx, shared, []mailbox.Annotation{{Entry: "/private/vendor/hers", Value: []byte("x")}, {Entry: "/shared/comment", Value: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := bob.Changed(ctx, "Work"); err != nil || !slices.Equal(got, []string{"/shared/comment"}) {
		t.Error("IMAP-021 bob hears of", got, err)
	}
	if got, _ := alice.Changed(ctx, shared); len(got) != 2 {
		t.Error("alice hears of", got)
	}
}
