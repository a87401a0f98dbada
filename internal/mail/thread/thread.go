// Package thread puts letters together that answer each other: the algorithms
// ORDEREDSUBJECT and REFERENCES of RFC 5256 §3, and REFS of
// draft-ietf-morg-inthread.
//
// It is given what the letters say and gives a forest; it reads nothing. Time and
// memory are in proportion to the letters and their references (up to a logarithm
// for sorting), however these are knotted: see loops.
package thread

import (
	"cmp"
	"slices"
)

// Letter is what is asked of each letter.
type Letter struct {
	Number     uint32   // what it is called in the answer; above 0
	ID         string   // its message-id in the form of message.MessageID; "" if it has none
	References []string // message-ids, the eldest first: References, else the first of In-Reply-To
	Subject    string   // base subject (RFC 5256 §2.1), folded
	Reply      bool     // the subject was that of an answer or was forwarded
	Sent       int64    // s since 1970; where the letter has no date, when it was received
}

// Thread is a letter with its answers, in order. Number is 0 for a letter that is
// not there, which only the roots of a forest can be.
type Thread struct {
	Number   uint32
	Children []*Thread

	sent int64
}

// OrderedSubject puts letters of one subject together (RFC 5256 §3, ORDEREDSUBJECT):
// the eldest is the parent of the others.
func OrderedSubject(letters []Letter) []*Thread {
	order := slices.Clone(letters)
	slices.SortFunc(order, func(a, b Letter) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Sent, b.Sent), cmp.Compare(a.Number, b.Number))
	})
	var roots []*Thread
	for i, l := range order {
		t := &Thread{Number: l.Number, sent: l.Sent}
		if i > 0 && order[i-1].Subject == l.Subject {
			root := roots[len(roots)-1]
			root.Children = append(root.Children, t)
			continue
		}
		roots = append(roots, t)
	}
	sortBySent(roots)
	return roots
}

// References is the algorithm of that name (RFC 5256 §3, REFERENCES).
func References(letters []Letter) []*Thread {
	g := newGraph(letters)
	g.link()
	roots := g.forest()
	sortRoots(roots)
	roots = g.joinSubjects(roots)
	sortRoots(roots)
	return roots
}

// Refs goes by references alone, and by the youngest letter of each thread.
func Refs(letters []Letter) []*Thread {
	g := newGraph(letters)
	g.link()
	roots := g.forest()
	for _, t := range roots {
		sortBySent(t.Children)
		t.sent = youngest(t)
	}
	sortBySent(roots)
	return roots
}

// youngest is when the last letter of a thread was sent.
func youngest(root *Thread) int64 {
	last := int64(-1 << 63)
	for todo := []*Thread{root}; len(todo) > 0; {
		t := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], t.Children...)
		if t.Number > 0 {
			last = max(last, t.sent)
		}
	}
	return last
}

// sortBySent puts siblings in order: by date, then by number.
func sortBySent(ts []*Thread) {
	slices.SortStableFunc(ts, func(a, b *Thread) int {
		return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.first(), b.first()))
	})
}

// sortRoots sorts the roots. One that is no letter goes by its first child.
func sortRoots(roots []*Thread) {
	for _, t := range roots {
		sortBySent(t.Children)
		if t.Number == 0 {
			t.sent = t.Children[0].sent
		}
	}
	sortBySent(roots)
}

func (t *Thread) first() uint32 {
	if t.Number == 0 && len(t.Children) > 0 {
		return t.Children[0].Number
	}
	return t.Number
}
