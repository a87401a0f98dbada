package imap

import "fmt"

// SyntaxError is a command that breaks the grammar: tagged BAD.
type SyntaxError struct{ Text string }

// Error implements error; the text is fit for the client.
func (e *SyntaxError) Error() string { return e.Text }

// LimitError is a command that is well-formed but asks for too much: tagged
// NO [LIMIT] (RFC 9051 §7.1).
type LimitError struct{ Text string }

// Error implements error; the text is fit for the client.
func (e *LimitError) Error() string { return e.Text }

// FatalError means that the end of the command can't be found within the
// limits: BYE, and the connection ends.
type FatalError struct{ Text string }

// Error implements error; the text is fit for the client.
func (e *FatalError) Error() string { return e.Text }

func syntaxf(format string, args ...any) error {
	return &SyntaxError{fmt.Sprintf(format, args...)}
}
