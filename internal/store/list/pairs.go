package list

import (
	"fmt"
	"os"
)

// Pair is a line of a text file in the form of postmap(1): a key and its value.
type Pair struct {
	// Where is "/path:12".
	Where      string
	Key, Value string
}

// Pairs reads a text file of lines "key value", all of it at once.
func Pairs(path string) (all []Pair, err error) {
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	err = each(path, text, func(l line) error {
		key, value, err := cutKey(l.text)
		if err == nil {
			all = append(all, Pair{fmt.Sprintf("%s:%d", path, l.number), key, value})
		}
		return err
	})
	return all, err
}

// readText reads a file of lines.
func readText(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: expected a file of at most %d MB", path, maxFile>>20)
	}
	return os.ReadFile(path)
}
