package spamd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Answer is what SpamAssassin makes of a letter.
type Answer struct {
	Spam bool
	// Score is its sum, Required that from which it says that a letter is spam.
	Score, Required float64
	// Tests are the names of those that found something.
	Tests []string
}

// Refused is an answer with a code that is not 0: "79 EX_TIMEOUT".
type Refused struct {
	Code int
	Text string
}

// Error implements error.
func (e *Refused) Error() string { return fmt.Sprintf("spamd answers %d %s", e.Code, e.Text) }

// lineMost is how long a line of an answer is, fieldsMost how many there are.
const (
	lineMost   = 4 << 10
	fieldsMost = 50
)

// readAnswer reads the answer to SYMBOLS.
func readAnswer(b *bufio.Reader) (a Answer, err error) {
	if _, err := readStatus(b); err != nil {
		return a, err
	}
	scored := false
	for range fieldsMost {
		line, err := readLine(b)
		if err != nil {
			return Answer{}, err
		}
		if line == "" {
			if !scored {
				return Answer{}, errors.New("no answer of spamd: it has no Spam field")
			}
			a.Tests, err = readTests(b)
			return a, err
		}
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(strings.TrimSpace(name), "Spam") {
			if a, err = parseSpam(value); err != nil {
				return Answer{}, err
			}
			scored = true
		}
	}
	return Answer{}, errors.New("no answer of spamd: its header does not end")
}

func readPong(b *bufio.Reader) error {
	text, err := readStatus(b)
	if err == nil && text != "PONG" {
		err = fmt.Errorf("no answer of spamd to a ping: %q", text)
	}
	return err
}

// readStatus reads "SPAMD/1.1 0 EX_OK".
func readStatus(b *bufio.Reader) (text string, err error) {
	line, err := readLine(b)
	if err != nil {
		return "", err
	}
	rest, is := strings.CutPrefix(line, "SPAMD/")
	words := strings.SplitN(rest, " ", 3)
	if !is || len(words) != 3 {
		return "", fmt.Errorf("no answer of spamd: %q", printable(line))
	}
	code, err := strconv.ParseUint(words[1], 10, 16)
	if err != nil {
		return "", fmt.Errorf("no answer of spamd: %q", printable(line))
	}
	if code != 0 {
		return "", &Refused{int(code), printable(words[2])}
	}
	return printable(words[2]), nil
}

// parseSpam reads " True ; 15.2 / 5.0".
func parseSpam(value string) (a Answer, err error) {
	word, numbers, _ := strings.Cut(value, ";")
	score, required, found := strings.Cut(numbers, "/")
	if a.Score, err = number(score); err == nil {
		a.Required, err = number(required)
	}
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "true", "yes":
		a.Spam = true
	case "false", "no":
	default:
		found = false
	}
	if err != nil || !found {
		return Answer{}, fmt.Errorf("no answer of spamd: %q", printable(value))
	}
	return a, nil
}

func number(s string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		err = strconv.ErrRange
	}
	return f, err
}

// readTests reads "BAYES_99,GTUBE", up to the end.
func readTests(b *bufio.Reader) (names []string, err error) {
	text, err := io.ReadAll(b)
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(string(text), ",") {
		if name = printable(strings.TrimSpace(name)); name != "" && name != "none" {
			names = append(names, name)
		}
	}
	return names, nil
}

// readLine reads a line that is not too long, without its end.
func readLine(b *bufio.Reader) (string, error) {
	var line []byte
	for {
		c, err := b.ReadByte()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		switch {
		case err != nil:
			return "", err
		case c == '\n':
			return strings.TrimSuffix(string(line), "\r"), nil
		case len(line) == lineMost:
			return "", errors.New("no answer of spamd: a line is too long")
		}
		line = append(line, c)
	}
}

// nameMost is how much of a text is given, in bytes.
const nameMost = 200

// printable is a text as people and headers may see it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), nameMost)])
}
