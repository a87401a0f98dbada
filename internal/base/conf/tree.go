package conf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// node is a value of the document with its place. The document has passed
// syntax, so that the tree can be built without looking back.
type node struct {
	kind unstable.Kind // Table, Array or a scalar kind
	pos  Pos           // of the value; of the key for tables and arrays
	key  Pos           // of the key that names it
	text string        // of a scalar, unquoted
	from Pos           // where text begins, behind its quotes
	// names and fields are the keys of a table in the order of the file.
	names  []string
	fields map[string]*node
	items  []*node // of an array
}

func newTable(at Pos) *node {
	return &node{kind: unstable.Table, pos: at, key: at, fields: map[string]*node{}}
}

func (n *node) put(name string, child *node) {
	n.names = append(n.names, name)
	n.fields[name] = child
}

var errShape = errors.New("the file is no table of settings")

// reader walks the expressions of a document and hangs them into a tree.
type reader struct {
	p    unstable.Parser
	text []byte
	root *node
	here *node // the table that the last header opened
	// ends is the offset of each line end. The parser's own way to a position
	// counts lines from the top each time, which a long file pays squared.
	ends []uint32
}

func parse(text []byte) (*node, error) {
	r := &reader{text: text, root: newTable(Pos{1, 1})}
	r.here = r.root
	for i, c := range text {
		if c == '\n' {
			r.ends = append(r.ends, uint32(i)) // fits: the parser's own offsets do
		}
	}
	r.p.Reset(text)
	for r.p.NextExpression() {
		if err := r.expression(r.p.Expression()); err != nil {
			return nil, err
		}
	}
	return r.root, r.p.Error()
}

func (r *reader) expression(e *unstable.Node) (err error) {
	switch e.Kind {
	case unstable.Table:
		r.here, err = r.open(r.root, e.Key(), false)
	case unstable.ArrayTable:
		r.here, err = r.open(r.root, e.Key(), true)
	case unstable.KeyValue:
		err = r.keyValue(r.here, e)
	}
	return err
}

// open walks the key of a header and makes what is missing on the way; list
// says that the last step appends a table to an array of tables.
func (r *reader) open(from *node, key unstable.Iterator, list bool) (*node, error) {
	at := from
	for key.Next() {
		step := key.Node()
		var err error
		if list && key.IsLast() {
			at, err = r.appended(at, step)
		} else {
			at, err = r.entered(at, step)
		}
		if err != nil {
			return nil, err
		}
	}
	return at, nil
}

// entered is the table called as step says, the last one if it is a list.
func (r *reader) entered(at *node, step *unstable.Node) (*node, error) {
	name, pos := string(step.Data), r.position(step)
	child := at.fields[name]
	if child == nil {
		child = newTable(pos)
		at.put(name, child)
	}
	if child.kind == unstable.Array && len(child.items) > 0 {
		child = child.items[len(child.items)-1]
	}
	if child.kind != unstable.Table {
		return nil, errShape
	}
	return child, nil
}

// appended is a new table at the end of the list called as step says.
func (r *reader) appended(at *node, step *unstable.Node) (*node, error) {
	name, pos := string(step.Data), r.position(step)
	list := at.fields[name]
	if list == nil {
		list = &node{kind: unstable.Array, pos: pos, key: pos}
		at.put(name, list)
	}
	if list.kind != unstable.Array {
		return nil, errShape
	}
	table := newTable(pos)
	list.items = append(list.items, table)
	return table, nil
}

func (r *reader) keyValue(at *node, e *unstable.Node) error {
	key := e.Key()
	for key.Next() {
		step := key.Node()
		if key.IsLast() {
			value, err := r.value(e.Value(), r.position(step))
			if err != nil {
				return err
			}
			at.put(string(step.Data), value)
			return nil
		}
		next, err := r.entered(at, step)
		if err != nil {
			return err
		}
		at = next
	}
	return nil
}

// value copies a value; at is where the key before it stands.
func (r *reader) value(v *unstable.Node, at Pos) (*node, error) {
	switch v.Kind {
	case unstable.InlineTable:
		table := newTable(at)
		for it := v.Children(); it.Next(); {
			if err := r.keyValue(table, it.Node()); err != nil {
				return nil, err
			}
		}
		return table, nil
	case unstable.Array:
		list := &node{kind: v.Kind, pos: at, key: at}
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			item, err := r.value(it.Node(), at)
			if err != nil {
				return nil, err
			}
			list.items = append(list.items, item)
		}
		return list, nil
	}
	pos, from := at, Pos{}
	if v.Raw.Length > 0 {
		pos = r.position(v)
	}
	if v.Raw.Length > 0 && v.Kind == unstable.String {
		from = r.place(v.Raw.Offset + quotes(r.text[v.Raw.Offset:]))
	}
	return &node{kind: v.Kind, pos: pos, key: at, text: string(v.Data), from: from}, nil
}

// quotes is how many bytes stand before the text of a string: its quotes, and the
// line end that may follow three of them.
func quotes(s []byte) uint32 {
	n := uint32(0)
	for int(n) < len(s) && n < 3 && (s[n] == '"' || s[n] == '\'') && s[n] == s[0] {
		n++
	}
	switch {
	case n == 2: // an empty string
		return 1
	case n == 3 && bytes.HasPrefix(s[3:], []byte("\r\n")):
		return 5
	case n == 3 && bytes.HasPrefix(s[3:], []byte("\n")):
		return 4
	}
	return n
}

func (r *reader) position(n *unstable.Node) Pos { return r.place(n.Raw.Offset) }

// place is where an offset is.
func (r *reader) place(offset uint32) Pos {
	line, _ := slices.BinarySearch(r.ends, offset)
	begin := uint32(0)
	if line > 0 {
		begin = r.ends[line-1] + 1
	}
	return Pos{Line: line + 1, Column: int(offset-begin) + 1}
}

// found says what a node is, for "expected …, found …".
func (n *node) found() string {
	switch n.kind {
	case unstable.Table, unstable.InlineTable:
		return "a table"
	case unstable.Array:
		return "a list"
	case unstable.String:
		return fmt.Sprintf("%q", clip(n.text))
	}
	return clip(n.text)
}

// clip keeps quoted values short in messages.
func clip(s string) string {
	if len(s) > 60 {
		return s[:57] + "..."
	}
	return s
}
