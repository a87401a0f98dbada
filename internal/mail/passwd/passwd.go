// Package passwd reads the files in which users of a machine and of its mail are
// written down, one a line, with colons between the fields:
//
//	passwd(5)       name:x:uid:gid:comment:home:shell
//	shadow(5)       name:hash:last change:…:inactive:expires:
//	Dovecot's       name:{SCHEME}hash:uid:gid:(comment):home:(shell):extra fields
//	passwd-file
//
// Extra fields are "key=value" with spaces between; "userdb_quota_rule=*:storage=1G".
//
// A line with a mistake gives a Problem, with its name where it has one, and the others
// count: one slip must not lock out everybody. Of two lines with one name the first counts, as everywhere. Nothing
// that stands in the second field is in a Problem.
package passwd

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// MaxLine is the longest line that is read, in octets.
const MaxLine = 16 << 10

// User is one line.
type User struct {
	Line int // from 1
	Name string
	// Password is what stands there: a hash, with or without its scheme.
	Password string
	// UID and GID are -1 where nothing is written.
	UID, GID int64
	Home     string
	Shell    string
	// Extra are the extra fields of a passwd-file; a key without value has "".
	Extra map[string]string
}

// Problem is a line that does not count.
type Problem struct {
	Line int
	Why  string
	// Name is whose line it would be; "": nobody's.
	Name string
}

// lines gives the lines that mean something, by their numbers.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(text) {
			n++
			line = strings.TrimRight(line, "\r\n")
			if line == "" || line[0] == '#' || line[0] == ':' || strings.TrimSpace(line) == "" {
				continue
			}
			if !yield(n, line) {
				return
			}
		}
	}
}

// Read reads passwd(5) or a passwd-file. Compatibility lines of NIS ("+", "-") are
// left out.
func Read(text string) (users []User, problems []Problem) {
	seen := make(map[string]bool)
	for n, line := range lines(text) {
		if line[0] == '+' || line[0] == '-' {
			continue
		}
		u, err := parse(line)
		if seen[u.Name] {
			err, u.Name = fmt.Errorf("%q stands in an earlier line already", u.Name), ""
		}
		if err != nil {
			problems = append(problems, Problem{n, err.Error(), u.Name})
			continue
		}
		seen[u.Name] = true
		u.Line = n
		users = append(users, u)
	}
	return users, problems
}

func parse(line string) (u User, err error) {
	if len(line) > MaxLine || strings.ContainsRune(line, 0) {
		return User{}, fmt.Errorf("expected at most %d bytes of text in a line", MaxLine)
	}
	fields := strings.SplitN(line, ":", 8)
	for len(fields) < 8 {
		fields = append(fields, "")
	}
	u = User{Name: strings.TrimSpace(fields[0]), Password: fields[1], Home: fields[5], Shell: fields[6]}
	if u.Name == "" {
		return User{}, fmt.Errorf("expected a name before the first \":\"")
	}
	if u.UID, err = number("user", fields[2]); err != nil {
		return u, err
	}
	if u.GID, err = number("group", fields[3]); err != nil {
		return u, err
	}
	u.Extra = extra(fields[7])
	return u, nil
}

// number reads the number of a user or a group; -1 for none. The largest is no user's:
// the system takes it for "none" (chown(2)).
func number(what, text string) (int64, error) {
	if text == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("expected the number of a %s, found %.40q", what, text)
	}
	return int64(n), nil
}

func extra(text string) map[string]string {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return nil
	}
	out := make(map[string]string, len(fields))
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		if _, twice := out[key]; !twice {
			out[key] = value
		}
	}
	return out
}

// Shadow is a line of shadow(5). Days are counted from 1970-01-01; -1 for none.
type Shadow struct {
	Name, Password string
	// Changed is when the password was, Max how many days it lasts, Inactive how many
	// more it can be used, Expires when the account ends.
	Changed, Max, Inactive, Expires int64
}

// ReadShadow reads shadow(5).
func ReadShadow(text string) (users map[string]Shadow, problems []Problem) {
	users = make(map[string]Shadow)
	for n, line := range lines(text) {
		fields := strings.Split(line, ":")
		if len(line) > MaxLine || len(fields) != 9 {
			problems = append(problems, Problem{Line: n, Why: fmt.Sprintf("expected 9 fields, found %d", len(fields))})
			continue
		}
		s := Shadow{Name: fields[0], Password: fields[1]}
		var err error
		for i, to := range map[int]*int64{2: &s.Changed, 4: &s.Max, 6: &s.Inactive, 7: &s.Expires} {
			if *to, err = days(fields[i]); err != nil {
				break
			}
		}
		if err != nil {
			problems = append(problems, Problem{Line: n, Why: err.Error()})
			continue
		}
		if _, twice := users[s.Name]; !twice {
			users[s.Name] = s
		}
	}
	return users, problems
}

func days(text string) (int64, error) {
	if text == "" || strings.HasPrefix(text, "-") {
		return -1, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("expected a number of days, found %.20q", text)
	}
	return n, nil
}

// Locked tells that no password opens the account: it is locked ("!", "*"), or has none.
func (s Shadow) Locked() bool {
	return s.Password == "" || s.Password[0] == '!' || s.Password[0] == '*'
}

// Expired tells that the account, or the time in which its old password counts, is over
// on a day.
func (s Shadow) Expired(today int64) bool {
	if s.Expires >= 0 && today >= s.Expires {
		return true
	}
	return s.Changed > 0 && s.Max >= 0 && s.Inactive >= 0 && today > s.Changed+s.Max+s.Inactive
}
