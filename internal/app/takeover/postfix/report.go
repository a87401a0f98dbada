package postfix

import (
	"fmt"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
	"facteur/internal/base/conf"
)

// reportMain says what became of each line of main.cf.
func (i *importer) reportMain() {
	for n, p := range i.main {
		l := takeover.Line{File: i.mainFile(), Line: p.Line, Text: oneLine(p.Name + " = " + p.Value)}
		if secret(p.Name) {
			l.Text = p.Name + " = …"
		}
		switch at := i.counts[p.Name]; {
		case p.Err != nil:
			l.Verdict, l.Why, l.Text = takeover.Unknown, p.Err.Error(), oneLine(p.Name)
		case at != n:
			l.Verdict, l.Why = takeover.NotNeeded, fmt.Sprintf("line %d says it again, and the last counts", i.main[at].Line)
		default:
			said := i.said(p.Name)
			l.Verdict, l.Key, l.Why = said.verdict, said.key, said.why
		}
		i.t.Report.Add(l)
	}
}

// said is what is said of a parameter that is set.
func (i *importer) said(name string) note {
	if n, found := i.notes[name]; found {
		return n
	}
	if r, found := remarkOf(name); found {
		_, known := i.defaults[name]
		if known || i.transportParameter(name) {
			return note{r.verdict, r.key, r.why}
		}
	}
	if p, found := parameterOf(name); found {
		return note{takeover.NotNeeded, p.key, "it says nothing"}
	}
	if def, known := i.defaults[name]; known {
		if strings.EqualFold(i.value(name), i.expand(name, def)) {
			return note{takeover.NotNeeded, "", "it is Postfix's default, and nothing follows from it here"}
		}
		return note{takeover.NotSupported, "", "facteur has nothing like it"}
	}
	if i.isMacro(name) {
		return note{takeover.Understood, "", "other values refer to it"}
	}
	if i.transportParameter(name) {
		return note{takeover.NotNeeded, "", "master.cf has no such service"}
	}
	return note{takeover.Unknown, "", "Postfix has no such parameter" + i.nearest(name)}
}

// transportParameter tells names that begin with that of a service: "slow_…".
func (i *importer) transportParameter(name string) bool {
	for _, s := range i.master {
		if strings.HasPrefix(name, s.Name+"_") {
			return true
		}
	}
	for suffix := range pace {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return strings.HasSuffix(name, "_recipient_limit")
}

// isMacro tells that other values have $name.
func (i *importer) isMacro(name string) bool {
	uses := func(v string) bool {
		for _, form := range []string{"$" + name, "${" + name, "$(" + name} {
			if strings.Contains(v, form) {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(i.main, func(p Param) bool { return uses(p.Value) }) ||
		slices.ContainsFunc(i.master, func(s Service) bool { return uses(s.Text) })
}

// reportMaster says what became of each service and each of its options.
func (i *importer) reportMaster() {
	for n, s := range i.master {
		said := i.services[n]
		text := oneLine(strings.Join(append([]string{s.Name, s.Type, s.Private, s.Unprivileged, s.Chroot, s.Wakeup, s.MaxProcs, s.Command}, s.Args...), " "))
		if s.Err != nil {
			text = oneLine(s.Text)
		} else if s.Chroot == "y" && said.verdict == takeover.Understood && s.Type == "inet" {
			said.why = strings.TrimPrefix(said.why+"; no chroot: the server runs as its own user, shut in by systemd", "; ")
		}
		i.t.Report.Add(takeover.Line{File: i.masterFile(), Line: s.Line, Text: text, Verdict: said.verdict, Key: said.key, Why: said.why})
		for m, p := range s.Options {
			o := i.options[option{n, m}]
			if p.Err != nil {
				o = note{takeover.Unknown, "", p.Err.Error()}
			}
			i.t.Report.Add(takeover.Line{File: i.masterFile(), Line: p.Line, Text: "-o " + oneLine(p.Name+"="+p.Value), Verdict: o.verdict, Key: o.key, Why: o.why})
		}
	}
}

// nearest suggests what was meant.
func (i *importer) nearest(name string) string {
	names := make([]string, 0, len(i.defaults))
	for known := range i.defaults {
		names = append(names, known)
	}
	slices.Sort(names)
	if near := conf.Nearest(name, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
