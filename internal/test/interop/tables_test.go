package interop

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tablesRoom is where the tables of a test lie, and the settings of Debian's postmap.
type tablesRoom struct {
	t       *testing.T
	dir     string
	postmap string
}

func newTablesRoom(t *testing.T) *tablesRoom {
	t.Helper()
	r := &tablesRoom{t: t, dir: Room(t), postmap: Need(t, "postmap")}
	WriteFile(t, filepath.Join(r.dir, "etc", "main.cf"), "compatibility_level = 3.6\n")
	return r
}

// file writes a file and gives its path.
func (r *tablesRoom) file(name, text string) string {
	r.t.Helper()
	return WriteFile(r.t, filepath.Join(r.dir, name), text)
}

// answers are what a postmap says for each key, sorted: servers give several values in
// any order, and so they are sorted in each line as well. Blanks count once: what
// continues a line keeps all of its own with Postfix.
func (r *tablesRoom) answers(postmap string, args []string, keys []string) []string {
	r.t.Helper()
	out, err := TryRun(r.t, strings.Join(keys, "\n")+"\n", postmap, args...)
	if err != nil && out != "" {
		r.t.Errorf("%s %v: %v\n%s", postmap, args, err, out)
	}
	var lines []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(strings.TrimPrefix(line, "postmap: "), "warning: ") {
			continue
		}
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		values := strings.Split(strings.Join(strings.Fields(value), " "), ",")
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
		}
		slices.Sort(values)
		lines = append(lines, key+"\t"+strings.Join(values, ","))
	}
	slices.Sort(lines)
	return lines
}

// compare asks Debian's postmap and ours for the same keys. found is how many of them
// have to have an answer, so that two tables that answer nothing are not alike.
func (r *tablesRoom) compare(table string, found int, keys ...string) {
	r.t.Helper()
	theirs := r.answers(r.postmap, []string{"-c", filepath.Join(r.dir, "etc"), "-q", "-", table}, keys)
	ours := r.answers(Binary(r.t), []string{"postmap", "-q", "-", table}, keys)
	if !slices.Equal(theirs, ours) || len(ours) != found {
		r.t.Errorf("%s: %d keys found, want %d\nPostfix: %q\nfacteur: %q", table, len(ours), found, theirs, ours)
	}
}

var tableKeys = []string{"alice@example.org", "ALICE@Example.Org", "bob+news@example.org", "carol@mail.example.com", "example.org", "@example.org", "alice", "alice@",
	"192.0.2.1", "192.0.2.77", "192.0.2.200", "2001:db8::5", "198.51.100.1", "root", "daemon", "eve@example.net", "owner-list@example.org", "a@b@example.org"}

// Rows 59 and 64, and every other kind that needs no server: the same tables and the
// same keys, asked by Debian's postmap and by ours.
func TestTablesAsPostmapReadsThem(t *testing.T) {
	t.Parallel()
	r := newTablesRoom(t)
	text := r.file("text", `# comment
alice@example.org    one,
    two three
Bob+News@example.org	tab
"with blank" quoted
example.org OK
@example.org  catch-all@example.net
root   x@y
alice@example.org duplicate
192.0.2.1 REJECT
`)
	content, _ := os.ReadFile(text)
	for _, kind := range []string{"hash", "btree"} {
		path := r.file(kind, string(content))
		TryRun(t, "", r.postmap, "-c", filepath.Join(r.dir, "etc"), kind+":"+path)
		r.compare(kind+":"+path, 7, tableKeys...)
	}
	text = r.file("text", strings.ReplaceAll(string(content), "alice@example.org duplicate\n", ""))
	Run(t, "", r.postmap, "-c", filepath.Join(r.dir, "etc"), "hash:"+text)
	r.compare("texthash:"+text, 7, tableKeys...)
	networks := r.file("networks", "192.0.2.1 one\n192.0.2.0/25 low\n192.0.2.64/26 never\n!192.0.2.128/25 not high\n2001:db8::/32 six\n0.0.0.0/0 any\n")
	r.compare("cidr:"+networks, 5, tableKeys...)
	blocks := r.file("blocks", "if 192.0.2.0/24\n192.0.2.1 one\nif !192.0.2.128/25\n0.0.0.0/0 low\nendif\nendif\n198.51.100.0/24 other\n2001:db8::/32 six\n")
	r.compare("cidr:"+blocks, 4, tableKeys...)
	patterns := r.file("patterns", `# comment
/^owner-(.*)@/      $1-owner
if /@example\.org$/
!/^(alice|bob)/     not alice or bob: $$1
/^(.*)\+(.*)@/      ${1} with $(2)
/^ALICE/i           case
endif
/^(root|daemon)$/   user $1
/^carol@mail\.(.*)$/  carol in $1
/\<carol\>/         word
/^192\.0\.2\.[0-9]{1,2}$/ few
`)
	r.compare("regexp:"+patterns, 10, tableKeys...)
	perl := r.file("perl", `/^(?:alice|bob)@example\.org$/ group
/(?P<n>bob)\+(\w+)@/ $2 of $1
/^a@.*?@example/U ungreedy
/  ^carol @ mail /x blanks
/LICE$/i   case
/root|dae/A anchored
/^[[:digit:]]+\.\d/ digits
/@example\.org\Z/ end
`)
	r.compare("pcre:"+perl, 13, tableKeys...)
	for table, found := range map[string]int{
		"static:OK": 18, "static:{two words}": 18, "inline:{alice@example.org=one, {root = two words}}": 3,
		"unix:passwd.byname": 2, "unix:group.byname": 2,
		"unionmap:{hash:" + text + ", inline:{root=more, eve@example.net=eve}}":      8,
		"pipemap:{inline:{root=alice@example.org, alice=nobody}, hash:" + text + "}": 1,
	} {
		r.compare(table, found, tableKeys...)
	}
}

// The aliases of postalias.
func TestAliasesAsPostaliasReadsThem(t *testing.T) {
	t.Parallel()
	r := newTablesRoom(t)
	path := r.file("aliases", "# comment\npostmaster: root\nRoot: alice, bob,\n  carol\nlist: :include:/etc/list\n\"quoted name\": \"|/bin/cmd x\"\nnull: /dev/null\n")
	postalias := Need(t, "postalias")
	Run(t, "", postalias, "-c", filepath.Join(r.dir, "etc"), "hash:"+path)
	for _, key := range []string{"postmaster", "ROOT", "list", "quoted name", "null", "nosuch"} {
		theirs, err1 := TryRun(t, "", postalias, "-c", filepath.Join(r.dir, "etc"), "-q", key, "hash:"+path)
		ours, err2 := TryRun(t, "", Binary(t), "postalias", "-q", key, "hash:"+path)
		if theirs != ours || (err1 == nil) != (err2 == nil) {
			t.Errorf("%s: Postfix %q (%v), facteur %q (%v)", key, theirs, err1, ours, err2)
		}
	}
}

// postmap's exit status, and what it says of a text.
func TestPostmapCommand(t *testing.T) {
	t.Parallel()
	r := newTablesRoom(t)
	path := r.file("text", "a one\nb\na two\n")
	ours, etc := Binary(t), filepath.Join(r.dir, "etc")
	Run(t, "", r.postmap, "-c", etc, "hash:"+path)
	for _, args := range [][]string{{"-q", "a", "hash:" + path}, {"-q", "z", "hash:" + path}, {"-q", "A", path}, {"-s", "hash:" + path}, {"-q", "a", "hash:/nosuch"},
		{"-s", "regexp:" + path}, {"-q", "a", "foo:" + path}, {"-q", "z", "hash:" + path, "static:x"}} {
		theirs, err1 := TryRun(t, "", r.postmap, append([]string{"-c", etc}, args...)...)
		got, err2 := TryRun(t, "", ours, append([]string{"postmap"}, args...)...)
		if fmt.Sprint(err1) != fmt.Sprint(err2) || err1 == nil && theirs != got {
			t.Errorf("%v: Postfix %q (%v), facteur %q (%v)", args, theirs, err1, got, err2)
		}
	}
	link := filepath.Join(r.dir, "postmap")
	if err := os.Symlink(ours, link); err != nil {
		t.Fatal(err)
	}
	if got := Run(t, "", link, path); !strings.Contains(got, "1 entries; nothing needs to be compiled here") || !strings.Contains(got, "duplicate entry") {
		t.Errorf("postmap FILE says %q", got)
	}
	if got := Run(t, "", ours, "list", "query", "hash:"+path, "a"); got != "one\n" {
		t.Errorf("list query says %q", got)
	}
}

// Row 65: tables over TCP, and socketmaps, by a server that answers both.
func TestTablesOverTCP(t *testing.T) {
	t.Parallel()
	r := newTablesRoom(t)
	data := map[string]string{"alice@example.org": "one two%", "root": "x"}
	lines := serveTable(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		var key string
		for {
			if _, err := fmt.Fscanf(c, "get %s\n", &key); err != nil {
				return
			}
			if v, found := data[strings.ReplaceAll(key, "%40", "@")]; found {
				fmt.Fprintf(c, "200 %s\n", strings.NewReplacer(" ", "%20", "%", "%25").Replace(v))
			} else {
				fmt.Fprint(c, "500 not found\n")
			}
		}
	})
	r.compare("tcp:"+lines, 2, tableKeys...)
	netstrings := func(c net.Conn) {
		for {
			var n int
			if _, err := fmt.Fscanf(c, "%d:", &n); err != nil || n > 1000 {
				return
			}
			b := make([]byte, n+1)
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			name, key, _ := strings.Cut(string(b[:n]), " ")
			answer := "NOTFOUND "
			if v, found := data[key]; found && name == "aliases" {
				answer = "OK " + v
			}
			fmt.Fprintf(c, "%d:%s,", len(answer), answer)
		}
	}
	r.compare("socketmap:inet:"+serveTable(t, "tcp", "127.0.0.1:0", netstrings)+":aliases", 2, tableKeys...)
	socket := serveTable(t, "unix", filepath.Join(r.dir, "socket"), netstrings)
	r.compare("socketmap:unix:"+socket+":aliases", 2, tableKeys...)
	r.compare("socketmap:unix:"+socket+":other", 0, tableKeys...)
}

func serveTable(t *testing.T, network, address string, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return l.Addr().String()
}
