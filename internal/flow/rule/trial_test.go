package rule

import (
	"strings"
	"testing"
)

// TestTrial: what a rule on trial would do is told, and the rules after it are asked as if
// it were not there; neither its classes nor its mistakes do anything.
func TestTrial(t *testing.T) {
	for name, x := range map[string]struct {
		trial Rule
		want  string
	}{
		"a refusal ends nothing":      {Rule{Then: []string{"warn seen", "reject 550 no"}}, "test warn seen; test reject 550 5.7.1 no; hold"},
		"it does not apply":           {Rule{When: "false", Then: []string{"reject 550 no"}}, "hold"},
		"a class is on trial with it": {Rule{Then: []string{"class c"}}, "test tag odd; test discard; hold"},
		"it does not sleep":           {Rule{Then: []string{"sleep 10s"}}, "test sleep 10s; hold"},
		"a list can't be asked":       {Rule{When: `in_list("broken", helo)`, Then: []string{"reject 550 no"}}, "test trouble; hold"},
	} {
		t.Run(name, func(t *testing.T) {
			x.trial.Name, x.trial.Stage, x.trial.TestOnly = "trial", "rcpt", true
			set, errs := Compile([]Rule{x.trial, {Name: "next", Stage: "rcpt", Then: []string{"hold"}},
				{Name: "in c", Stage: "rcpt", Class: "c", Then: []string{"tag odd", "discard"}}}, []string{"broken"}, Sources{})
			if errs != nil {
				t.Fatal(errs)
			}
			f := NewFacts()
			d := set.Judge(t.Context(), Rcpt, f)
			var out []string
			for _, s := range d.Steps {
				text := s.Action.String()
				if s.Err != nil {
					text = "trouble"
				}
				if s.Test {
					text = "test " + text
				}
				out = append(out, text)
			}
			if got := strings.Join(out, "; "); d.Err != nil || got != x.want || len(f.Tags) > 0 {
				t.Errorf("%s, tags %q, %v; want %s", got, f.Tags, d.Err, x.want)
			}
		})
	}
}
