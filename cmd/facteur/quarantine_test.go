package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// learntHam is from how many letters an account's filter has learnt what is no spam.
func learntHam(t *testing.T, file, account string) int {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	o, done, err := control.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	list, err := o.Learnt(t.Context(), control.LearntBy{Account: account})
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	return int(list[0].Ham)
}

const spamText = "From: Mallory <m@evil.example>\r\nSubject: cheap \x1b[31mpills\r\n\r\nBuy.\r\n"

// shelve puts a letter into the quarantine of a data directory, as the filter does.
func shelve(t *testing.T, file, category string, to ...string) (id string) {
	t.Helper()
	q, err := queue.Open(filepath.Join(filepath.Dir(file), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	s := q.Spool()
	s.Write([]byte(spamText))
	it := &queue.Item{ID: q.NextID(), Sender: address.Address{Local: "m", Domain: "evil.example"}, Origin: queue.Origin{ClientAddr: "192.0.2.1", Protocol: "ESMTP"}}
	for _, name := range to {
		a, _ := address.Parse(name)
		it.Recipients = append(it.Recipients, queue.Recipient{Address: a, Original: a, Route: "mailbox:" + name, Folder: `\Junk`, State: queue.Held, Quarantine: category,
			Exhibit: &queue.Exhibit{Account: name, Author: "Mallory <m@evil.example>", Subject: "cheap \x1b[31mpills", Score: 17.25, Evidence: "dnsbl_zen  3.5  The client is on a list.\nwords      4.5  It reads like spam."}})
	}
	if err := q.Commit(t.Context(), queue.Draft{Item: it, Spool: s}); err != nil {
		t.Fatal(err)
	}
	return it.ID.String()
}

// TestQuarantineCommands (rows 197, 199, 204, 206): what people do with the quarantine, while the
// server is stopped.
func TestQuarantineCommands(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	for _, name := range []string{"alice", "bob"} {
		good(t, "secret\n", "account", "add", name+"@example.org", "--password-stdin", "-c", file)
	}
	do := func(args ...string) string { return good(t, "", append(args, "-c", file)...) }
	if got := do("quarantine", "list"); got != "Nothing is in quarantine.\n" {
		t.Error(got)
	}
	one := shelve(t, file, "spam", "alice@example.org", "bob@example.org")
	virus := shelve(t, file, "virus", "bob@example.org")

	list := do("quarantine", "list")
	for _, want := range []string{one + " ", one + "/2 ", virus, "17.2", "<bob@example.org> Mallory <m@evil.example>: cheap ?[31mpills"} {
		if !strings.Contains(list, want) {
			t.Errorf("%q is not in\n%s", want, list)
		}
	}
	if got := do("quarantine", "list", "--category", "spam", "--account", "alice@example.org", "--json"); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"score":17.25`) {
		t.Error(got)
	}
	if got := do("quarantine", "stats"); !strings.Contains(got, "3 letters, 134 bytes") {
		t.Error(got)
	}
	if got := do("quarantine", "show", one, "--raw"); got != spamText {
		t.Errorf("%q", got)
	}
	if got := do("quarantine", "show", one, "--headers"); strings.Contains(got, "Buy") || strings.Contains(got, "\x1b") || !strings.Contains(got, "Subject: cheap") {
		t.Errorf("%q", got)
	}
	if got := do("quarantine", "show", one); !strings.Contains(got, "dnsbl_zen  3.5") || !strings.Contains(got, "For:       <alice@example.org>") || !strings.Contains(got, "facteur explain "+one) {
		t.Error(got)
	}
	// It is not the queue's, and the orders for all of that do not reach it.
	if got := do("queue", "list"); got != "Mail queue is empty\n" {
		t.Error(got)
	}
	do("queue", "release", "--all")
	call(t, "", "postsuper", "-c", file, "-H", "ALL", "-d", "ALL")
	if got := do("queue", "show", one); !strings.Contains(got, "quarantined (spam)") {
		t.Error(got)
	}

	if got := do("quarantine", "release", one+"/2", "--learn"); got != "1 letter is released.\n" {
		t.Error(got)
	}
	if status, _, stderr := call(t, "", "quarantine", "release", one+"/2", "-c", file); status != 1 || !strings.Contains(stderr, "nothing of that name is in quarantine") {
		t.Errorf("released twice: %d %s", status, stderr)
	}
	if status, _, stderr := call(t, "", "quarantine", "release", one, "--to", "nobody@example.org", "-c", file); status != 1 || !strings.Contains(stderr, "nobody@example.org") {
		t.Errorf("released to nobody: %d %s", status, stderr)
	}
	if got := do("quarantine", "release", one, "--to", "bob@example.org"); got != "1 letter is released.\n" {
		t.Error(got)
	}
	var e control.Entry
	if err := json.Unmarshal([]byte(do("queue", "list", "--json")), &e); err != nil || len(e.Recipients) != 2 {
		t.Fatalf("%+v, %v; want both released", e, err)
	}
	for _, r := range e.Recipients {
		if r.Folder != "" || r.State != "queued" || r.Route != "mailbox:bob@example.org" {
			t.Errorf("released as %+v", r)
		}
	}
	if ham := learntHam(t, file, "bob@example.org"); ham != 1 {
		t.Errorf("bob's filter learnt from %d letters; want 1", ham)
	}
	if got := do("explain", one); !strings.Contains(got, "released the message for <bob@example.org>, in quarantine as spam: it goes to the inbox, and is not filtered again.") {
		t.Error(got)
	}

	if status, _, stderr := call(t, "", "quarantine", "delete", "--category", "virus", "-c", file); status != 1 || !strings.Contains(stderr, "1 letter would be deleted; nothing was changed. --yes does it") {
		t.Errorf("%d %s", status, stderr)
	}
	if got := do("quarantine", "purge", "--older", "30d"); got != "Nothing of that is in quarantine.\n" {
		t.Error(got)
	}
	if status, _, stderr := call(t, "", "quarantine", "delete", "-c", file); status != 1 || !strings.Contains(stderr, "--all") {
		t.Errorf("%d %s", status, stderr)
	}
	// row 204: amavisd-release, by the name that amavis' log would have.
	if status, stdout, stderr := call(t, "", "amavisd-release", "virus-"+virus+".gz"); status != 1 {
		t.Errorf("without settings: %d %s%s", status, stdout, stderr)
	}
	c := &command{in: strings.NewReader(""), out: &strings.Builder{}, err: &strings.Builder{}, settings: file}
	if status := c.runTool(t.Context(), "amavisd-release", []string{"virus-" + virus + ".gz", "", "alice@example.org"}); status != 0 {
		t.Errorf("amavisd-release: %d %s", status, c.err)
	}
	if got := do("quarantine", "delete", "--all", "--yes"); got != "0 letters are deleted.\n" {
		t.Error(got)
	}
}

// TestFilterPolicyCommands (rows 189, 190, 191, 205): policies and lists by command.
func TestFilterPolicyCommands(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small+"[[filter_policy]]\nmatch = '@example.org'\npriority = 5\nkill = 9.5\nsubject_tag = '[SPAM] '\n[filter_policy.destinies]\nspam = 'quarantine'\n"+
		"[[filter_list]]\nmatch = '.'\nallow = ['@good.example', '192.0.2.0/24']\nscore = ['@meh.example = 2.5']\n")
	good(t, "secret\n", "account", "add", "alice@example.org", "--password-stdin", "-c", file)
	good(t, "", "alias", "add", "al@example.org", "alice@example.org", "-c", file)
	do := func(args ...string) string { return good(t, "", append(args, "-c", file)...) }
	do("filter", "policy", "set", "AL@Example.org", "priority=7", "junk=3.5", "subject_tag=none")
	show := do("filter", "policy", "show", "al@example.org")
	for _, want := range []string{"For alice@example.org", "junk 3.5 alice@example.org (database)", "kill 9.5 @example.org (facteur.toml)",
		"subject_tag none alice@example.org (database)", "destinies.spam quarantine @example.org (facteur.toml)", "destinies.virus quarantine default"} {
		if !strings.Contains(strings.Join(strings.Fields(show), " "), want) {
			t.Errorf("%q is not in\n%s", want, show)
		}
	}
	do("filter", "policy", "unset", "alice@example.org", "subject_tag")
	if got := do("filter", "policy", "list"); !strings.Contains(got, "junk=3.5\n") || !strings.Contains(got, "destinies.spam=quarantine kill=9.5") {
		t.Error(got)
	}
	do("filter", "policy", "unset", "alice@example.org")
	for args, want := range map[string]string{
		"policy unset @example.org":                      "only the file changes it",
		"policy set @example.org junk=1":                 "only the file changes it",
		"policy set . junk=":                             "an empty value says nothing",
		"policy set . destinies.spam=bounce":             "bounce is not offered",
		"allow remove @good.example":                     "only the file changes it",
		"allow add good.example":                         "expected an address, @domain",
		"block remove @never.example":                    "there is no such entry",
		"block add x@y.example --account a --domain b.c": "leave --account or --domain out",
	} {
		status, _, stderr := call(t, "", append(append([]string{"filter"}, strings.Fields(args)...), "-c", file)...)
		if status != 1 || !strings.Contains(stderr, want) {
			t.Errorf("filter %s: %d %s; want %q", args, status, stderr, want)
		}
	}
	do("filter", "block", "add", "@.evil.example", "198.51.100.7", "--domain", "example.org", "--until", "30d", "--note", "a pest")
	do("filter", "allow", "add", "friend@evil.example", "--account", "al@example.org", "--score", "-3")
	if got := do("filter", "block", "list", "--domain", "example.org"); strings.Count(got, "a pest") != 2 || !strings.Contains(got, "198.51.100.7/32") {
		t.Error(got)
	}
	if got := do("filter", "allow", "list"); !strings.Contains(got, "friend@evil.example (score -3)  alice@example.org") || !strings.Contains(got, "192.0.2.0/24") {
		t.Error(got)
	}
	do("filter", "block", "remove", "@.evil.example", "198.51.100.7", "--domain", "example.org")
	if got := do("filter", "block", "list", "--domain", "example.org"); got != "" {
		t.Error(got)
	}
}
