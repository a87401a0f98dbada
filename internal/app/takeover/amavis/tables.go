package amavis

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/app/takeover"
	"facteur/internal/base/conf"
	"facteur/internal/store/policy"
)

// row is a row of a table: its fields by the names of their columns, in small letters. What
// is NULL or empty is not there.
type row struct {
	line   int
	fields map[string]string
}

// parseTable reads a table that is text; the error is about its first line.
func parseTable(text string) (rows []row, err error) {
	var columns []string
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		switch {
		case columns == nil && strings.TrimSpace(line) == "":
			return nil, errors.New("expected the names of the columns in the first line")
		case columns == nil:
			columns = strings.Split(strings.ToLower(line), "\t")
		case line != "":
			rows = append(rows, row{n, fieldsOf(columns, line)})
		}
	}
	return rows, nil
}

// unescape is what "mysql --batch" writes for what would break a line.
var unescape = strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\\`, `\`, `\0`, "")

func fieldsOf(columns []string, line string) map[string]string {
	fields := make(map[string]string)
	for n, text := range strings.SplitN(line, "\t", len(columns)) {
		if text = unescape.Replace(text); text != "" && text != "NULL" && text != `\N` {
			fields[columns[n]] = text
		}
	}
	return fields
}

// table reads the first of several files that is there.
func (i *importer) table(names ...string) (file string, rows []row, err error) {
	for _, name := range names {
		file = filepath.Join(i.o.Tables, name+".tsv")
		text, err := readFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			rows, err = parseTable(string(text))
		}
		if err != nil {
			return file, nil, fmt.Errorf("%s: %w", file, err)
		}
		return file, rows, nil
	}
	return file, nil, nil
}

// tables takes policies and lists of users over.
func (i *importer) tables() error {
	_, policies, err := i.table("policy", "spamfilter_policy")
	if err != nil {
		return err
	}
	userFile, users, err := i.table("users", "spamfilter_users")
	if err != nil {
		return err
	}
	if users == nil {
		return fmt.Errorf("%s: there is no users.tsv or spamfilter_users.tsv with a row in it", i.o.Tables)
	}
	_, senders, err := i.table("mailaddr")
	if err != nil {
		return err
	}
	listFile, lists, err := i.table("wblist", "spamfilter_wblist")
	if err != nil {
		return err
	}
	wanted, names := byID(policies), make(map[string]string)
	for _, u := range users {
		match, line := i.user(userFile, u, wanted)
		names[u.fields["id"]] = match
		i.t.Report.Add(line)
	}
	known := byID(senders)
	for _, l := range lists {
		i.t.Report.Add(i.entry(listFile, l, names, known))
	}
	return nil
}

func byID(rows []row) map[string]row {
	out := make(map[string]row, len(rows))
	for _, r := range rows {
		out[r.fields["id"]] = r
	}
	return out
}

// user makes a policy of a user and of what his policy says.
func (i *importer) user(file string, u row, policies map[string]row) (match string, line takeover.Line) {
	line = takeover.Line{File: file, Line: u.line, Text: u.fields["email"], Verdict: no}
	match, err := policy.CanonicalMatch(u.fields["email"])
	if err != nil {
		line.Why = err.Error()
		return "", line
	}
	p, found := policies[u.fields["policy_id"]]
	if !found {
		line.Verdict, line.Why = useless, "it has no policy, and gets what all get"
		return match, line
	}
	if i.t.Settings.Find("filter_policy", "match", match) != nil {
		line.Why = "there is a policy for the same already"
		return match, line
	}
	t := &takeover.Table{}
	t.Set("match", match, u.fields["fullname"])
	if n, err := strconv.Atoi(u.fields["priority"]); err == nil && n != 0 {
		t.Set("priority", n, "")
	}
	head := t.Len()
	left := said(t, p.fields)
	line.Verdict, line.Key = yes, "filter_policy"
	if t.Len() == head {
		line.Verdict, line.Key, line.Why = useless, "", "its policy says nothing; it gets what all get"
	} else {
		i.t.Settings.Add("filter_policy", t)
	}
	if len(left) > 0 {
		line.Verdict, line.Why = no, "not taken of the policy "+strconv.Quote(p.fields["policy_name"])+": "+strings.Join(left, ", ")
	}
	return match, line
}

// said sets what a policy says, and gives the columns that are left: those with a value that
// mean something, and that facteur has no policy for. An empty field says nothing.
func said(t *takeover.Table, fields map[string]string) (left []string) {
	for _, column := range slices.Sorted(maps.Keys(fields)) {
		if !says(t, column, fields[column], fields) {
			left = append(left, column+"="+fields[column])
		}
	}
	return left
}

// says sets what one column says.
func says(t *takeover.Table, column, value string, all map[string]string) bool {
	level := map[string]string{"spam_tag_level": "mark", "spam_tag2_level": "junk", "spam_kill_level": "kill", "spam_quarantine_cutoff_level": "cutoff"}[column]
	category, lover := strings.CutSuffix(column, "_lover")
	isYes := strings.EqualFold(value, "Y") || value == "1"
	switch {
	case level != "":
		text, err := levelOf(Value{Text: value}, level == "mark")
		if err == nil {
			t.Set(level, text, "")
		}
		return err == nil
	case lover:
		if isYes {
			t.Set("destinies."+strings.TrimSuffix(category, "_files"), "pass", "")
		}
		return true
	case column == "spam_subject_tag2":
		if modifies := all["spam_modifies_subj"]; modifies == "" || strings.EqualFold(modifies, "Y") || modifies == "1" {
			t.Set("subject_tag", value, "")
		}
		return true
	case column == "spam_modifies_subj":
		if !isYes {
			t.Set("subject_tag", policy.None, "")
		}
		return true
	case strings.HasSuffix(column, "_quarantine_to"):
		return !strings.Contains(value, "@") // the shelf has it
	case strings.HasPrefix(column, "sys_"), strings.HasPrefix(column, "rspamd_"):
		return true // of the panel, and of another filter
	}
	return isNo(value) || slices.Contains(meaningless, column)
}

// isNo tells the values of a switch that is off, and of a bound that is none.
func isNo(value string) bool { return strings.EqualFold(value, "N") || strings.Trim(value, "0.") == "" }

// meaningless are columns that say nothing of what is done with letters here.
var meaningless = []string{"id", "policy_name", "spam_dsn_cutoff_level", "spam_subject_tag", "local", "server_id"}

// entry takes a row of a list over.
func (i *importer) entry(file string, l row, matches map[string]string, senders map[string]row) takeover.Line {
	email, priority := l.fields["email"], l.fields["priority"] // as ISPConfig has it
	if s, found := senders[l.fields["sid"]]; found && l.fields["sid"] != "" {
		email, priority = s.fields["email"], s.fields["priority"]
	}
	line := takeover.Line{File: file, Line: l.line, Text: strings.TrimSpace(l.fields["wb"] + " " + email), Verdict: no}
	match := matches[l.fields["rid"]]
	sender, ok := senderOf(email)
	switch {
	case strings.EqualFold(l.fields["active"], "n"):
		line.Verdict, line.Why = useless, "it is not active"
		return line
	case match == "":
		line.Why = "its user is not there, or has no address that a list can be for"
		return line
	case !ok || email == "":
		line.Why = "no sender that a list can have"
		return line
	}
	key, text := "", sender
	switch wb := strings.ToUpper(strings.TrimSpace(l.fields["wb"])); wb {
	case "W":
		key = "allow"
	case "B":
		key = "block"
	default:
		score, err := strconv.ParseFloat(wb, 64)
		if _, bad := (policy.Entry{Match: match, Sender: sender, Kind: policy.Soft, Score: score}).Check(); err != nil || bad != nil {
			line.Why = "expected W, B or a score"
			return line
		}
		key, text = "score", sender+" = "+strconv.FormatFloat(score, 'f', -1, 64)
	}
	t := i.listWith(match, priority)
	t.Set(key, append(t.List(key), text), "")
	line.Verdict, line.Key = yes, "filter_list."+key
	return line
}

// listWith is the list of a policy's accounts whose entries have a priority.
func (i *importer) listWith(match, priority string) *takeover.Table {
	n, _ := strconv.Atoi(priority) //nolint:errcheck // none is 0
	same := func(t *takeover.Table) bool {
		return t.Get("match") == conf.Quote(match) && (t.Get("priority") == strconv.Itoa(n) || n == 0 && !t.Has("priority"))
	}
	if lists := i.t.Settings.All("filter_list"); slices.ContainsFunc(lists, same) {
		return lists[slices.IndexFunc(lists, same)]
	}
	t := i.t.Settings.Append("filter_list")
	t.Set("match", match, "")
	if n != 0 {
		t.Set("priority", n, "")
	}
	return t
}
