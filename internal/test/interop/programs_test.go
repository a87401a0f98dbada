package interop

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// desk is one person with a program to read mail with.
type desk struct {
	post       Post
	user       string
	dir        string // of the program's own
	host, port string // of IMAP
}

// The letters that each person has.
const deskLetters = 12

// Programs of Debian that read mail, each with a mailbox of its own; all that they do is
// seen by a plain client afterwards.
func TestMailPrograms(t *testing.T) {
	t.Parallel()
	programs := map[string]func(*testing.T, desk){
		"offlineimap": offlineimap, "neomutt": neomutt, "alpine": alpine, "fetchmail": fetchmail, "getmail": getmail,
		"imapfilter": imapfilter, "mail-imapclient": perlIMAP, "go-imap": goIMAP,
	}
	services := []string{"smtp", "imap"}
	if Serves("pop3") {
		services = append(services, "pop3")
		for name, program := range map[string]func(*testing.T, desk){
			"fetchmail-pop3": fetchmailPOP3, "getmail-pop3": getmailPOP3, "mpop": mpop, "curl-pop3": curlPOP3, "poplib": poplib,
		} {
			programs[name] = program
		}
	}
	setup := Setup{Services: services}
	for name := range programs {
		setup.Accounts = append(setup.Accounts, name+"@example.org")
	}
	eachPostWith(t, func(t *testing.T, open func(Setup) Post) {
		post := open(setup)
		for _, user := range setup.Accounts {
			Plant(t, post.Maildir(user), deskLetters, 1500)
		}
		post.Handover(alice)
		post.Start()
		for name, program := range programs {
			t.Run(name, func(t *testing.T) {
				host, port, _ := strings.Cut(post.Addr("imap"), ":")
				program(t, desk{post, name + "@example.org", t.TempDir(), host, port})
			})
		}
	})
}

// letters counts what is in a mailbox, as a plain client sees it; -1: there is no such.
func (d desk) letters(t *testing.T, mailbox, criteria string) int {
	t.Helper()
	c := DialIMAP(t, d.post.Addr("imap"), d.user)
	defer c.conn.Close()
	if !strings.HasPrefix(c.Try("EXAMINE %q", mailbox).Status, "OK") {
		return -1
	}
	count := 0
	for _, line := range c.Do("UID SEARCH %s", criteria).Lines {
		if numbers, found := strings.CutPrefix(line, "* SEARCH"); found {
			count = len(strings.Fields(numbers))
		}
	}
	return count
}

func (d desk) expect(t *testing.T, mailbox, criteria string, want int) {
	t.Helper()
	if got := d.letters(t, mailbox, criteria); got != want {
		t.Errorf("%s has %d letters that are %s, want %d", mailbox, got, criteria, want)
	}
}

// write puts a file into the program's directory, for its owner alone.
func (d desk) write(t *testing.T, name, format string, args ...any) string {
	t.Helper()
	path := WriteFile(t, filepath.Join(d.dir, name), fmt.Sprintf(format, args...))
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// screen runs a program on a terminal.
func (d desk) screen(t *testing.T, typed, command string) {
	t.Helper()
	typescript := filepath.Join(d.dir, "typescript")
	out, err := TryRunEnv(t, []string{"TERM=xterm", "HOME=" + d.dir, "LANG=C"}, typed, Need(t, "script"), "-qec", "timeout --foreground 60 "+command, typescript)
	if err != nil {
		t.Errorf("%s: %v\n%.2000q", command, err, out)
	}
	t.Cleanup(func() {
		if seen, _ := os.ReadFile(typescript); t.Failed() {
			t.Logf("it showed:\n%.4000q", seen)
		}
	})
}

// offlineimap has everything down; a second run does nothing; then changes go both ways.
func offlineimap(t *testing.T, d desk) {
	program := Need(t, "offlineimap")
	rc := d.write(t, "rc", `[general]
accounts = a
metadata = %[1]s/meta
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %[1]s/mail
[Repository far]
type = IMAP
remotehost = %[2]s
remoteport = %[3]s
remoteuser = %[4]s
remotepass = %[5]s
ssl = no
starttls = no
auth_mechanisms = PLAIN
`, d.dir, d.host, d.port, d.user, Password)
	sync := func() string {
		t.Helper()
		out := Run(t, "", program, "-c", rc, "-o", "-u", "basic")
		if strings.Contains(out, "ERROR") {
			t.Errorf("offlineimap: %s", out)
		}
		return out
	}
	inbox := filepath.Join(d.dir, "mail", "INBOX")
	sync()
	expectLetters(t, inbox, deskLetters, 0) // offlineimap adds a field to each
	if out := sync(); strings.Contains(out, "Copy message") || strings.Contains(out, "flags") {
		t.Errorf("the second run did something: %s", out)
	}
	changeNear(t, inbox)
	sync()
	d.expect(t, "INBOX", "ALL", deskLetters)
	d.expect(t, "INBOX", "FLAGGED", 1)
	d.expect(t, "Projects", "ALL", 1)
	// What the change expunged is in a mailbox that offlineimap did not know, if the server
	// keeps such letters: the next run has that one down, and nothing else.
	kept := max(0, d.letters(t, "Expunged", "ALL"))
	if out := sync(); strings.Count(out, "Copy message") != kept || strings.Count(out, "far:Expunged -> near:Expunged") != kept {
		t.Errorf("the run after the changes did more than fetch the %d letters of Expunged: %s", kept, out)
	}
	if out := sync(); strings.Contains(out, "Copy message") || strings.Contains(out, "flags") {
		t.Errorf("the last run did something: %s", out)
	}
}

// neomutt reads, marks, copies, moves and deletes, by keys pushed at its start.
func neomutt(t *testing.T, d desk) {
	program := Need(t, "neomutt")
	rc := d.write(t, "rc", "%s\n", strings.Join([]string{
		`set imap_user="` + d.user + `" imap_pass="` + Password + `"`, `set ssl_starttls=no ssl_force_tls=no imap_authenticators="plain:login"`,
		`set folder="imap://` + d.post.Addr("imap") + `/" spoolfile="imap://` + d.post.Addr("imap") + `/INBOX"`,
		`set header_cache="" copy=no confirmcreate=no confirmappend=no delete=yes quit=yes wait_key=no pager_stop=yes`,
		`set move=no sleep_time=0 resolve=no`,
		`push "<first-entry><display-message><exit><flag-message><copy-message>=Kept<enter><save-message>=Moved<enter>` +
			`<tag-pattern>~s 'letter 5$'<enter><tag-prefix><delete-message><limit>~b 'letter 7 of'<enter><sync-mailbox><quit>"`,
	}, "\n"))
	d.screen(t, "", program+" -F "+rc)
	d.expect(t, "INBOX", "ALL", deskLetters-2)
	d.expect(t, "Kept", "ALL", 1)
	d.expect(t, "Moved", "FLAGGED", 1)
}

// alpine opens INBOX, saves a letter into a folder and expunges it.
func alpine(t *testing.T, d desk) {
	program := Need(t, "alpine")
	d.write(t, ".pinerc", "inbox-path={%s:%s/imap/user=%s/notls/novalidate-cert}INBOX\n"+
		"folder-collections=Mail {%[1]s:%[2]s/imap/user=%[3]s/notls/novalidate-cert}[]\n"+
		"feature-list=quit-without-confirm,expunge-without-confirm,save-will-not-delete,enable-flag-cmd,disable-password-caching,disable-password-file-saving\nlast-time-prune-questioned=999.12\nlast-version-used=9.99\n", d.host, d.port, d.user)
	// It takes no key that came before it asks a question, other than for the password:
	// the folder is there already. Save, delete, expunge, quit.
	c := DialIMAP(t, d.post.Addr("imap"), d.user)
	c.Do("CREATE Saved")
	c.conn.Close()
	d.screen(t, Password+"\r"+"sSaved\r"+"dxq", program+" -p "+filepath.Join(d.dir, ".pinerc")+" -i")
	d.expect(t, "Saved", "ALL", 1)
	d.expect(t, "INBOX", "ALL", deskLetters-1)
}

func fetchmail(t *testing.T, d desk) { fetchBy(t, d, "imap", d.port) }

func fetchmailPOP3(t *testing.T, d desk) {
	_, port, _ := strings.Cut(d.post.Addr("pop3"), ":")
	fetchBy(t, d, "pop3", port)
}

// fetchBy has everything down and deletes it on the server.
func fetchBy(t *testing.T, d desk, protocol, port string) {
	program := Need(t, "fetchmail")
	rc := d.write(t, "rc", "poll %s service %s protocol %s uidl auth password username %q password %q mda \"cat >>%s/mail\" fetchall nokeep sslproto ''\n",
		d.host, port, protocol, d.user, Password, d.dir)
	if protocol == "imap" {
		rc = d.write(t, "rc", "%s", strings.Replace(read(t, rc), " uidl", "", 1))
	}
	args := []string{"-f", rc, "-i", filepath.Join(d.dir, "ids"), "--pidfile", filepath.Join(d.dir, "pid"), "--nosyslog", "-v"}
	Run(t, "", program, args...)
	if n := strings.Count(read(t, filepath.Join(d.dir, "mail")), "Subject: planted letter "); n != deskLetters {
		t.Errorf("fetchmail got %d letters, want %d", n, deskLetters)
	}
	d.expect(t, "INBOX", "ALL", 0)
	if out, err := TryRun(t, "", program, args...); err == nil || !strings.Contains(out, "No mail") {
		t.Errorf("fetchmail again: %v\n%s", err, out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func getmail(t *testing.T, d desk) {
	getBy(t, d, "SimpleIMAPRetriever", d.port, `mailboxes = ("INBOX",)`)
}

func getmailPOP3(t *testing.T, d desk) {
	_, port, _ := strings.Cut(d.post.Addr("pop3"), ":")
	getBy(t, d, "SimplePOP3Retriever", port, "")
}

// getBy has everything down and leaves it there; a second run finds nothing new.
func getBy(t *testing.T, d desk, kind, port, more string) {
	program := Need(t, "getmail")
	d.write(t, "rc", `[retriever]
type = %s
server = %s
port = %s
username = %s
password = %s
%s
[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat >>%s/mail")
allow_root_commands = true
[options]
read_all = false
delete = false
delivered_to = false
received = false
`, kind, d.host, port, d.user, Password, more, d.dir)
	out := Run(t, "", program, "--getmaildir", d.dir, "--rcfile", "rc")
	if n := strings.Count(read(t, filepath.Join(d.dir, "mail")), "Subject: planted letter "); n != deskLetters {
		t.Errorf("getmail got %d letters, want %d\n%s", n, deskLetters, out)
	}
	if out = Run(t, "", program, "--getmaildir", d.dir, "--rcfile", "rc"); !strings.Contains(out, "0 messages") {
		t.Errorf("getmail again: %s", out)
	}
}

// imapfilter searches on the server, and copies, marks and moves what it found.
func imapfilter(t *testing.T, d desk) {
	config := d.write(t, "config.lua", `options.timeout = 120
options.create = true
options.starttls = false
account = IMAP { server = %q, port = %s, username = %q, password = %q }
a = account.INBOX:contain_subject("planted letter 1")
a:mark_flagged()
a:copy_messages(account["Copied"])
b = account.INBOX:contain_body("letter 7 of") * account.INBOX:is_seen()
b:move_messages(account["Moved"])
c = account.INBOX:contain_field("Message-ID", "planted-3@")
c:add_flags({ "$Work" })
c:delete_messages()
`, d.host, d.port, d.user, Password)
	out, err := TryRunEnv(t, []string{"HOME=" + d.dir}, "", Need(t, "imapfilter"), "-c", config)
	if err != nil {
		t.Fatalf("imapfilter: %v\n%s", err, out)
	}
	d.expect(t, "INBOX", "FLAGGED", 4) // 1, 10, 11, 12
	d.expect(t, "Copied", "FLAGGED", 4)
	d.expect(t, "Moved", "ALL", 1)
	d.expect(t, "INBOX", "ALL", deskLetters-2)
}

// perlIMAP uses most of Mail::IMAPClient.
func perlIMAP(t *testing.T, d desk) {
	perl := Need(t, "perl")
	if _, err := TryRun(t, "", perl, "-MMail::IMAPClient", "-e", "1"); err != nil {
		Missing(t, "no Mail::IMAPClient")
	}
	out := Run(t, "", perl, "-e", perlStory, d.host, d.port, d.user, Password)
	if out != "content\n" {
		t.Errorf("Mail::IMAPClient: %s", out)
	}
	d.expect(t, "Kept/2026", "FLAGGED", 2)
	d.expect(t, "INBOX", "ALL", deskLetters-2)
}

const perlStory = `
use strict; use warnings; use Mail::IMAPClient;
my ($host, $port, $user, $password) = @ARGV;
my $c = Mail::IMAPClient->new(Server => $host, Port => $port, User => $user, Password => $password, Uid => 1, Timeout => 120) or die "connect: $@";
sub ok { my ($what, $got) = @_; die "$what: " . ($c->LastError // "") unless $got; return $got }
ok("capability", $c->has_capability("UIDPLUS"));
ok("separator", $c->separator eq "/");
ok("select", $c->select("INBOX"));
ok("count", $c->message_count == 12);
my @found = $c->search("SUBJECT", "planted letter 1");
ok("search", @found == 4);
my $head = ok("parse_headers", $c->parse_headers($found[0], "Subject", "Message-ID"));
ok("subject", $head->{Subject}[0] eq "planted letter 1");
ok("body", $c->message_string($found[0]) =~ /letter 1 of many/);
ok("size", $c->size($found[0]) > 1000);
my $env = ok("envelope", $c->get_envelope($found[0]));
ok("from", $env->from_addresses eq 'Bob <bob@example.net>');
ok("structure", $c->get_bodystructure($found[0])->bodytype eq "TEXT");
ok("create", $c->create("Kept/2026"));
ok("append", my $uid = $c->append_string("Kept/2026", "Subject: kept\r\n\r\nx\r\n", "\\Flagged"));
ok("append uid", $uid =~ /^\d+$/);
ok("copy", $c->copy("Kept/2026", $found[0]));
ok("move", $c->move("Kept/2026", $found[1]));
ok("expunge", $c->expunge);
ok("flag", $c->set_flag("Flagged", $found[0]));
ok("delete", $c->delete_message($found[0]));
ok("expunge", $c->expunge);
ok("status", $c->status("Kept/2026", "MESSAGES"));
ok("messages", $c->message_count("Kept/2026") == 3);
ok("select", $c->select("Kept/2026"));
my @kept = $c->messages;
ok("three", @kept == 3);
ok("flags", $c->set_flag("Flagged", $kept[1]));
ok("thread or not", !$c->has_capability("THREAD=REFERENCES") || $c->thread("REFERENCES"));
ok("sort or not", !$c->has_capability("SORT") || scalar($c->sort("(REVERSE DATE)", "UTF-8", "ALL")));
ok("folders", grep { $_ eq "Kept/2026" } $c->folders);
ok("subscribe", $c->subscribe("Kept/2026"));
ok("idle", my $idle = $c->idle);
ok("done", $c->done($idle));
ok("close", $c->close);
ok("logout", $c->logout);
print "content\n";
`

// goIMAP is the client of go-imap, as ledger uses it too.
func goIMAP(t *testing.T, d desk) {
	c, err := imapclient.DialInsecure(d.post.Addr("imap"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	watchdog := time.AfterFunc(LongWait, func() { c.Close() })
	defer watchdog.Stop()
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	do("login", c.Login(d.user, Password).Wait())
	do("create", c.Create("Projects/Größe", nil).Wait())
	do("subscribe", c.Subscribe("Projects/Größe").Wait())
	boxes, err := c.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true}}).Collect()
	do("list", err)
	if len(boxes) < 2 {
		t.Errorf("%d mailboxes", len(boxes))
	}
	selected, err := c.Select("INBOX", nil).Wait()
	do("select", err)
	if selected.NumMessages != deskLetters {
		t.Errorf("%d letters", selected.NumMessages)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "letter 1"}}}, nil).Wait()
	do("search", err)
	uids := imap.UIDSetNum(found.AllUIDs()...)
	if len(found.AllUIDs()) != 4 {
		t.Errorf("found %v", found.AllUIDs())
	}
	messages, err := c.Fetch(uids, &imap.FetchOptions{UID: true, Flags: true, Envelope: true, InternalDate: true, RFC822Size: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
	do("fetch", err)
	for _, m := range messages {
		if m.Envelope == nil || !strings.HasPrefix(m.Envelope.Subject, "planted letter 1") || m.BodyStructure == nil || m.RFC822Size == 0 || m.InternalDate.IsZero() {
			t.Errorf("%+v", m)
		}
	}
	do("store", c.Store(uids, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged, "$Work"}}, nil).Close())
	letter := "Subject: appended\r\n\r\nhello\r\n"
	upload := c.Append("Projects/Größe", int64(len(letter)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}, Time: time.Unix(1700000000, 0)})
	_, err = io.WriteString(upload, letter)
	do("append", err)
	do("append", upload.Close())
	appended, err := upload.Wait()
	do("append", err)
	if appended.UID == 0 {
		t.Error("no APPENDUID")
	}
	copied, err := c.Copy(uids, "Projects/Größe").Wait()
	do("copy", err)
	if len(copied.DestUIDs) == 0 {
		t.Error("no COPYUID")
	}
	_, err = c.Move(imap.UIDSetNum(found.AllUIDs()[0]), "Projects/Größe").Wait()
	do("move", err)
	status, err := c.Status("Projects/Größe", &imap.StatusOptions{NumMessages: true, UIDNext: true, UIDValidity: true, NumUnseen: true}).Wait()
	do("status", err)
	if status.NumMessages == nil || *status.NumMessages != 6 {
		t.Errorf("status %+v", status)
	}
	idle, err := c.Idle()
	do("idle", err)
	do("idle", idle.Close())
	do("idle", idle.Wait())
	_, err = c.Expunge().Collect()
	do("expunge", err)
	do("unselect", c.Unselect().Wait())
	do("rename", c.Rename("Projects/Größe", "Projects/Größer", nil).Wait())
	do("logout", c.Logout().Wait())
	d.expect(t, "INBOX", "KEYWORD $Work", 3)
	d.expect(t, "INBOX", "ALL", deskLetters-1)
}

func mpop(t *testing.T, d desk) {
	program := Need(t, "mpop")
	_, port, _ := strings.Cut(d.post.Addr("pop3"), ":")
	rc := d.write(t, "rc", "account a\nhost %s\nport %s\nuser %s\npassword %s\nauth user\ntls off\nkeep on\nuidls_file %[5]s/uidls\ndelivery mbox %[5]s/mail\n",
		d.host, port, d.user, Password, d.dir)
	Run(t, "", program, "-C", rc, "a")
	if n := strings.Count(read(t, filepath.Join(d.dir, "mail")), "Subject: planted letter "); n != deskLetters {
		t.Errorf("mpop got %d letters, want %d", n, deskLetters)
	}
	if out := Run(t, "", program, "-C", rc, "a"); !strings.Contains(out, "new: no messages") {
		t.Errorf("mpop again: %s", out)
	}
	d.expect(t, "INBOX", "ALL", deskLetters)
}

func curlPOP3(t *testing.T, d desk) {
	curl := Need(t, "curl")
	login := []string{"-sS", "--max-time", "120", "-u", d.user + ":" + Password}
	url := "pop3://" + d.post.Addr("pop3") + "/"
	if out := Run(t, "", curl, append(login, url)...); len(strings.Fields(out)) != 2*deskLetters {
		t.Errorf("LIST: %q", out)
	}
	text := Run(t, "", curl, append(login, url+"3")...)
	if strings.ReplaceAll(text, "\r\n", "\n") != PlantedLetter(3, 1500) {
		t.Errorf("RETR: %q", text)
	}
	if out := Run(t, "", curl, append(login, "-X", "UIDL", url)...); len(strings.Fields(out)) != 2*deskLetters {
		t.Errorf("UIDL: %q", out)
	}
	Run(t, "", curl, append(login, "-X", "DELE", "-I", url+"3")...)
	d.expect(t, "INBOX", "ALL", deskLetters-1)
}

func poplib(t *testing.T, d desk) {
	out := Run(t, "", Need(t, "python3"), "-c", poplibStory, d.post.Addr("pop3"), d.user, Password)
	if out != "content\n" {
		t.Errorf("poplib: %s", out)
	}
	d.expect(t, "INBOX", "ALL", deskLetters-1)
}

const poplibStory = `
import poplib, sys
addr, user, password = sys.argv[1:]
host, port = addr.split(":")
def connect():
    c = poplib.POP3(host, int(port), timeout=120)
    c.user(user); c.pass_(password)
    return c
c = connect()
assert c.capa()["UIDL"] == []
assert c.stat()[0] == 12, c.stat()
ids = [line.split()[1] for line in c.uidl()[1]]
assert len(set(ids)) == 12, ids
size = int(c.list(1).split()[2])
lines = c.retr(1)[1]
assert b"This is letter 1 of many." in lines
assert sum(len(l) + 2 for l in lines) == size, (size, lines)
top = c.top(1, 1)[1]
assert top[-1] == b"This is letter 1 of many.", top
c.dele(1); c.rset(); c.dele(2); c.noop(); c.quit()
c = connect()
assert [line.split()[1] for line in c.uidl()[1]] == ids[:1] + ids[2:]
c.dele(1); c.close()
c = connect()
assert c.stat()[0] == 11, c.stat()
c.quit()
print("content")
`
