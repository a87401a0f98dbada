package clamav

import (
	"bytes"
	"fmt"
	"strings"
)

// Answer is what clamd found.
type Answer struct {
	// Name is that of the signature that was found, "Eicar-Test-Signature"; "" for none.
	Name string
}

// Refused is an answer that says what is wrong: "Can't allocate memory".
type Refused struct{ Text string }

// Error implements error.
func (e *Refused) Error() string { return "clamd says: " + e.Text }

// parse reads an answer to INSTREAM, without its NUL.
func parse(text []byte) (Answer, error) {
	if what, is := bytes.CutSuffix(text, []byte(" ERROR")); is {
		if bytes.Contains(what, []byte("INSTREAM size limit exceeded")) {
			return Answer{}, ErrTooLarge
		}
		return Answer{}, &Refused{printable(what)}
	}
	found, is := bytes.CutPrefix(text, []byte("stream: "))
	if !is {
		return Answer{}, unexpected(text)
	}
	if string(found) == "OK" {
		return Answer{}, nil
	}
	name, is := bytes.CutSuffix(found, []byte(" FOUND"))
	if !is || len(bytes.TrimSpace(name)) == 0 {
		return Answer{}, unexpected(text)
	}
	return Answer{Name: printable(name)}, nil
}

func unexpected(text []byte) error {
	return fmt.Errorf("no answer of clamd: %q", printable(text))
}

// nameMost is how much of a text is given, in bytes.
const nameMost = 200

// printable is a text as people and headers may see it.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(text[:min(len(text), nameMost)]))
}
