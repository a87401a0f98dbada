package thread

import "strconv"

// Append writes a forest as the THREAD response has it (RFC 5256 §4), without the
// "* THREAD ": a letter with one answer is followed by it, several answers stand in
// parentheses of their own.
func Append(dst []byte, roots []*Thread) []byte {
	// open is what is still to be written of each nested list; a deep thread must
	// not cost stack.
	var open [][]*Thread
	for todo := roots; ; {
		for len(todo) == 0 {
			if len(open) == 0 {
				return dst
			}
			todo, open = open[len(open)-1], open[:len(open)-1]
			dst = append(dst, ')')
		}
		t := todo[0]
		open = append(open, todo[1:])
		dst = append(dst, '(')
		dst, todo = appendLine(dst, t)
	}
}

// appendLine writes a letter, and its descendants as long as each has one child; it
// gives the children of the last.
func appendLine(dst []byte, t *Thread) ([]byte, []*Thread) {
	for {
		if t.Number > 0 {
			dst = strconv.AppendUint(dst, uint64(t.Number), 10)
		}
		if len(t.Children) > 0 && t.Number > 0 {
			dst = append(dst, ' ')
		}
		if len(t.Children) != 1 {
			return dst, t.Children
		}
		t = t.Children[0]
	}
}
