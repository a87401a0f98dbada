package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// Rule is a rule as the settings have it.
type Rule struct {
	Name  string
	Stage string
	// When is the expression; empty: always.
	When string
	// Then is the actions, in their order.
	Then []string
	// Class, unless empty, is the class that the rule belongs to.
	Class string
	// TestOnly: it is only told what the rule would do. It ends nothing, and what it can't
	// find out stops nobody.
	TestOnly bool
}

// Error is a mistake in a rule.
type Error struct {
	// Rule is its index, Key where the mistake is: "name", "when", "then[0]".
	Rule int
	Key  string
	// Line and Column are in the text of the key, from 1; 0 when it is meant as a
	// whole.
	Line, Column int
	Text         string
}

// Error is the text with the key in front.
func (e *Error) Error() string { return fmt.Sprintf("rule[%d].%s: %s", e.Rule, e.Key, e.Text) }

// Set is compiled rules. It is not changed once it is made; a nil Set has none.
type Set struct {
	sources Sources
	stages  [End + 1][]*compiled
	classes map[string][]*compiled
}

// compiled is a rule that is ready.
type compiled struct {
	name    string
	stage   Stage
	program *vm.Program // nil: always
	then    []Action
	index   int
	asked   []string // the lists in the expression
	test    bool     // test-only
}

// Bounds of what a set may be.
const (
	maxRules = 10_000
	maxWhen  = 16 << 10 // bytes
	maxNodes = 500
	maxThen  = 20
	// memoryBudget is what one expression may allocate, in elements of its lists.
	memoryBudget = 50_000
	// maxDepth is how deep classes may call classes.
	maxDepth = 8
)

// Compile makes a Set of rules. lists are the names of the lists that rules may ask.
// Where there is any mistake, all of them come back, and no Set.
func Compile(rules []Rule, lists []string, s Sources) (*Set, []*Error) {
	c := compiler{set: &Set{sources: s, classes: make(map[string][]*compiled)}, lists: lists, names: make(map[string]bool)}
	if len(rules) > maxRules {
		return nil, []*Error{{Rule: maxRules, Key: "name", Text: fmt.Sprintf("there are more than %d rules", maxRules)}}
	}
	for i, r := range rules {
		c.rule(i, r)
	}
	c.calls()
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	return c.set, nil
}

// compiler gathers a set and the mistakes in it.
type compiler struct {
	set   *Set
	lists []string
	names map[string]bool
	errs  []*Error
	at    int // the rule
}

func (c *compiler) fail(key, format string, args ...any) {
	c.errs = append(c.errs, &Error{Rule: c.at, Key: key, Text: fmt.Sprintf(format, args...)})
}

func (c *compiler) rule(i int, r Rule) {
	c.at = i
	before := len(c.errs)
	c.name(r)
	stage, err := ParseStage(r.Stage)
	if err != nil {
		c.fail("stage", "%v", err)
		return // what is known depends on it
	}
	out := &compiled{name: r.Name, stage: stage, index: i, test: r.TestOnly}
	out.program, out.asked = c.when(r.When, stage)
	out.then = c.then(r, stage)
	if len(c.errs) > before {
		return
	}
	if r.Class != "" {
		c.set.classes[r.Class] = append(c.set.classes[r.Class], out)
	} else {
		c.set.stages[stage] = append(c.set.stages[stage], out)
	}
}

func (c *compiler) name(r Rule) {
	switch {
	case r.Name == "":
		c.fail("name", "is missing; the log names a rule by it")
	case len(r.Name) > 100 || strings.ContainsFunc(r.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.fail("name", "expected up to 100 characters on one line")
	case c.names[r.Name]:
		c.fail("name", "two rules are called %q", r.Name)
	}
	c.names[r.Name] = true
	if _, bad := verbs[strings.ToLower(r.Class)]; bad || strings.ContainsAny(r.Class, " ,;:\"'") {
		c.fail("class", "expected one word that is no action, found %q", r.Class)
	}
}

func (c *compiler) then(r Rule, stage Stage) []Action {
	if len(r.Then) == 0 || len(r.Then) > maxThen {
		c.fail("then", "expected one action or up to %d, such as \"reject 554 5.7.1 No entry\"", maxThen)
	}
	var out []Action
	for i, text := range r.Then {
		key := fmt.Sprintf("then[%d]", i)
		a, err := ParseAction(text)
		switch {
		case err != nil:
			c.fail(key, "%v", err)
		case a.Verb == Listed && !strings.Contains(r.When, "in_list") && !strings.Contains(r.When, "list_value"):
			c.fail(key, "the expression asks no list; expected one with in_list(\"name\", …)")
		case stage < Rcpt && a.AboutMessage():
			c.fail(key, "there is no message yet at the stage %s; expected the stage rcpt or later", stage)
		case i > 0 && out != nil && len(out) == i && out[i-1].ends():
			c.fail(key, "is never reached, as the action before it is the last")
		}
		out = append(out, a)
	}
	return out
}

// AboutMessage tells actions that need a message to be done to.
func (a Action) AboutMessage() bool {
	switch a.Verb {
	case Hold, Discard, Redirect, BCC, Prepend, Add, Remove, Score:
		return true
	}
	return false
}

// ends tells actions after which no further one is looked at.
func (a Action) ends() bool {
	switch a.Verb {
	case Accept, Reject, Defer, Discard:
		return true
	}
	return false
}

// calls tells actions that ask a class.
func (a Action) calls() bool { return a.Verb == Class || a.Verb == Ask }

// calls checks that classes exist, are called when their facts are known, and do
// not call each other in circles.
func (c *compiler) calls() {
	var names []string
	for name := range c.set.classes {
		names = append(names, name)
	}
	each := func(rules []*compiled) {
		for _, r := range rules {
			c.callsOf(r, names)
		}
	}
	for _, rules := range c.set.stages {
		each(rules)
	}
	for name, rules := range c.set.classes {
		each(rules)
		if c.set.reaches(name, name, 0) {
			c.at = rules[0].index
			c.fail("class", "the class %q calls itself", name)
		}
	}
}

func (c *compiler) callsOf(r *compiled, names []string) {
	c.at = r.index
	for i, a := range r.then {
		if !a.calls() {
			continue
		}
		key := fmt.Sprintf("then[%d]", i)
		called := c.set.classes[a.Text]
		if called == nil {
			c.fail(key, "there is no class %q%s", a.Text, near(a.Text, names))
		}
		for _, inner := range called {
			if inner.stage > r.stage {
				c.fail(key, "the class %q has the rule %q for the stage %s, which comes after %s", a.Text, inner.name, inner.stage, r.stage)
			}
		}
	}
}

// reaches tells that the rules of a class come to call target.
func (s *Set) reaches(class, target string, depth int) bool {
	if depth > maxDepth {
		return true
	}
	for _, r := range s.classes[class] {
		for _, a := range r.then {
			if a.calls() && (a.Text == target || s.reaches(a.Text, target, depth+1)) {
				return true
			}
		}
	}
	return false
}

// Has tells whether any rule is asked at a stage.
func (s *Set) Has(stage Stage) bool { return s != nil && len(s.stages[stage]) > 0 }

// Obeyed are the lists whose values are taken for actions, as far as that is sure: by a
// rule with "listed" that asks no other list.
func (s *Set) Obeyed() (lists []string) {
	take := func(rules []*compiled) {
		for _, r := range rules {
			if len(r.asked) == 1 && slices.ContainsFunc(r.then, func(a Action) bool { return a.Verb == Listed }) && !slices.Contains(lists, r.asked[0]) {
				lists = append(lists, r.asked[0])
			}
		}
	}
	for _, rules := range s.stages {
		take(rules)
	}
	for _, rules := range s.classes {
		take(rules)
	}
	slices.Sort(lists)
	return lists
}

// CheckValue tells what is wrong with the value of a list that is to be an action.
func (s *Set) CheckValue(value string) error {
	_, err := s.valueAction(value)
	return err
}

// valueAction is the action that a value of a list is. In Postfix's lists the name of
// a class stands alone.
func (s *Set) valueAction(value string) (Action, error) {
	if s.classes[value] != nil {
		return Action{Verb: Class, Text: value}, nil
	}
	a, err := ParseAction(value)
	switch {
	case err != nil:
		return Action{}, err
	case a.Verb == Listed:
		return Action{}, errors.New("\"listed\" leads back to itself")
	case a.calls() && s.classes[a.Text] == nil:
		return Action{}, fmt.Errorf("there is no class %q", a.Text)
	}
	return a, nil
}

// Any tells whether there is any rule.
func (s *Set) Any() bool {
	for stage := Connect; stage <= End; stage++ {
		if s.Has(stage) {
			return true
		}
	}
	return false
}

// builtins are the functions of expr-lang that rules have. The others make of a
// short text a long one, compare all with all, or have a clock of their own.
var builtins = [...]string{"all", "none", "any", "one", "count", "filter", "map", "find", "len", "first", "last",
	"lower", "upper", "trim", "trimPrefix", "trimSuffix", "split", "indexOf", "int", "string", "abs", "min", "max"}

// options are the language of expressions at a stage.
func options(v *visitor) []expr.Option {
	options := []expr.Option{
		expr.Env(&Facts{}), expr.AsBool(), expr.MaxNodes(maxNodes), expr.Patch(v), expr.DisableAllBuiltins(),
	}
	for _, name := range builtins {
		options = append(options, expr.EnableBuiltin(name))
	}
	return options
}
