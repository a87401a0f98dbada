package main

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
	"facteur/internal/mail/words"
)

// letter is one letter of a corpus.
type letter struct {
	path   string
	spam   bool
	half   int // the last bit of the SHA-1 of its content: 0 trains, 1 tests
	source string
	digest [20]byte
	tokens *words.Tokens
	raw    []byte
}

// load reads the letters of a directory in the order of their paths. What is below a
// directory whose name begins with spam is spam.
func load(dir string) ([]*letter, error) {
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
	return letters, nil
}

func read(path string) (*letter, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	l := &letter{path: path, digest: sha1.Sum(b)}
	l.half = int(l.digest[19] & 1)
	l.spam = strings.HasPrefix(filepath.Base(filepath.Dir(path)), "spam")
	if bytes.HasPrefix(b, []byte("From ")) { // the line of an mbox
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	l.raw = b
	h := message.Header(b[:message.HeaderEnd(b)])
	root := message.ParseBytes(b, message.Limits{})
	c := content.Read(bytes.NewReader(b), root, h, content.Limits{})
	l.tokens = words.Read(c, h, root)
	l.source = source(h)
	return l, nil
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
