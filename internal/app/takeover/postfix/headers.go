package postfix

import (
	"fmt"
	"regexp"
	"strings"

	"facteur/internal/app/takeover"
)

// headerTable makes rules of header_checks(5), where a pattern names the field that it
// looks at.
func (i *importer) headerTable(name, source string) {
	t := i.use(name, source)
	if t.entries == nil {
		i.note(name, takeover.NotSupported, "rule", source+` can't be turned into rules; write them at the stage "end" (docs/RULES.md)`)
		return
	}
	text, _ := i.file(t.path)
	for _, l := range Lines(text) {
		line := takeover.Line{File: t.path, Line: l.Line, Text: oneLine(l.Text), Verdict: takeover.Understood, Key: "rule"}
		if err := i.headerRule(oneLine(l.Text), fmt.Sprintf("%s:%d", t.path, l.Line)); err != nil {
			line.Verdict, line.Key, line.Why = takeover.NotSupported, "", err.Error()
		}
		i.t.Report.Add(line)
	}
	// The table itself is not asked any more.
	for n, other := range i.tables {
		if other == t {
			i.tables = append(i.tables[:n], i.tables[n+1:]...)
			break
		}
	}
}

// fieldPattern is the beginning of a pattern that names one field.
var fieldPattern = regexp.MustCompile(`^\^([A-Za-z][A-Za-z0-9-]*):`)

func (i *importer) headerRule(line, where string) error {
	pattern, action, err := cutPattern(line)
	if err != nil {
		return err
	}
	bare := strings.TrimPrefix(pattern, "(?i)")
	field := fieldPattern.FindStringSubmatch(bare)
	if field == nil {
		return fmt.Errorf("the pattern does not begin with the name of a field; a rule looks at fields by their names")
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return fmt.Errorf("RE2 does not have this pattern: %v", err)
	}
	then, err := headerAction(action, field[1])
	if err != nil {
		return err
	}
	when := fmt.Sprintf("any(headers(%q), (%q + #) matches %q)", field[1], field[1]+": ", pattern)
	if strings.TrimRight(bare, ".*") == field[0] {
		when = fmt.Sprintf("len(headers(%q)) > 0", field[1])
	}
	r := i.t.Settings.Append("rule")
	r.About(where + ": " + line)
	r.Set("name", i.unused("header_checks_"+strings.ToLower(field[1])), "")
	r.Set("stage", "end", "")
	r.Set("when", when, "")
	r.Set("then", then, "")
	return nil
}

// cutPattern divides "/pattern/flags action". Case does not count unless "i" turns that off.
func cutPattern(line string) (pattern, action string, err error) {
	if line == "" || strings.ContainsAny(line[:1], "!iIeE") || line[0] >= 'a' && line[0] <= 'z' {
		return "", "", fmt.Errorf("conditions and negated patterns have no counterpart")
	}
	end := 1
	for end < len(line) && line[end] != line[0] {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(line) {
		return "", "", fmt.Errorf("the pattern is not closed")
	}
	flags, action, _ := strings.Cut(line[end+1:], " ")
	pattern = line[1:end]
	if !strings.Contains(flags, "i") {
		pattern = "(?i)" + pattern
	}
	return pattern, strings.TrimSpace(action), nil
}

// headerAction is an action of header_checks(5) in the words of a rule.
func headerAction(action, field string) (string, error) {
	verb, text, _ := strings.Cut(action, " ")
	text = strings.TrimSpace(text)
	switch strings.ToUpper(verb) {
	case "REJECT":
		if text == "" {
			text = "5.7.1 Message content rejected"
		}
		return rejection("reject 550", text), nil
	case "HOLD":
		return strings.TrimSpace("hold " + text), nil
	case "DISCARD":
		return strings.TrimSpace("discard " + text), nil
	case "REDIRECT":
		return "redirect " + text, nil
	case "BCC":
		return "bcc " + text, nil
	case "PREPEND":
		return "prepend " + text, nil
	case "WARN", "INFO":
		return strings.TrimSpace("warn " + text), nil
	case "IGNORE", "STRIP":
		if strings.EqualFold(field, "Received") {
			return "", fmt.Errorf("Received fields stop loops, and stay; what they tell of users is little here")
		}
		return "remove header " + field, nil
	case "DUNNO", "OK":
		return "", fmt.Errorf("it only ends the search; the rules that follow have to say what they spare")
	}
	return "", fmt.Errorf("the action %s has no counterpart", verb)
}

// rejection has an enhanced code before the text.
func rejection(reply, text string) string {
	if len(text) > 5 && text[1] == '.' && text[3] == '.' {
		return reply + " " + text
	}
	return reply + " 5.7.1 " + text
}
