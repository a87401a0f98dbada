package rule

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Decision is what the rules of a stage said.
type Decision struct {
	// Steps is what they did, in its order. Only the last can be a Reject,
	// Defer or Discard; an Accept ended the stage, or the class that Ask asked.
	Steps []Step
	// Err, unless nil, is why nobody knows: the mail has to wait. Rule is the name
	// of the one that could not be decided.
	Err  error
	Rule string
}

// Step is an action of a rule.
type Step struct {
	Rule   string
	Action Action
	// Test: the rule is on trial, and the action is only told. Err, unless nil, is why such a
	// rule could not be decided; then there is no Action.
	Test bool
	Err  error
}

// Judge asks the rules of a stage. It returns early when ctx ends.
func (s *Set) Judge(ctx context.Context, stage Stage, f *Facts) Decision {
	if !s.Has(stage) {
		return Decision{}
	}
	f.ctx, f.sources = ctx, &s.sources
	f.machine.MemoryBudget = memoryBudget
	f.setTime(time.Now())
	j := judgement{set: s, facts: f, stage: stage}
	j.all(s.stages[stage])
	f.ctx = nil
	return j.Decision
}

// judgement is one call of Judge.
type judgement struct {
	Decision
	set   *Set
	facts *Facts
	stage Stage
	depth int
	tests int // how many rules on trial are at work, one calling the other
}

// all asks rules in their order; ended tells that no other is to be asked.
func (j *judgement) all(rules []*compiled) (ended bool) {
	for _, r := range rules {
		if r.test && j.tests == 0 {
			j.try(r)
			continue
		}
		applies, err := j.applies(r)
		if err == nil && applies {
			ended, err = j.act(r)
		}
		if err != nil {
			j.Err, j.Rule = err, r.name
			return true
		}
		if ended {
			return true
		}
	}
	return false
}

// try asks a rule on trial: it ends nothing, and its mistakes are told.
func (j *judgement) try(r *compiled) {
	before := j.Decision
	j.tests++
	j.all([]*compiled{r})
	j.tests--
	if err := j.Err; err != nil {
		j.Err, j.Rule = before.Err, before.Rule
		j.Steps = append(j.Steps, Step{Rule: r.name, Test: true, Err: err})
	}
}

func (j *judgement) applies(r *compiled) (bool, error) {
	if err := j.facts.ctx.Err(); err != nil {
		return false, err
	}
	j.facts.listed = listed{}
	if r.program == nil {
		return true, nil
	}
	out, err := j.facts.machine.Run(r.program, j.facts)
	if err != nil {
		return false, cause(err)
	}
	return out.(bool), nil // the type was checked at load
}

// cause is an error without the picture that the expression's machine draws.
func cause(err error) error {
	var l *later
	if errors.As(err, &l) {
		return l
	}
	return errors.New(explain(err))
}

func (j *judgement) act(r *compiled) (ended bool, err error) {
	for _, a := range r.then {
		if a.Verb == Listed {
			if a, err = j.listed(); err != nil {
				return true, err
			}
		}
		if ended, err = j.do(r, a); ended || err != nil {
			return ended, err
		}
	}
	return false, nil
}

// listed is the action that an entry of a list names.
func (j *judgement) listed() (Action, error) {
	entry := j.facts.listed
	if entry.list == "" {
		return Action{Verb: Continue}, nil // true for another reason
	}
	a, err := j.set.valueAction(entry.value)
	if err != nil {
		return Action{}, fmt.Errorf("list %s, entry %q: %w", entry.list, entry.key, err)
	}
	return a, nil
}

// do does an action, or notes it for whoever has the message.
func (j *judgement) do(r *compiled, a Action) (ended bool, err error) {
	switch a.Verb {
	case Continue:
		return false, nil
	case Class:
		return j.class(a.Text)
	case Ask:
		ended, err = j.class(a.Text)
		return ended && !j.accepted(), err
	case Sleep, Tag:
		if j.tests > 0 {
			break
		}
		return false, j.now(r, a)
	}
	j.Steps = append(j.Steps, Step{Rule: r.name, Action: a, Test: j.tests > 0})
	return a.ends(), nil
}

// now does what is done at once, and is no matter of the message.
func (j *judgement) now(r *compiled, a Action) error {
	if a.Verb == Sleep {
		return sleep(j.facts.ctx, a.Wait)
	}
	j.facts.Tags = append(j.facts.Tags, a.Text)
	j.Steps = append(j.Steps, Step{Rule: r.name, Action: a})
	return nil
}

// accepted tells that what ended was ended by an Accept, and not by a mistake behind one.
func (j *judgement) accepted() bool {
	return j.Err == nil && len(j.Steps) > 0 && j.Steps[len(j.Steps)-1].Action.Verb == Accept
}

// class asks the rules of a class. A list may name one at run time, so that here
// too nothing goes in circles.
func (j *judgement) class(name string) (ended bool, err error) {
	rules := j.set.classes[name]
	if rules == nil {
		return true, fmt.Errorf("there is no class %q", name)
	}
	for _, r := range rules {
		if r.stage > j.stage {
			return true, fmt.Errorf("class %q: its rule %q is for the stage %s, and this is %s", name, r.name, r.stage, j.stage)
		}
	}
	if j.depth++; j.depth > maxDepth {
		return true, fmt.Errorf("class %q: classes call each other more than %d deep", name, maxDepth)
	}
	ended = j.all(rules)
	j.depth--
	return ended, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
