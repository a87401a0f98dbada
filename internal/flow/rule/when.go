package rule

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// when compiles the expression of a rule.
func (c *compiler) when(text string, stage Stage) (program *vm.Program, asked []string) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > maxWhen {
		c.fail("when", "is longer than %d bytes", maxWhen)
		return nil, nil
	}
	v := &visitor{stage: stage, lists: c.lists}
	program, err := expr.Compile(text, options(v)...)
	switch {
	case v.err != nil:
		c.wrong(text, v.err)
	case err != nil:
		c.wrong(text, err)
	}
	slices.Sort(v.asked)
	return program, slices.Compact(v.asked)
}

// wrong is an error of the expression with its place.
func (c *compiler) wrong(text string, err error) {
	e := &Error{Rule: c.at, Key: "when", Text: explain(err)}
	var at *file.Error
	if errors.As(err, &at) {
		at.Bind(file.NewSource(text))
		e.Line, e.Column = at.Line, at.Column+1
	}
	c.errs = append(c.errs, e)
}

var (
	unknownName  = regexp.MustCompile(`unknown name (\S+)`)
	unknownField = regexp.MustCompile(`type \*?rule\.(\w+) has no field (\w+)`)
	wholeFact    = regexp.MustCompile(`\b(Client|TLS|Mailbox|Time)\b`)
)

// explain says in the words of the settings what the expression's compiler said in
// those of Go.
func explain(err error) string {
	text := err.Error()
	var at *file.Error
	if errors.As(err, &at) {
		text = at.Message
	}
	if m := unknownName.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("unknown name %q%s", m[1], near(m[1], names(reflect.TypeFor[Facts]())))
	}
	if m := unknownField.FindStringSubmatch(text); m != nil {
		have := names(parts[m[1]])
		return fmt.Sprintf("%s has no %q%s; it has %s", strings.ToLower(m[1]), m[2], near(m[2], have), strings.Join(have, ", "))
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "*rule.", ""), "rule.", "")
	if kind, ok := strings.CutPrefix(text, "expected bool, but got "); ok {
		return "expected a condition, true or false, found a value of another kind (" + strings.ToLower(kind) + ")"
	}
	switch text {
	case `unexpected token Operator("=")`:
		return `unexpected "="; "==" compares, and "matches" asks for a pattern`
	case "unexpected token EOF":
		return "unexpected end of the expression; something is missing"
	}
	if m := wholeFact.FindString(text); m != "" {
		return fmt.Sprintf("%s; expected a part of it, one of .%s", strings.TrimSpace(text), strings.Join(names(parts[m]), ", ."))
	}
	return text
}

// parts are the facts that have facts of their own, by the name of their type.
var parts = map[string]reflect.Type{
	"Client": reflect.TypeFor[Client](), "TLS": reflect.TypeFor[TLS](),
	"Mailbox": reflect.TypeFor[Mailbox](), "Time": reflect.TypeFor[Time](),
}

// names are what expressions call the fields of a type.
func names(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("expr"); name != "" && name != "-" {
			out = append(out, name)
		}
	}
	return out
}

// visitor looks at each node of an expression for what its types do not tell.
type visitor struct {
	stage Stage
	lists []string
	asked []string // those that the expression has
	err   error    // the first mistake
}

func (v *visitor) fail(n ast.Node, format string, args ...any) {
	if v.err == nil {
		v.err = &file.Error{Location: n.Location(), Message: fmt.Sprintf(format, args...)}
	}
}

// Visit implements ast.Visitor.
func (v *visitor) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		v.name(n)
	case *ast.CallNode:
		v.call(n)
	}
}

// name refuses facts that are not known yet, and the way around all names.
func (v *visitor) name(n *ast.IdentifierNode) {
	if n.Value == "$env" {
		v.fail(n, "$env can't be used")
	}
	t := reflect.TypeFor[Facts]()
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if tag.Get("expr") != n.Value || tag.Get("stage") == "" {
			continue
		}
		if from, err := ParseStage(tag.Get("stage")); err == nil && from > v.stage {
			v.fail(n, "%s is not known at the stage %s; it is from the stage %s on", n.Value, v.stage, from)
		}
	}
}

// call checks the arguments that have to be constants, so that a mistake in them is
// found now and not when a letter comes.
func (v *visitor) call(n *ast.CallNode) {
	args := n.Arguments
	switch called(n) {
	case "in_list", "list_value":
		v.list(n)
	case "in_net":
		if len(args) > 0 {
			v.nets(args[1:])
		}
	case "client.in":
		v.nets(args)
	}
}

// called is the name of the function, "in_list" or "client.in".
func called(n *ast.CallNode) string {
	switch f := n.Callee.(type) {
	case *ast.IdentifierNode:
		return f.Value
	case *ast.MemberNode:
		whose, ok1 := f.Node.(*ast.IdentifierNode)
		what, ok2 := f.Property.(*ast.StringNode)
		if ok1 && ok2 {
			return whose.Value + "." + what.Value
		}
	}
	return ""
}

func (v *visitor) list(n *ast.CallNode) {
	if len(n.Arguments) == 0 {
		return // the types complain
	}
	name, ok := n.Arguments[0].(*ast.StringNode)
	switch {
	case !ok:
		v.fail(n.Arguments[0], "expected the name of a list in quotes")
	case !slices.Contains(v.lists, name.Value):
		v.fail(name, "there is no list %q%s", name.Value, near(name.Value, v.lists))
	default:
		v.asked = append(v.asked, name.Value)
	}
}

func (v *visitor) nets(args []ast.Node) {
	if len(args) == 0 {
		return
	}
	for _, arg := range args {
		text, ok := arg.(*ast.StringNode)
		if !ok {
			v.fail(arg, "expected networks in quotes, such as \"192.0.2.0/24\"")
			continue
		}
		if _, err := parseNet(text.Value); err != nil {
			v.fail(arg, "%v", err)
		}
	}
}
