package route

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

// town is a server with all classes of domains.
type town struct {
	t         testing.TB
	directory *directory.Directory
	state     *db.DB
	router    *Router
	rules     Rules
	sources   []list.Source
}

func newTown(t testing.TB) *town {
	t.Helper()
	dir := t.TempDir()
	state, err := db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	d := directory.New(state, nil, dir, 0)
	d.Configure([]directory.Domain{
		{Name: "example.org"}, {Name: "local.example", Class: directory.ClassLocal}, {Name: "second.example", Class: directory.ClassLocal},
		{Name: "alias.example", Class: directory.ClassAlias}, {Name: "relay.example", Class: directory.ClassRelay},
		{Name: "twin.example", AliasOf: "example.org"}, {Name: "catch.example", CatchAll: "alice@example.org"},
		{Name: "same.example", CatchAll: "@example.org"},
	}, directory.Allowances{})
	for _, a := range []string{"alice@example.org", "bob@example.org", "mary-jane@example.org", "carol@local.example", "postmaster@example.org", "dave@twin.example"} {
		if err := d.AddHashed(context.Background(), parse(t, a), "{PLAIN}secret", 0); err != nil {
			t.Fatal(err)
		}
	}
	w := &town{t: t, directory: d, state: state, rules: standard}
	w.rules.Roles = []string{"postmaster", "hostmaster", "abuse", "mailer-daemon"}
	w.rules.Origin = "local.example"
	w.rules.Commands, w.rules.Files = Where{Alias: true}, Where{Alias: true}
	files := list.NewIncludes()
	w.rules.Include = func(ctx context.Context, path string) (Included, error) {
		text, user, err := files.Read(ctx, path)
		return Included{text, user}, err
	}
	w.router = New(d, "mail.example.org", func() string { return "example.org" })
	w.router.Configure(func() *Rules { return &w.rules })
	return w
}

// table opens a table of a kind with a text.
func (w *town) table(kind, text string) list.Maps {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "table")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	from := kind + ":" + path
	w.sources = append(w.sources, list.Source{Name: from, From: from})
	set, err := list.Open(w.sources, event.Discard)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { set.Close() })
	return set.Maps([]string{from})
}

// leads is where an address leads to, in words.
func (w *town) leads(to string) string {
	w.t.Helper()
	a := address.Address{Local: to}
	if strings.Contains(to, "@") {
		a = parse(w.t, to)
	}
	answer := w.router.Expand(context.Background(), Question{Recipient: a, Sender: address.Address{Local: "x", Domain: "far.example"}})
	if answer.State() != lookup.Found {
		var r *Refusal
		if errors.As(answer.Err(), &r) {
			return fmt.Sprint(r.Code, " ", r.Enhanced, " ", r.Text)
		}
		return answer.State().String() + ": " + answer.Err().Error()
	}
	var out []string
	for _, d := range answer.Value().Destinations {
		text := d.String()
		if d.Kind == Remote {
			text = "smtp:" + d.Address.String()
		}
		if d.Sender != nil {
			text += " from " + d.Sender.String()
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func (w *town) check(want map[string]string) {
	w.t.Helper()
	for _, to := range slices.Sorted(mapsKeys(want)) {
		if got := w.leads(to); got != want[to] {
			w.t.Errorf("%s: got  %s\nwant %s", to, got, want[to])
		}
	}
}

func mapsKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Rows 44 to 49 and 57: the classes of domains, extensions, catch-all, roles, in Postfix's
// words for who is unknown.
func TestClasses(t *testing.T) {
	w := newTown(t)
	w.rules.RelayRecipients = w.table("hash", "known@relay.example x\n")
	w.rules.Relocated = w.table("hash", "gone@example.org gone@new.example\n@example.com nobody here\nleft new@far.example\n")
	w.check(map[string]string{
		"alice@example.org":        "mailbox:alice@example.org",
		"Alice+News@EXAMPLE.org":   "mailbox:alice@example.org",
		"nobody@example.org":       "550 5.1.1 User unknown in virtual mailbox table",
		"nobody@local.example":     "550 5.1.1 User unknown in local recipient table",
		"nobody@alias.example":     "550 5.1.1 User unknown in virtual alias table",
		"nobody@relay.example":     "550 5.1.1 User unknown in relay recipient table",
		"known+x@relay.example":    "smtp:known+x@relay.example",
		"x@far.example":            "smtp:x@far.example",
		"carol@second.example":     "mailbox:carol@local.example", // the users of local domains are one
		"carol@example.org":        "550 5.1.1 User unknown in virtual mailbox table",
		"alice+x@twin.example":     "mailbox:alice@example.org",
		"dave@twin.example":        "mailbox:dave@twin.example",
		"eve@twin.example":         "550 5.1.1 User unknown in virtual mailbox table",
		"whoever@catch.example":    "mailbox:alice@example.org",
		"bob@same.example":         "mailbox:bob@example.org",
		"eve@same.example":         "550 5.1.1 User unknown in virtual mailbox table",
		"gone@example.org":         "550 5.1.6 User has moved to gone@new.example",
		"left@second.example":      "550 5.1.6 User has moved to new@far.example",
		"abuse@example.org":        "mailbox:postmaster@example.org",
		"hostmaster@alias.example": "mailbox:postmaster@example.org",
		"Abuse+x@local.example":    "mailbox:postmaster@example.org",
		"abuse@catch.example":      "mailbox:postmaster@example.org", // before the catch-all
		"postmaster@relay.example": "550 5.1.1 User unknown in relay recipient table",
		"postmaster":               "mailbox:postmaster@example.org",
		"root@mail.example.org":    "mailbox:postmaster@example.org",
		"root@local.example":       "mailbox:postmaster@example.org", // LOC-010: root is never a user
		"root@example.org":         "550 5.1.1 User unknown in virtual mailbox table",
	})
	// Rows 43 and 44: one rule, also for domains that come later.
	if err := w.directory.AddDomain(t.Context(), "later.example"); err != nil {
		t.Fatal(err)
	}
	w.check(map[string]string{"abuse@later.example": "mailbox:postmaster@example.org", "hostmaster@later.example": "mailbox:postmaster@example.org"})
	if err := w.directory.AddHashed(t.Context(), parse(t, "abuse@later.example"), "{PLAIN}secret", 0); err != nil {
		t.Fatal(err)
	}
	w.check(map[string]string{"abuse@later.example": "mailbox:abuse@later.example"})
}

// Row 48: several characters that begin an extension.
func TestExtensions(t *testing.T) {
	w := newTown(t)
	w.rules.Delimiters = "+-"
	w.check(map[string]string{
		"alice+x@example.org":     "mailbox:alice@example.org",
		"alice-x@example.org":     "mailbox:alice@example.org",
		"alice-x+y@example.org":   "mailbox:alice@example.org",
		"mary-jane@example.org":   "mailbox:mary-jane@example.org",
		"mary-jane+x@example.org": "mailbox:mary-jane@example.org",
		"mary-x@example.org":      "550 5.1.1 User unknown in virtual mailbox table",
		"+x@example.org":          "550 5.1.1 User unknown in virtual mailbox table",
		"owner-alice@example.org": "550 5.1.1 User unknown in virtual mailbox table",
		// split_addr(3): these are never split.
		"alice-request@example.org":   "550 5.1.1 User unknown in virtual mailbox table",
		"mailer-daemon+x@example.org": "550 5.1.1 User unknown in virtual mailbox table",
	})
	w.rules.Delimiters = ""
	w.check(map[string]string{"alice+x@example.org": "550 5.1.1 User unknown in virtual mailbox table"})
}

// Rows 43 and 45: virtual(5), with its search order.
func TestVirtualAliases(t *testing.T) {
	w := newTown(t)
	w.rules.Virtual = w.table("hash", `
sales@alias.example       alice@example.org, bob@example.org
sales+big@alias.example   bob@example.org
@alias.example            @example.org
info                      carol@local.example
out@example.org           x@far.example, "Y" <y@far.example>
alice@example.org         alice@example.org, bob@example.org
chain@example.org         chain2@example.org
chain2@example.org        chain3@alias.example
chain3@alias.example      alice@example.org
quoted@example.org        "two words"@far.example
elsewhere@far.example     alice@example.org
`)
	both := "mailbox:alice@example.org, mailbox:bob@example.org"
	w.check(map[string]string{
		"sales@alias.example":         both, // alice@ names herself and bob@, who is there once
		"sales+big@alias.example":     "mailbox:bob@example.org",
		"sales+x@alias.example":       both,
		"bob@alias.example":           "mailbox:bob@example.org", // @domain: the same name elsewhere
		"nobody@alias.example":        "550 5.1.1 User unknown in virtual mailbox table",
		"alice@example.org":           both,
		"out+x@example.org":           "smtp:x+x@far.example, smtp:y+x@far.example", // propagate_unmatched_extensions
		"chain@example.org":           both,
		"info@second.example":         "mailbox:carol@local.example", // without a domain: local ones
		"info@example.org":            "550 5.1.1 User unknown in virtual mailbox table",
		"quoted@example.org":          `smtp:"two words"@far.example`,
		"elsewhere@far.example":       both,
		`"sales@x"@alias.example`:     "550 5.1.1 User unknown in virtual mailbox table",
		`"info"@second.example`:       "mailbox:carol@local.example",
		`"info@x"@second.example`:     "550 5.1.1 User unknown in local recipient table", // REL-004
		`"x@far.example"@example.org`: "550 5.1.1 User unknown in virtual mailbox table",
	})
	w.rules.Propagate = false
	w.check(map[string]string{"out+x@example.org": "smtp:x@far.example, smtp:y@far.example"})
	// Row 43: by patterns, tried on the whole address alone.
	w.rules.Virtual = w.table("pcre", `/^(postmaster|hostmaster|abuse)@/ alice@example.org
/^(.*)-test@(.*)$/ $1@$2
/^alice$/ bob@example.org
`)
	w.check(map[string]string{"abuse@relay.example": "mailbox:alice@example.org", "bob-test@example.org": "mailbox:bob@example.org", "alice+x@example.org": "mailbox:alice@example.org"})
}

// Rows 39, 40, 42, 53 and 54: aliases(5).
func TestLocalAliases(t *testing.T) {
	w := newTown(t)
	members := filepath.Join(t.TempDir(), "members")
	if err := os.WriteFile(members, []byte("# the members\nalice@example.org, carol\nx@far.example\n\"|/bin/evil\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.rules.Aliases = w.table("aliases", `
# the file of a small server
mailer-daemon: postmaster
postmaster:    root
hostmaster:    root
root:          elzen
elzen:         carol
noc:           root, x@far.example,
    bob@example.org
trash:         /dev/null
prog:          "|/usr/bin/filter -x", carol
file:          /var/mail/archive
carol:         \carol, x@far.example
list:          :include:`+members+`
owner-list:    bob@example.org
mixed:         carol, ghost
ghosts:        ghost, phantom
self:          self, carol
a: b
b: a
"two words":   carol
everybody:     list, noc
`)
	w.rules.ExpandOwner = true
	w.check(map[string]string{
		"Postmaster@local.example":  `mailbox:\carol@local.example, smtp:x@far.example`,
		"noc@second.example":        `mailbox:\carol@local.example, smtp:x@far.example, mailbox:bob@example.org`,
		"noc+x@local.example":       `mailbox:\carol@local.example, smtp:x@far.example, mailbox:bob@example.org`,
		"trash@local.example":       "discard:",
		"prog@local.example":        `program::/usr/bin/filter -x, mailbox:\carol@local.example, smtp:x@far.example`,
		"file@local.example":        "file::/var/mail/archive",
		`"two words"@local.example`: `mailbox:\carol@local.example, smtp:x@far.example`,
		"list@local.example": "mailbox:alice@example.org from bob@example.org, mailbox:\\carol@local.example from bob@example.org, " +
			"smtp:x@far.example from bob@example.org, error:5.7.1 mail to command is restricted from bob@example.org",
		// Who answers for an alias hears that somebody in it is not there.
		"mixed@local.example":  `mailbox:\carol@local.example, smtp:x@far.example, error:5.1.1 User unknown in local recipient table from postmaster@example.org`,
		"ghosts@local.example": "550 5.1.1 User unknown in local recipient table",
		"noc@example.org":      "550 5.1.1 User unknown in virtual mailbox table", // aliases(5) is for local domains
	})
	w.rules.ExpandOwner = false
	for _, domain := range []string{"local.example", "second.example"} { // the origin, wherever it was written to
		if got := w.leads("list@" + domain); !strings.Contains(got, "from owner-list@local.example") {
			t.Errorf("row 53: %s", got)
		}
	}
	w.rules.Origin = "example.org" // where no owner-list is
	if got := w.leads("list@second.example"); !strings.Contains(got, "from owner-list@second.example") {
		t.Errorf("row 53: %s", got)
	}
	w.rules.Origin = "local.example"
	null := w.router.Expand(t.Context(), Question{Recipient: parse(t, "list@local.example")})
	if d := null.Value().Destinations; len(d) != 4 || d[0].Sender != nil {
		t.Errorf("a notice has an owner in place of its sender: %+v", d)
	}
	w.rules.Commands = Where{}
	if got := w.leads("prog@local.example"); !strings.HasPrefix(got, "error:5.7.1") && !strings.Contains(got, "error:5.7.1") {
		t.Errorf("commands are not allowed: %s", got)
	}
	// A pattern, which may have a part of the address in it, and whoever writes into a
	// directory, start no command.
	w.rules.Commands = Where{Alias: true, Include: true}
	w.rules.Aliases = w.table("pcre", `/^x-(.*)$/ "|/bin/sh -c $1"`)
	w.check(map[string]string{"x-evil@local.example": "550 5.7.1 mail to command is restricted"})
	// Row 42: several sources at once, the first that knows counts.
	one, two := w.table("aliases", "root: alice@example.org\n"), w.table("hash", "root bob@example.org\nliste x@far.example\n")
	set, err := list.Open(w.sources, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	w.rules.Aliases = set.Maps(append(one.Names(), two.Names()...))
	w.check(map[string]string{"root@local.example": "mailbox:alice@example.org", "liste@local.example": "smtp:x@far.example"})
}

// Whoever includes a file he may not read learns nothing of it: the line is not shown, and
// a user's file leads to no file of anybody else's.
func TestIncludeTellsNoText(t *testing.T) {
	w := newTown(t)
	for text, line := range map[string]string{"carol\n\nroot:$6$salt:1::\n": "line 3", "carol\nhidden \"secret\n": "line 2", "a b@\n": "line 1"} {
		path := filepath.Join(t.TempDir(), "members")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.rules.Aliases = w.table("aliases", "list: :include:"+path+"\n")
		got := w.leads("list@local.example")
		if !strings.HasPrefix(got, "try again") || !strings.Contains(got, ":include:"+path+": "+line) || strings.Contains(got, "$6$") || strings.Contains(got, "secret") {
			t.Errorf("%q: %s", text, got)
		}
	}
	users := map[string]Included{"/home/eve/list": {Text: ":include:/etc/secret", User: "eve"}, "/home/eve/more": {Text: ":include:/home/eve/own", User: "eve"},
		"/home/eve/own": {Text: "carol", User: "eve"}, "/etc/secret": {Text: "carol"}}
	w.rules.Include = func(_ context.Context, path string) (Included, error) { return users[path], nil }
	w.rules.Aliases = w.table("aliases", "list: :include:/home/eve/list\nmore: :include:/home/eve/more\n")
	w.check(map[string]string{"list@local.example": "550 5.7.1 the :include: file of a user leads to one that is not his", "more@local.example": "mailbox:carol@local.example"})
}

// REL-019, REL-020: what leads in circles, too far or to too many.
func TestExpansionEnds(t *testing.T) {
	w := newTown(t)
	var virtual, local strings.Builder
	for i := range 60 {
		fmt.Fprintf(&virtual, "deep%d@example.org deep%d@example.org\n", i, i+1)
	}
	virtual.WriteString("deep60@example.org alice@example.org\n")
	virtual.WriteString("many@example.org alice@example.org")
	for i := range 1200 {
		fmt.Fprintf(&virtual, ", m%d@far.example", i)
	}
	virtual.WriteString("\na@example.org b@example.org\nb@example.org a@example.org\nself@example.org self@example.org, alice@example.org\n")
	// Each names both of the next: 2^40 ways, 80 addresses.
	for i := range 40 {
		for _, side := range "lr" {
			fmt.Fprintf(&local, "%c%d: l%d, r%d\n", side, i, i+1, i+1)
		}
	}
	local.WriteString("l40: alice@example.org\nr40: alice@example.org\nmember: carol, list\nlist: member, bob@example.org\nme: me, carol\ncarol: carol, bob@example.org\n")
	include := filepath.Join(t.TempDir(), "include")
	if err := os.WriteFile(include, []byte(":include:"+include+", :include:"+include), 0o644); err != nil {
		t.Fatal(err)
	}
	local.WriteString("round: :include:" + include + "\nmissing: carol, :include:/nowhere/at/all\n")
	w.rules.Virtual, w.rules.Aliases = w.table("hash", virtual.String()), w.table("aliases", local.String())
	for name, want := range map[string]map[string]string{
		"REL-019 cycle a→b→a":        {"a@example.org": "554 5.4.6 the alias leads back to itself", "list@local.example": "554 5.4.6 the alias leads back to itself"},
		"REL-019 nested too deep":    {"deep0@example.org": "554 5.4.6 the chain of aliases is too long", "deep20@example.org": "mailbox:alice@example.org"},
		"REL-019 more than 1000":     {"many@example.org": "554 5.4.6 the alias leads to too many addresses"},
		"REL-019 includes itself":    {"self@example.org": "554 5.4.6 the alias leads back to itself", "me@local.example": "554 5.4.6 the alias leads back to itself", "round@local.example": "554 5.4.6 the alias leads back to itself"},
		"REL-019 names its own user": {"carol@local.example": "mailbox:carol@local.example, mailbox:bob@example.org"},
		"REL-019 2^40 ways":          {"l0@local.example": "mailbox:alice@example.org"},
		"REL-020 one canonical form": {"A@EXAMPLE.ORG": "554 5.4.6 the alias leads back to itself", `"DEEP60"@Example.Org`: "mailbox:alice@example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			w.check(want)
		})
	}
	// MAP-004: half of a list is nobody's wish.
	if got := w.leads("missing@local.example"); !strings.HasPrefix(got, "try again") {
		t.Errorf("a missing :include: file: %s", got)
	}
}

// Row 49: luser_relay, and users whom a table knows.
func TestUnknownLocalUsers(t *testing.T) {
	w := newTown(t)
	w.rules.LocalRecipients = w.table("hash", "dovecot x\n")
	for relay, want := range map[string]string{
		"alice@example.org":                  "mailbox:alice@example.org",
		"$user@far.example":                  "smtp:who@far.example",
		"x+${extension}-$domain@far.example": "smtp:x+ext-local.example@far.example",
		"@far.example":                       "smtp:who+ext@far.example",
		"":                                   "550 5.1.1 User unknown in local recipient table",
		"nobody":                             "550 5.1.1 User unknown in local recipient table",
	} {
		w.rules.LuserRelay = relay
		w.check(map[string]string{"who+ext@local.example": want, "dovecot@local.example": "smtp:dovecot@local.example"})
	}
}

// Aliases of the database: lists with an owner, temporary addresses.
func TestAliasesOfTheDatabase(t *testing.T) {
	w := newTown(t)
	soon := time.Now().Add(time.Hour)
	for _, a := range []directory.Alias{
		{Address: "Sales@example.org", Targets: []string{"alice@example.org", "bob@example.org"}},
		{Address: "team@alias.example", Targets: []string{"alice@example.org", "x@far.example"}, Owner: "bob@example.org"},
		{Address: "now@example.org", Targets: []string{"alice@example.org"}, Until: soon},
		{Address: "old@example.org", Targets: []string{"alice@example.org"}, Until: time.Now().Add(-time.Second)},
		{Address: "@example.org", Targets: []string{"bob@example.org"}},
	} {
		if err := w.directory.AddAlias(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	w.check(map[string]string{
		"sales+x@example.org": "mailbox:alice@example.org, mailbox:bob@example.org",
		"team@alias.example":  "mailbox:alice@example.org from bob@example.org, smtp:x@far.example from bob@example.org",
		"now@example.org":     "mailbox:alice@example.org",
		"old@example.org":     "mailbox:bob@example.org", // its time is over: the catch-all
		"alice@example.org":   "mailbox:alice@example.org",
		"abuse@example.org":   "mailbox:postmaster@example.org",
		"whoever@example.org": "mailbox:bob@example.org",
	})
	w.state.Close()
	if got := w.leads("fresh@example.org"); !strings.HasPrefix(got, "try again") {
		t.Errorf("MAP-004 with the database gone: %s", got)
	}
}

// The steps tell the road.
func TestSteps(t *testing.T) {
	w := newTown(t)
	w.rules.Virtual = w.table("hash", "sales@example.org alice@example.org, x@far.example\n")
	e, err := w.router.Explain(t.Context(), Question{Recipient: parse(t, "sales+x@example.org")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range e.Steps {
		got = append(got, s.Rule+" "+s.From+" → "+s.To)
	}
	want := []string{"virtual_alias_maps sales@example.org → alice@example.org, x@far.example", "account alice@example.org → alice@example.org",
		"destination alice+x@example.org → mailbox:alice@example.org", "destination x+x@far.example → smtp:far.example"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// REL-004: an "@" in a local part, which a stranger chose, never says which machine mail
// goes to.
func TestAQuotedAtIsNoRoute(t *testing.T) {
	w := newTown(t)
	const unknown = "550 5.1.1 User unknown in local recipient table"
	for _, relay := range []string{"admin+$local", "$user", "$local@far.example", "$extension", "$recipient", "x$recipient"} {
		w.rules.LuserRelay = relay
		w.check(map[string]string{`"x@evil.example"@local.example`: unknown, `"+x@evil.example"@local.example`: unknown, `"a+b@evil.example"@local.example`: unknown})
	}
	w.rules.LuserRelay = "admin+$local@far.example"
	long := strings.Repeat("l", 60) + "@local.example"
	w.check(map[string]string{long: unknown, "l@local.example": "smtp:admin+l@far.example"})
	w.rules.LuserRelay = "alice@example.org"
	w.check(map[string]string{`"x@evil.example"@local.example`: "mailbox:alice@example.org"})
	w.rules.LuserRelay = ""
	w.rules.Virtual = w.table("hash", "@alias.example @far.example\n")
	w.check(map[string]string{
		`"x@evil.example"@alias.example`: `smtp:"x@evil.example"@far.example`,
		`x%evil.example@alias.example`:   `smtp:x%evil.example@far.example`,
		`evil.example!x@alias.example`:   `smtp:evil.example!x@far.example`,
	})
	quoted := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	w.rules.Virtual = w.table("pcre", `/^(.*)@alias\.example$/ $1
/^(.*)@twin\.example$/ $1@far.example
/([^@]*)@catch\.example$/ $1@far.example
`)
	for _, local := range []string{`"x@evil.example"`, `"x@evil.example,y"`, `"y,x@evil.example"`, `"a\",x@evil.example,\"b"`, `"x@evil.example y"`, `"<x@evil.example>"`, `"(x@evil.example"`, `"a b\\"`} {
		for _, domain := range []string{"alias.example", "twin.example", "catch.example"} {
			if got := w.leads(local + "@" + domain); strings.Contains(quoted.ReplaceAllString(got, ""), "evil.example") && strings.HasPrefix(got, "smtp:") {
				t.Errorf("%s@%s leads to %s", local, domain, got)
			}
		}
	}
}

// Who is there and gets no mail, or has moved, is not replaced by the catch-all of a
// domain whose addresses are those of his, nor a closed postmaster.
func TestClosedIsNotUnknown(t *testing.T) {
	w := newTown(t)
	w.directory.Configure([]directory.Domain{{Name: "example.org"}, {Name: "twin.example", AliasOf: "example.org", CatchAll: "alice@example.org"},
		{Name: "catch.example", CatchAll: "alice@example.org"}, {Name: "local.example", Class: directory.ClassLocal}}, directory.Allowances{})
	w.rules.Relocated = w.table("hash", "gone@example.org gone@new.example\n")
	for _, name := range []string{"bob@example.org", "postmaster@example.org"} {
		if err := w.directory.SetDisabled(t.Context(), parse(t, name), true, true); err != nil {
			t.Fatal(err)
		}
	}
	w.check(map[string]string{
		"bob@twin.example":    "550 5.2.1 the mailbox is disabled",
		"gone@twin.example":   "550 5.1.6 User has moved to gone@new.example",
		"abuse@catch.example": "550 5.2.1 the mailbox is disabled",
		"nobody@twin.example": "mailbox:alice@example.org",
	})
}

// The targets of an alias of the database are addresses, whatever aliases(5) would read
// in them.
func TestTargetsAreAddresses(t *testing.T) {
	w := newTown(t)
	targets := []string{"|foo@far.example", `"a,b"@far.example`, "/dev/null@far.example", `"x y"@far.example`}
	if err := w.directory.AddAlias(t.Context(), directory.Alias{Address: "odd@example.org", Targets: targets}); err != nil {
		t.Fatal(err)
	}
	w.check(map[string]string{"odd@example.org": "smtp:" + strings.Join(targets, ", smtp:")})
}

// REL-001: an alias_of that leads to no domain of ours is no road to there.
func TestTwinOfADomainElsewhere(t *testing.T) {
	w := newTown(t)
	w.directory.Configure([]directory.Domain{{Name: "example.org"}, {Name: "twin.example", AliasOf: "gone.example"}}, directory.Allowances{})
	unknown := "550 5.1.1 User unknown in virtual mailbox table"
	w.check(map[string]string{"x@twin.example": unknown, "abuse@twin.example": "mailbox:postmaster@example.org"})
	if err := w.directory.AddDomain(t.Context(), "gone.example"); err != nil {
		t.Fatal(err)
	}
	if err := w.directory.AddHashed(t.Context(), parse(t, "x@gone.example"), "{PLAIN}secret", 0); err != nil {
		t.Fatal(err)
	}
	w.check(map[string]string{"x@twin.example": "mailbox:x@gone.example", "y@twin.example": unknown})
}
