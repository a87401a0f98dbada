package list

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// dialect is what of the grammar of SQL differs.
type dialect uint8

const (
	sqliteSQL dialect = iota
	postgresSQL
	mysqlSQL
)

// mark is the place of the n-th value in a statement.
func (d dialect) mark(n int) string {
	if d == postgresSQL {
		return fmt.Sprintf("$%d", n)
	}
	return "?"
}

// rebind makes a prepared statement of a query of Postfix's, in which the key stands
// in the text (MAP-002). A literal with a place in it, such as '%u@%d', becomes a
// parameter whose value is made of the key; so does a place outside of quotes. Where a
// key would be anything but a value, the query is refused.
func rebind(query string, d dialect) (statement string, values []phrase, err error) {
	query = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(query), ";"))
	if word, _, _ := strings.Cut(strings.ToUpper(strings.ReplaceAll(query, "\t", " ")), " "); word != "SELECT" && word != "WITH" {
		return "", nil, errors.New("expected a query that begins with SELECT; nothing else is asked, and no procedure is called")
	}
	w := rewriter{dialect: d, rest: query}
	for w.rest != "" && err == nil {
		err = w.step()
	}
	return w.out.String(), w.values, err
}

// rewriter walks over a query.
type rewriter struct {
	dialect
	rest   string
	last   byte // before rest
	out    strings.Builder
	values []phrase
}

// pass copies n bytes.
func (w *rewriter) pass(n int) {
	w.out.WriteString(w.rest[:n])
	w.last, w.rest = w.rest[n-1], w.rest[n:]
}

// put writes the place of a value instead of n bytes.
func (w *rewriter) put(n int, p phrase) {
	w.values = append(w.values, p)
	w.out.WriteString(w.mark(len(w.values)))
	w.last, w.rest = w.rest[n-1], w.rest[n:]
}

var errOneStatement = errors.New(`expected one statement, without ";", "\" and comments`)

func (w *rewriter) step() error {
	c := w.rest[0]
	switch {
	case c == '\'' || c == '"' && w.dialect == mysqlSQL:
		return w.literal(c)
	case c == '"' || c == '`' || c == '[' && w.dialect == sqliteSQL:
		return w.name(c)
	case c == '%':
		return w.place()
	case c == ';' || c == '\\' || strings.HasPrefix(w.rest, "--") || strings.HasPrefix(w.rest, "/*") || c == '#' && w.dialect == mysqlSQL || c == 0:
		return errOneStatement
	case c == '?' && w.dialect != postgresSQL:
		return errors.New(`a "?" outside of quotes would be a parameter; expected %s in quotes`)
	case c == '$' && w.dialect == postgresSQL:
		return errors.New(`a "$" outside of quotes would be a parameter, or quotes of another kind; expected %s in quotes`)
	case strings.IndexByte(":@$", c) >= 0 && w.dialect == sqliteSQL:
		return fmt.Errorf("a %q outside of quotes would be a parameter; expected %%s in quotes", string(c))
	}
	w.pass(1)
	return nil
}

// literal is text in quotes, which are doubled inside of it.
func (w *rewriter) literal(quote byte) error {
	text, n, err := w.quoted(quote)
	if err != nil {
		return err
	}
	if strings.Contains(text, `\`) {
		return errors.New(`a "\" in a literal; what it means depends on the server, expected a text without`)
	}
	p, err := parsePhrase(text)
	if err != nil {
		return err
	}
	if len(p.wants()) == 0 { // a constant
		w.out.WriteString(w.rest[:0] + requote(p, quote))
		w.last, w.rest = quote, w.rest[n:]
		return nil
	}
	if isName(w.last) {
		return fmt.Errorf("%q stands right before a literal with the key; expected a blank between, or no prefix", string(w.last))
	}
	if n < len(w.rest) && isName(w.rest[n]) {
		return errors.New("a literal with the key ends right before a word; expected a blank between")
	}
	w.put(n, p)
	return nil
}

// requote writes a constant, in which %% meant "%".
func requote(p phrase, quote byte) string {
	q := string(quote)
	return q + strings.ReplaceAll(p.fill(keyed{}), q, q+q) + q
}

// quoted gives what stands between quotes, and how long it is with them.
func (w *rewriter) quoted(quote byte) (text string, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(w.rest); i++ {
		c := w.rest[i]
		switch {
		case c != quote:
			b.WriteByte(c)
		case i+1 < len(w.rest) && w.rest[i+1] == quote:
			b.WriteByte(c)
			i++
		default:
			return b.String(), i + 1, nil
		}
	}
	return "", 0, fmt.Errorf("a quote %c is never closed", quote)
}

// name is the name of a table or a column in quotes: no place for a key.
func (w *rewriter) name(quote byte) error {
	end := quote
	if quote == '[' {
		end = ']'
	}
	text, n, err := w.quoted(end)
	switch {
	case err != nil:
		return err
	case strings.Contains(text, "%"):
		return fmt.Errorf(`the key stands in %s, where a name is; expected it in single quotes, '%%s'`, w.rest[:n])
	}
	w.pass(n)
	return nil
}

// place is a place of the key outside of quotes: where a number was expected.
func (w *rewriter) place() error {
	if len(w.rest) < 2 {
		return errors.New(`a "%" at the end`)
	}
	slot := w.rest[1]
	switch {
	case slot == '%':
		w.out.WriteByte('%')
		w.last, w.rest = '%', w.rest[2:]
		return nil
	case strings.IndexByte(slots, slot) < 0:
		return fmt.Errorf("unknown %q; expected one of %%s, %%u, %%d, %%1 to %%9, or %%%%", w.rest[:2])
	case isName(w.last) || w.last == '.' || len(w.rest) > 2 && (isName(w.rest[2]) || w.rest[2] == '.' || w.rest[2] == '%'):
		return fmt.Errorf("%s is part of a name or of a longer word, where a key can't stand; expected '%s' in single quotes", w.rest[:2], w.rest[:2])
	}
	if slices.Contains(beforeNames, lastWord(w.out.String())) {
		return fmt.Errorf("%s stands where the name of a table is; a key can only be a value", w.rest[:2])
	}
	w.put(2, phrase{{slot: slot}})
	return nil
}

// lastWord is the word that a text ends with, in capitals.
func lastWord(s string) string {
	s = strings.TrimRight(s, " \t")
	return strings.ToUpper(s[strings.LastIndexAny(s, " \t")+1:])
}

// beforeNames are the words that a name follows.
var beforeNames = []string{"FROM", "JOIN", "INTO", "UPDATE", "TABLE", "AS"}

// isName tells a byte of a word of SQL.
func isName(c byte) bool {
	return isWord(c) || c == '_' || c >= 0x80 || c == '\'' || c == '"' || c == '`'
}

// wantsOf are the places of several phrases.
func wantsOf(values []phrase) (out []byte) {
	for _, p := range values {
		out = append(out, p.wants()...)
	}
	return out
}

// queryOf is the parameter "query", or what Postfix made of older ones.
func queryOf(c *cf) (string, error) {
	if q := c.get("query", ""); q != "" {
		return q, nil
	}
	if f := c.get("select_function", ""); f != "" {
		return "SELECT " + f + "('%s')", nil
	}
	field, from, where := c.get("select_field", ""), c.get("table", ""), c.get("where_field", "")
	if field == "" || from == "" || where == "" {
		return "", c.errorf("query", "is missing; expected one such as SELECT value FROM t WHERE key = '%%s'")
	}
	for _, name := range []string{field, from, where} {
		if strings.Contains(name, "%") {
			return "", c.errorf("query", "is missing, and an older parameter has a %% in it")
		}
	}
	return strings.TrimSpace(fmt.Sprintf("SELECT %s FROM %s WHERE %s = '%%s' %s", field, from, where, c.get("additional_conditions", ""))), nil
}
