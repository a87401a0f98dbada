package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	dir := flag.String("corpus", "", "directory")
	flag.Parse()
	began := time.Now()
	letters, err := load(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(len(letters), time.Since(began))
	experiments(letters)
}
