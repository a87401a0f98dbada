package list

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/base/event"
)

// maxCF is the largest file of parameters, in bytes.
const maxCF = 1 << 20

// cf is a file of parameters of Postfix, such as /etc/postfix/ldap-aliases.cf: lines
// "name = value", in the form of main.cf.
type cf struct {
	path   string
	lines  map[string]cfLine
	secret bool // others may read it
}

type cfLine struct {
	number int
	value  string
}

func readCF(path string) (*cf, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxCF {
		return nil, fmt.Errorf("%s: expected a file of parameters, of at most %d KB", path, maxCF>>10)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(text), "SQLite format 3") {
		return nil, fmt.Errorf("%s is a database, and the query is missing; expected \"sqlite:%[1]s?query=SELECT value FROM t WHERE key = ?\"", path)
	}
	c := &cf{path: path, lines: map[string]cfLine{}, secret: info.Mode().Perm()&0o004 != 0}
	return c, each(path, text, func(l line) error {
		name, value, found := strings.Cut(l.text, "=")
		if name = strings.TrimSpace(name); !found || name == "" || strings.ContainsAny(name, " \t") {
			return errors.New(`expected "name = value"`)
		}
		c.lines[name] = cfLine{l.number, strings.TrimSpace(value)}
		return nil
	})
}

// get is the value of a parameter, or what it is without a line.
func (c *cf) get(name, otherwise string) string {
	if l, found := c.lines[name]; found {
		return l.value
	}
	return otherwise
}

// errorf is an error with the place of a parameter.
func (c *cf) errorf(name, format string, args ...any) error {
	err := fmt.Errorf("%s: "+format, append([]any{name}, args...)...)
	if l, found := c.lines[name]; found {
		return fmt.Errorf("%s:%d: %w", c.path, l.number, err)
	}
	return fmt.Errorf("%s: %w", c.path, err)
}

func (c *cf) number(name string, otherwise, least, most int) (int, error) {
	n, err := strconv.Atoi(c.get(name, strconv.Itoa(otherwise)))
	if err != nil || n < least || n > most {
		return 0, c.errorf(name, "expected a number from %d to %d, found %q", least, most, c.get(name, ""))
	}
	return n, nil
}

func (c *cf) yes(name string, otherwise bool) (bool, error) {
	switch strings.ToLower(c.get(name, "")) {
	case "":
		return otherwise, nil
	case "yes", "true", "1", "on":
		return true, nil
	case "no", "false", "0", "off", "none":
		return false, nil
	}
	return false, c.errorf(name, `expected "yes" or "no", found %q`, c.get(name, ""))
}

// words are the words of a list.
func (c *cf) words(name, otherwise string) []string {
	return strings.FieldsFunc(c.get(name, otherwise), isSeparator)
}

// heed tells of parameters that nobody knows, and of a password that others can read.
func (c *cf) heed(events event.Sink, known string, passwords ...string) {
	var strange []string
	for name := range c.lines {
		if !slices.Contains(strings.Fields(known), name) {
			strange = append(strange, name)
		}
	}
	slices.Sort(strange)
	if len(strange) > 0 {
		c.warn(events, "not used here: %s", strings.Join(strange, ", "))
	}
	for _, name := range passwords {
		if c.secret && c.get(name, "") != "" {
			c.warn(events, "%s stands in a file that everybody can read; chmod 640 it", name)
		}
	}
}

func (c *cf) warn(events event.Sink, format string, args ...any) {
	events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/list", Text: c.path + ": " + fmt.Sprintf(format, args...)})
}
