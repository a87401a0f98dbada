package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"facteur/internal/app/control"
)

const qshapeUsage = "qshape [ -s ] [ -p ] [ -m <min_subdomains> ] [ -l ] [ -b <bucket_count> ] [ -t <bucket_time> ]" +
	" [ -w <terminal_width> ] [ -N <batch_msg_count> ] [ -n <batch_top_domains> ] [ -c <config_directory> ] [ <queue_name> ... ]"

// table is the table of ages by domain.
type table struct {
	senders, parents, linear bool
	minSubdomains            int
	columns                  int // of ages
	minutes                  int // of the first
	width                    int
	top                      int // so many rows; 0: all
	shelves                  []string
}

// domainWidth is what the domains have at least.
const domainWidth = 18

func newTable() table {
	return table{minSubdomains: 5, columns: 10, minutes: 5, width: 80, shelves: []string{"incoming", "active"}}
}

// qshape shows the queue by domain and age.
func (c *command) qshape(ctx context.Context, args []string) error {
	t := newTable()
	options, operands, err := getopt(args, "lhc:psw:b:t:m:n:N:")
	if err != nil {
		return &usageError{err.Error(), qshapeUsage}
	}
	if isTerminal(c.out) {
		t.top = 20
	}
	for _, o := range options {
		if err := t.option(c, o); err != nil {
			return err
		}
	}
	if len(operands) > 0 {
		t.shelves = operands
	}
	return asTool(c.withOffice(ctx, func(ctx context.Context, o control.Office) error { return c.showShape(ctx, o, t) }))
}

func (t *table) option(c *command, o option) error {
	number := func(into *int, least, most int) error {
		n, err := strconv.Atoi(o.value)
		if err != nil || n < least || n > most {
			return fmt.Errorf("-%c takes a number from %d to %d, found %q", o.letter, least, most, o.value)
		}
		*into = n
		return nil
	}
	var batch int
	switch o.letter {
	case 's':
		t.senders = true
	case 'p':
		t.parents = true
	case 'l':
		t.linear = true
	case 'c':
		return c.useSettings(o.value)
	case 'w':
		return number(&t.width, 1, 10_000)
	case 'b':
		return number(&t.columns, 1, 40)
	case 't':
		return number(&t.minutes, 1, 1_000_000)
	case 'm':
		return number(&t.minSubdomains, 1, 1_000_000)
	case 'n':
		return number(&t.top, 0, 1_000_000)
	case 'N': // there are no results in between: one comes soon enough
		return number(&batch, 0, 1_000_000_000)
	case 'h':
		return &usageError{usage: qshapeUsage}
	}
	return nil
}

// limits are the ages between the columns, in minutes.
func (t *table) limits() []int64 {
	limits := make([]int64, 0, t.columns)
	for at := int64(t.minutes); len(limits) < t.columns-1; {
		limits = append(limits, at)
		if t.linear {
			at += int64(t.minutes)
		} else {
			at *= 2
		}
	}
	return limits
}

func (c *command) showShape(ctx context.Context, o control.Office, t table) error {
	q := control.Shape{Shelves: t.shelves, Senders: t.senders, Ages: t.limits()}
	for i := range q.Ages {
		q.Ages[i] *= 60
	}
	var rows []shapeRow
	err := o.Shape(ctx, q, func(r control.Row) error { rows = append(rows, newShapeRow(r)); return nil })
	if err != nil {
		return err
	}
	if c.json {
		slices.SortFunc(rows, shapeRow.compare)
		for _, r := range rows {
			if err := printJSON(c, r); err != nil {
				return err
			}
		}
		return nil
	}
	out := bufio.NewWriter(c.out)
	t.print(out, rows)
	return out.Flush()
}

// shapeRow is a domain and its numbers, of which the first is the sum of the others.
type shapeRow struct {
	Domain string `json:"domain"`
	Counts []int  `json:"counts"`
}

func newShapeRow(r control.Row) shapeRow {
	row := shapeRow{r.Domain, make([]int, 1, len(r.Counts)+1)}
	for _, n := range r.Counts {
		row.Counts[0] += n
	}
	row.Counts = append(row.Counts, r.Counts...)
	return row
}

// compare orders by number, then by name, short ones first.
func (r shapeRow) compare(s shapeRow) int {
	return cmp.Or(cmp.Compare(s.Counts[0], r.Counts[0]), cmp.Compare(len(r.Domain), len(s.Domain)), strings.Compare(r.Domain, s.Domain))
}

func (r shapeRow) add(s shapeRow) {
	for i, n := range s.Counts {
		r.Counts[i] += n
	}
}

// withParents adds the parent domains that have enough domains below them.
func (t *table) withParents(rows []shapeRow) []shapeRow {
	parents, below := make(map[string]shapeRow), make(map[string]int)
	for _, r := range rows {
		child := true // whether the name below is new
		for parent := parentOf(r.Domain); parent != ""; parent = parentOf(parent) {
			p, known := parents[parent]
			if !known {
				p = shapeRow{parent, make([]int, len(r.Counts))}
				parents[parent] = p
			}
			p.add(r)
			if child {
				below[parent]++
			}
			child = !known
		}
	}
	for name, p := range parents {
		if below[name] >= t.minSubdomains {
			rows = append(rows, p)
		}
	}
	return rows
}

// parentOf is ".example.com" of "mx.example.com" and of ".mx.example.com"; "" for
// those right below a top level domain.
func parentOf(domain string) string {
	_, rest, found := strings.Cut(strings.TrimPrefix(domain, "."), ".")
	if !found || !strings.Contains(rest, ".") {
		return ""
	}
	return "." + rest
}

// print prints the table. A column is as wide as its head and its total need.
func (t *table) print(w io.Writer, rows []shapeRow) {
	total := shapeRow{"TOTAL", make([]int, t.columns+1)}
	for _, r := range rows {
		total.add(r)
	}
	if t.parents {
		rows = t.withParents(rows)
	}
	slices.SortFunc(rows, shapeRow.compare)
	rows = slices.Insert(rows, 0, total)
	if t.top > 0 {
		rows = rows[:min(len(rows), t.top)]
	}
	heads := t.heads()
	widths, room := make([]int, len(heads)), t.width
	for i := range heads {
		widths[i] = max(2, len(heads[i]), len(strconv.Itoa(total.Counts[i]))) + 1
		room -= widths[i]
	}
	room = max(room, domainWidth)
	line := func(domain string, cell func(int) string) {
		io.WriteString(w, rightmost(printable(domain), room))
		for i, width := range widths {
			fmt.Fprintf(w, "%*s", width, cell(i))
		}
		fmt.Fprintln(w)
	}
	line("", func(i int) string { return heads[i] })
	for _, r := range rows {
		line(r.Domain, func(i int) string { return strconv.Itoa(r.Counts[i]) })
	}
}

// heads are the names of the columns: T for all, then each age's limit.
func (t *table) heads() []string {
	heads := []string{"T"}
	limits := t.limits()
	for _, m := range limits {
		heads = append(heads, strconv.FormatInt(m, 10))
	}
	last := "0+"
	if len(limits) > 0 {
		last = heads[len(heads)-1] + "+"
	}
	return append(heads, last)
}

// rightmost sets a domain to the right; of one that is too long, its end is shown.
func rightmost(domain string, width int) string {
	if len(domain) <= width {
		return strings.Repeat(" ", width-len(domain)) + domain
	}
	mark := "+"
	if domain[0] == '.' {
		mark = ".+"
	}
	return mark + domain[len(domain)-width+len(mark):]
}

// isTerminal tells whether a person reads, or writes, there.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
