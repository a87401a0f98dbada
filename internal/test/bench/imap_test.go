package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// imapRow is one operation of the comparison over IMAP.
type imapRow struct {
	name string
	// once: it changes what is there, or is the first of its kind, and so can't be
	// repeated until its time is measurable.
	once bool
	// needs is a capability without which the row is left out.
	needs string
	// before is what has to be done first and is not measured; do is measured and
	// returns how many bytes came.
	before func(h *imapHouse)
	do     func(h *imapHouse) int64
}

// imapHouse is one server with one account, and what the rows need of them.
type imapHouse struct {
	interop.Post
	b       *testing.B
	w       *wire
	letters int
	few     int // how many letters COPY, MOVE and APPEND take
	sample  []byte
}

const fullList = "FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)"

// command is a row of one command that can be repeated.
func command(name, text string) imapRow {
	return imapRow{name: name, do: func(h *imapHouse) int64 { return h.w.do("%s", text) }}
}

// capable is command for a server that names the capability.
func capable(needs, name, text string) imapRow {
	row := command(name, text)
	row.needs = needs
	return row
}

// imapRows are the rows in their order; the last of them leave INBOX empty.
func imapRows() []imapRow {
	selectInbox := func(h *imapHouse) int64 { return h.w.do("SELECT INBOX") }
	rows := []imapRow{
		{name: "SELECT, no index", once: true, before: (*imapHouse).login, do: selectInbox},
		{name: "SELECT after a restart", once: true, before: (*imapHouse).restart, do: selectInbox},
		{name: "SELECT", do: selectInbox},
		command("FETCH 1:* FLAGS", "FETCH 1:* FLAGS"),
		{name: "list, no index", once: true, before: (*imapHouse).forget, do: func(h *imapHouse) int64 { return h.w.do(fullList) }},
		command("list", fullList),
		{name: "list after a restart", once: true, before: func(h *imapHouse) { h.restart(); selectInbox(h) },
			do: func(h *imapHouse) int64 { return h.w.do(fullList) }},
		{name: "HEADER.FIELDS, first", once: true, do: func(h *imapHouse) int64 { return h.w.do(headerFields) }},
		command("HEADER.FIELDS", headerFields),
		{name: "BODY.PEEK[]", once: true, do: func(h *imapHouse) int64 { return h.w.do("FETCH 1:* BODY.PEEK[]") }},
		{name: "BODY.PEEK[], again", once: true, do: func(h *imapHouse) int64 { return h.w.do("FETCH 1:* BODY.PEEK[]") }},
		command("SEARCH UNSEEN", "SEARCH UNSEEN"),
		command("SEARCH SUBJECT", `SEARCH SUBJECT "matter 44"`),
		command("SEARCH HEADER", `SEARCH HEADER Received "id 77"`),
		{name: "SEARCH TEXT, first", once: true, do: func(h *imapHouse) int64 { return h.w.do("SEARCH TEXT " + rareWord) }},
		command("SEARCH TEXT", "SEARCH TEXT "+rareWord),
		command("SEARCH TEXT, two words", `SEARCH TEXT "village" BODY "yesterday week"`),
		capable("SORT", "SORT (SUBJECT)", "SORT (SUBJECT) UTF-8 ALL"),
		capable("SORT", "SORT (REVERSE DATE)", "SORT (REVERSE DATE) UTF-8 ALL"),
		capable("THREAD=REFERENCES", "THREAD REFERENCES", "THREAD REFERENCES UTF-8 ALL"),
		{name: "mbsync, all", once: true, do: (*imapHouse).mbsync},
		{name: "POP3 RETR of all", once: true, do: (*imapHouse).pop3},
	}
	return append(rows, changingRows()...)
}

const headerFields = "FETCH 1:* BODY.PEEK[HEADER.FIELDS (From To Subject Date Message-ID References)]"

func changingRows() []imapRow {
	once := func(name string, do func(h *imapHouse) int64) imapRow { return imapRow{name: name, once: true, do: do} }
	return []imapRow{
		once("STORE 1:* +FLAGS", func(h *imapHouse) int64 { return h.w.do(`STORE 1:* +FLAGS (\Flagged)`) }),
		once("STORE 1:* -FLAGS", func(h *imapHouse) int64 { return h.w.do(`STORE 1:* -FLAGS (\Flagged)`) }),
		once("STORE 1:* +FLAGS keyword", func(h *imapHouse) int64 { return h.w.do(`STORE 1:* +FLAGS.SILENT ($Work)`) }),
		once("APPEND of 1,000", (*imapHouse).appendOneByOne),
		{name: "MULTIAPPEND of 1,000", once: true, needs: "MULTIAPPEND", do: (*imapHouse).appendMany},
		once("COPY of 1,000", func(h *imapHouse) int64 { return h.w.do("COPY 1:%d Copied", h.few) }),
		once("MOVE of 1,000", func(h *imapHouse) int64 { return h.w.do("MOVE 1:%d Moved", h.few) }),
		{name: "EXPUNGE of all", once: true, before: func(h *imapHouse) { h.w.do(`STORE 1:* +FLAGS.SILENT (\Deleted)`) },
			do: func(h *imapHouse) int64 { return h.w.do("EXPUNGE") }},
	}
}

func (h *imapHouse) login() {
	h.w = loggedIn(h.b, h.Addr("imap"), alice)
	for _, mailbox := range []string{"Appended", "Copied", "Moved"} {
		h.w.do("CREATE %s", mailbox)
	}
}

// restart stops the server and starts it again: its index is there.
func (h *imapHouse) restart() {
	h.w.do("LOGOUT")
	h.Stop()
	h.Start()
	h.w = loggedIn(h.b, h.Addr("imap"), alice)
}

// forget deletes what can be rebuilt, and selects the mailbox again.
func (h *imapHouse) forget() {
	h.w.do("LOGOUT")
	h.Stop()
	for _, file := range h.caches() {
		os.Remove(file)
	}
	h.Start()
	h.w = loggedIn(h.b, h.Addr("imap"), alice)
	h.w.do("SELECT INBOX")
}

func (h *imapHouse) caches() []string {
	files := h.IndexFiles(alice)
	for _, pattern := range []string{"cache.db*", "search.db*"} {
		more, _ := filepath.Glob(filepath.Join(filepath.Dir(h.Maildir(alice)), pattern))
		files = append(files, more...)
	}
	return files
}

func (h *imapHouse) mbsync() int64 {
	interop.Run(h.b, "", interop.Need(h.b, "mbsync"), "-c", mbsyncConfig(h.b, h.Post), "all")
	return 0
}

// appendOneByOne sends a letter when the one before was taken.
func (h *imapHouse) appendOneByOne() (size int64) {
	for range h.few {
		size += h.w.send(fmt.Appendf(nil, "APPEND Appended (\\Seen) {%d+}\r\n%s", len(h.sample), h.sample))
	}
	return size
}

// appendMany sends a hundred letters in a command (RFC 3502).
func (h *imapHouse) appendMany() (size int64) {
	var text []byte
	for n := range h.few {
		if text == nil {
			text = []byte("APPEND Appended")
		}
		text = fmt.Appendf(text, " (\\Seen) {%d+}\r\n%s", len(h.sample), h.sample)
		if n%100 == 99 || n == h.few-1 {
			size += h.w.send(text)
			text = nil
		}
	}
	return size
}

// measured is what one row took of one server, per operation.
type measured struct {
	wall, cpu time.Duration
	bytes     int64
	absent    string // why it was not done
}

// A mailbox that was filled by somebody else is opened, listed, read, searched,
// synchronised, changed and emptied: wall time and processor time of each step.
func BenchmarkIMAP(b *testing.B) {
	letters, rounds := number("FACTEUR_BENCH_MAILBOX", 10_000), number("FACTEUR_BENCH_ROUNDS", 3)
	stock := newArchive(b, interop.Room(b), min(letters, 100_000))
	figures := map[string]map[string][]measured{"facteur": {}, "debian": {}}
	for range rounds {
		for _, which := range []string{"debian", "facteur"} {
			b.Run(which, func(b *testing.B) { readAll(b, which, stock, letters, figures[which]) })
		}
	}
	fmt.Print(imapTable(fmt.Sprintf("A mailbox of %d letters, %.1f KB each (median of %d)", letters,
		float64(stock.bytes)/float64(len(stock.files))/1000, rounds), figures["facteur"], figures["debian"]))
}

// sameWork has facteur do what Debian's Dovecot does: expunged letters are not kept.
const sameWork = "\n[mailbox]\nkeep_expunged = \"0s\"\n"

func readAll(b *testing.B, which string, stock *archive, letters int, figures map[string][]measured) {
	h := &imapHouse{Post: open(b, which, interop.Setup{Accounts: []string{alice}, Services: imapServices(), Config: sameWork, Quiet: true}), b: b, letters: letters}
	h.few, h.sample = min(1000, letters/2), []byte(strings.Repeat(strings.Repeat("ordinary text, ", 5)[:70]+"\r\n", 145))
	h.sample = append([]byte("From: bob@example.net\r\nSubject: appended\r\n\r\n"), h.sample...)
	stock.plant(b, h.Maildir(alice), letters)
	h.Handover(alice)
	h.Start()
	disturbed := watchOthers()
	for _, row := range imapRows() {
		if row.before != nil {
			row.before(h)
		}
		h.quiet()
		figures[row.name] = append(figures[row.name], h.measure(row))
	}
	fmt.Printf("%s: %d MB resident at the end, %.0f %% of the machine went to others\n", which, memory(h.Post)>>20, disturbed())
}

func memory(post interop.Post) (sum int64) {
	for _, pid := range post.Processes() {
		sum += interop.Memory(pid)
	}
	return sum
}

func imapServices() []string {
	if interop.Serves("pop3") {
		return []string{"smtp", "imap", "pop3"}
	}
	return []string{"smtp", "imap"}
}

// pop3 reads all letters over POP3, asking for the next when one has come.
func (h *imapHouse) pop3() (size int64) {
	if !interop.Serves("pop3") {
		return -1
	}
	p := dialPOP3(h.b, h.Addr("pop3"), alice)
	defer p.conn.Close()
	for n := 1; n <= h.letters; n++ {
		size += p.multiline("RETR %d", n)
	}
	p.line("QUIT")
	return size
}

// measure does one row, again and again for a moment if it can be repeated. The
// processor time goes on until the server is quiet: what it does behind the answer
// counts too.
func (h *imapHouse) measure(row imapRow) (m measured) {
	if row.needs != "" && !h.w.offers(row.needs) {
		return measured{absent: "no " + row.needs}
	}
	cpu, start, times := processor(h.Post), time.Now(), 0
	for times == 0 || !row.once && time.Since(start) < 400*time.Millisecond && times < 100 {
		if m.bytes = row.do(h); m.bytes < 0 {
			return measured{absent: "not there"}
		}
		times++
	}
	m.wall = time.Since(start) / time.Duration(times)
	h.quiet()
	m.cpu = (processor(h.Post) - cpu) / time.Duration(times)
	return m
}

// quiet waits until the server works no more: less than two hundredths of a
// processor for a moment.
func (h *imapHouse) quiet() {
	for range 200 {
		before := processor(h.Post)
		time.Sleep(150 * time.Millisecond)
		if processor(h.Post)-before < 3*time.Millisecond {
			return
		}
	}
}

func processor(post interop.Post) (sum time.Duration) {
	for _, pid := range post.Processes() {
		sum += interop.CPU(pid)
	}
	return sum
}

// imapTable writes a line for each row: both servers, and how many times less time
// and processor facteur took.
func imapTable(title string, facteur, debian map[string][]measured) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n| | facteur ms | Dovecot ms | ratio | facteur CPU ms | Dovecot CPU ms | ratio |\n|---|---|---|---|---|---|---|\n", title)
	var ratios []float64
	for _, row := range imapRows() {
		f, d := middle(facteur[row.name]), middle(debian[row.name])
		name := row.name
		if d.bytes > 20<<20 {
			name = fmt.Sprintf("%s (%.0f and %.0f MB/s)", name, rate(f), rate(d))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, cellOf(f, f.wall), cellOf(d, d.wall), times(f, d, f.wall, d.wall),
			cellOf(f, f.cpu), cellOf(d, d.cpu), times(f, d, f.cpu, d.cpu))
		if f.absent == "" && d.absent == "" && f.wall > 0 {
			ratios = append(ratios, float64(d.wall)/float64(f.wall))
		}
	}
	if slices.Sort(ratios); len(ratios) > 0 {
		fmt.Fprintf(&b, "\nOf %d rows, facteur is faster in %d; the median row %.1f times, the worst %.2f times.\n", len(ratios),
			len(ratios)-firstAbove(ratios, 1), ratios[len(ratios)/2], ratios[0])
	}
	return b.String()
}

func firstAbove(sorted []float64, bound float64) int {
	n, _ := slices.BinarySearch(sorted, bound)
	return n
}

func rate(m measured) float64 { return float64(m.bytes) / 1e6 / max(m.wall.Seconds(), 1e-9) }

func cellOf(m measured, d time.Duration) string {
	if m.absent != "" {
		return m.absent
	}
	return fmt.Sprintf("%.4g", milliseconds(d))
}

func times(f, d measured, fd, dd time.Duration) string {
	if f.absent != "" || d.absent != "" || fd <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", float64(dd)/float64(fd))
}

// middle is the median of the rounds, each figure by itself.
func middle(list []measured) measured {
	if len(list) == 0 {
		return measured{absent: "-"}
	}
	if list[0].absent != "" {
		return list[0]
	}
	m := list[0]
	by := func(value func(measured) time.Duration) time.Duration {
		var all []time.Duration
		for _, one := range list {
			all = append(all, value(one))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	m.wall, m.cpu = by(func(m measured) time.Duration { return m.wall }), by(func(m measured) time.Duration { return m.cpu })
	return m
}

// mbsyncConfig has no compression: Debian's Dovecot offers none, and both are to do the
// same work.
func mbsyncConfig(b *testing.B, post interop.Post) string {
	b.Helper()
	dir := b.TempDir()
	_, port, _ := strings.Cut(post.Addr("imap"), ":")
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o700); err != nil {
		b.Fatal(err)
	}
	return interop.WriteFile(b, filepath.Join(dir, "rc"), fmt.Sprintf(`FSync no

IMAPAccount far
Host 127.0.0.1
Port %s
User %s
Pass %s
SSLType None
AuthMechs LOGIN
DisableExtension COMPRESS=DEFLATE
Timeout 300

IMAPStore far
Account far

MaildirStore near
Path %[4]s/mail/
Inbox %[4]s/mail/INBOX

Channel all
Far :far:INBOX
Near :near:INBOX
Create Near
Sync Pull
SyncState *
`, port, alice, interop.Password, dir))
}
