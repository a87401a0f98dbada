// Package lookup holds the answer to a question put to something that may be
// out of order: a directory, a table, the DNS.
//
// There are three answers, and the type makes callers name all of them: found,
// not found, and try again. A dependency that fails temporarily must never turn
// into a permanent failure of mail, so "it did not answer" can not be confused
// with "it does not exist". The zero Answer is TryAgain, for the same reason.
package lookup

import "errors"

// State is which of the three answers was given.
type State uint8

// The three answers.
const (
	// TryAgain: nothing is known; the mail has to wait.
	TryAgain State = iota
	// Found: there is a value.
	Found
	// NotFound: the source answered, with authority, that there is none.
	NotFound
)

// String names the state for logs and tests.
func (s State) String() string {
	switch s {
	case Found:
		return "found"
	case NotFound:
		return "not found"
	}
	return "try again"
}

// Answer is a State and what belongs to it: a value when found, a reason else.
type Answer[T any] struct {
	state State
	value T
	err   error
}

// Yes is the answer Found with its value.
func Yes[T any](v T) Answer[T] { return Answer[T]{state: Found, value: v} }

// No is the answer NotFound. reason may be nil; it is for people.
func No[T any](reason error) Answer[T] { return Answer[T]{state: NotFound, err: reason} }

// Later is the answer TryAgain, because of err.
func Later[T any](err error) Answer[T] { return Answer[T]{state: TryAgain, err: err} }

// State says which answer it is. Switch on it; handle all three.
func (a Answer[T]) State() State { return a.state }

// Value is the value found, and the zero value in the other two states.
func (a Answer[T]) Value() T { return a.value }

var errNoAnswer = errors.New("no answer")

// Err is why there is no value: nil when found, never nil when TryAgain, and
// possibly nil when NotFound.
func (a Answer[T]) Err() error {
	if a.state == TryAgain && a.err == nil {
		return errNoAnswer
	}
	return a.err
}
