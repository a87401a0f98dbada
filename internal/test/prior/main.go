package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	corpus := flag.String("corpus", "", "`directory` of the corpus: DIR/spam-1/*.txt and so on")
	own := flag.String("own", "internal/test/prior/letters", "`directory` of our own letters, *ham.mbox and *spam.mbox")
	part := flag.Int("half", -1, "train only letters whose SHA-1 ends in this `bit`, for measuring with the others; -1: all")
	without := flag.String("without", "", "leave out one `part`: a folder, or one of the five numbered 0 to 4, for measuring with it")
	out := flag.String("o", "", "`file` to write")
	flag.Parse()
	if *corpus == "" || *out == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := write(*corpus, *own, *part, *without, *out); err != nil {
		fmt.Fprintln(os.Stderr, "prior:", err)
		os.Exit(1)
	}
}

func write(corpus, own string, part int, without, out string) error {
	letters, err := load(corpus, part, without)
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
