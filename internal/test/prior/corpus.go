package main

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
	"facteur/internal/mail/words"
)

// hardImportance is how much wanted mail that looks like spam counts: there is little of it
// in the corpus, and much in the world.
const hardImportance = 5

// letter is one letter of a corpus.
type letter struct {
	path   string
	spam   bool
	half   int // the last bit of the SHA-1 of its content: 0 trains, 1 tests
	folder string
	fold   string // "0" to "4", by the SHA-1 too
	source string
	// importance is how much it counts beside others of its source, weight beside all.
	importance, weight float64
	tokens             *words.Tokens
}

// load reads the letters of a directory in the order of their paths, all or those of one
// half, without those of a folder or fold. What is below a directory whose name begins with spam is spam.
func load(dir string, part int, without string) ([]*letter, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no letters in %s: expected DIR/spam-1/*.txt, DIR/easy-ham-1/*.txt and the like", dir)
	}
	slices.Sort(paths)
	letters := make([]*letter, len(paths))
	errs := make([]error, len(paths))
	var all sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range next {
				letters[i], errs[i] = read(paths[i])
			}
		})
	}
	for i := range paths {
		next <- i
	}
	close(next)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(letters, func(l *letter) bool {
		return part >= 0 && l.half != part || l.folder == without || l.fold == without
	}), nil
}

func read(path string) (*letter, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	digest := sha1.Sum(b)
	l := parse(b)
	l.path, l.half = path, int(digest[19]&1)
	l.folder, l.fold = filepath.Base(filepath.Dir(path)), strconv.Itoa(int(digest[18])%5)
	l.spam = strings.HasPrefix(l.folder, "spam")
	if strings.HasPrefix(l.folder, "hard") {
		l.importance = hardImportance
	}
	return l, nil
}

// loadOwn reads letters of our own: ham and spam in files of mbox format, whose separator
// lines are all of MAILER-DAEMON.
func loadOwn(dir string) (letters []*letter, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.mbox"))
	if err != nil || len(paths) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no *.mbox in %s", dir))
	}
	for _, path := range paths { // Glob sorts them
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for i, text := range bytes.Split(b, []byte("From MAILER-DAEMON "))[1:] {
			l := parse(text[bytes.IndexByte(text, '\n')+1:])
			l.path, l.spam = fmt.Sprintf("%s/%d", path, i+1), strings.HasSuffix(path, "spam.mbox")
			letters = append(letters, l)
		}
	}
	return letters, nil
}

func parse(b []byte) *letter {
	if bytes.HasPrefix(b, []byte("From ")) { // the line of an mbox
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	h := message.Header(b[:message.HeaderEnd(b)])
	c := content.Read(bytes.NewReader(b), message.ParseBytes(b, message.Limits{}), h, content.Limits{})
	return &letter{importance: 1, tokens: words.Read(c, h), source: source(h)}
}

// source says where a letter comes from: a list, or the host of its author.
func source(h message.Header) string {
	for _, name := range []string{"List-Id", "X-Mailing-List", "Mailing-List", "List-Post", "Sender"} {
		if v := h.Get(name); v != "" {
			if i := strings.LastIndexByte(v, '<'); i >= 0 {
				v = v[i+1:]
			}
			v, _, _ = strings.Cut(v, ">")
			v = strings.TrimSuffix(strings.TrimSuffix(v, "-admin"), "-owner")
			return strings.ToLower(strings.TrimSpace(v))
		}
	}
	if from := message.ParseAddresses(h.Get("From")); len(from) > 0 {
		host := strings.ToLower(from[0].Host)
		if labels := strings.Split(host, "."); len(labels) > 2 {
			host = strings.Join(labels[len(labels)-2:], ".")
		}
		return host
	}
	return ""
}
