package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"facteur/internal/app/control"
)

const postsuperUsage = "postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] [-f queue_id (expire and/or un-hold)]" +
	" [-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id (requeue)]" +
	" [-s (structure fix)] [-S (redundant structure fix)][-v (verbose)] [queue...]"

// postsuperOrders are the options that change something, in the order in which that is
// done when there are several.
var postsuperOrders = []struct {
	letter byte
	action control.Action
}{{'d', control.Delete}, {'r', control.Requeue}, {'h', control.Hold}, {'H', control.Release}, {'e', control.Expire}, {'f', control.Expire}}

// directories are the names that may stand behind postsuper's options: Postfix's, of
// which ours are some.
var directories = []string{"maildrop", "incoming", "active", "deferred", "hold", "bounce", "defer", "trace", "flush", "corrupt", "saved"}

// superintendent is one call of postsuper.
type superintendent struct {
	*command
	office  control.Office
	ids     map[byte][]string // by option
	stdin   byte              // the option that reads the standard input
	shelves []string          // "": all
	verbose bool
}

// postsuper changes the queue.
func (c *command) postsuper(ctx context.Context, args []string) error {
	s := &superintendent{command: c, ids: make(map[byte][]string)}
	check, err := s.parse(args)
	if err != nil {
		return err
	}
	return asTool(c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		s.office = o
		if check {
			if err := c.checkQueue(ctx, o, c.note("postsuper")); err != nil {
				return err
			}
		}
		for _, order := range postsuperOrders {
			if ids, asked := s.ids[order.letter]; asked {
				if err := s.do(ctx, order.letter, order.action, ids); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// parse reads the command line; check tells whether -s, -p or nothing was asked for.
func (s *superintendent) parse(args []string) (check bool, err error) {
	options, operands, err := getopt(args, "c:d:e:f:h:H:pr:sSv")
	if err != nil {
		return false, &usageError{err.Error(), postsuperUsage}
	}
	for _, o := range options {
		switch o.letter {
		case 'c':
			err = s.useSettings(o.value)
		case 'v':
			s.verbose = true
		case 's', 'S':
			check = true
		case 'p': // what a crash left is removed when the server starts
		default:
			err = s.order(o)
		}
		if err != nil {
			return false, err
		}
	}
	for _, name := range operands {
		if !slices.Contains(directories, name) {
			return false, fmt.Errorf("invalid directory name: %s", name)
		}
		if slices.Contains(control.Shelves[:], name) {
			s.shelves = append(s.shelves, name)
		}
	}
	if len(operands) == 0 {
		s.shelves = []string{""}
	}
	return check, nil
}

// order notes what an option names.
func (s *superintendent) order(o option) error {
	if o.value == "-" {
		if s.stdin != 0 && s.stdin != o.letter {
			return errors.New("only one option can read queue IDs from the standard input")
		}
		s.stdin = o.letter
	}
	s.ids[o.letter] = append(s.ids[o.letter], o.value)
	return nil
}

// do carries out one option for all that it names, and tells how much that was.
func (s *superintendent) do(ctx context.Context, letter byte, a control.Action, words []string) error {
	total, err := control.Count{}, error(nil)
	freed := control.Count{} // by -f, which releases what is held, too
	change := func(sel control.Selection, each bool) error {
		n, err := s.change(ctx, control.Order{Action: a, Selection: sel}, each)
		total.Add(n)
		if err == nil && letter == 'f' && (sel.Shelf == "" || sel.Shelf == "hold") {
			sel.Shelf = "hold"
			n, err = s.change(ctx, control.Order{Action: control.Release, Selection: sel}, each)
			freed.Add(n)
		}
		return err
	}
	for _, shelf := range s.shelves {
		if slices.Contains(words, "ALL") {
			err = errors.Join(err, change(control.Selection{Shelf: shelf}, s.verbose))
		}
	}
	if err == nil {
		err = eachBatch(s.words(letter, words), func(batch []string) error {
			return s.batch(ctx, batch, func(ids []string, shelf string) error {
				return change(control.Selection{Shelf: shelf, IDs: ids}, true)
			})
		})
	}
	if a == control.Requeue && total.Busy > 0 {
		s.note("postsuper")(fmt.Sprintf("%d recipient%s %s being tried now, not requeued; do it again for what that attempt does not end",
			total.Busy, plural(int64(total.Busy)), isAre(total.Busy)))
	}
	fmt.Fprintln(s.err, "postsuper: "+a.Total(total.Items))
	if letter == 'f' {
		fmt.Fprintln(s.err, "postsuper: "+control.Release.Total(freed.Items))
	}
	return err
}

// words are the names of an option, those of the standard input among them.
func (s *superintendent) words(letter byte, words []string) func() (string, error) {
	plain := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "-" || w == "ALL" })
	named := fromList(plain)
	if s.stdin != letter {
		return named
	}
	lines := fromLines(s.in)
	return func() (string, error) {
		if word, err := named(); err == nil {
			return word, nil
		}
		return lines()
	}
}

// batch calls fn with the IDs among some words, for each shelf.
func (s *superintendent) batch(ctx context.Context, words []string, fn func(ids []string, shelf string) error) error {
	ids, wrong := sortIDs(words)
	for _, w := range wrong {
		s.note("postsuper")("invalid mail queue id: " + w)
	}
	if len(ids) == 0 {
		return nil
	}
	ids, err := completeIDs(ctx, s.office, ids, s.note("postsuper"))
	if err != nil {
		return err
	}
	for _, shelf := range s.shelves {
		if err := fn(ids, shelf); err != nil {
			return err
		}
	}
	return nil
}

// change carries out an order, and names each item if that is wanted.
func (s *superintendent) change(ctx context.Context, o control.Order, each bool) (n control.Count, err error) {
	err = s.office.Change(ctx, o, func(p control.Progress) error {
		n.Add(p.Count)
		for _, id := range p.IDs {
			if each {
				fmt.Fprintln(s.err, "postsuper: "+id+": "+o.Action.Done())
			}
		}
		return nil
	})
	return n, err
}

// asTool puts the refusal of the admin's counter into Postfix's words.
func asTool(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("use of this command is reserved for the superuser, and the user that the server runs as (%w)", err)
	}
	return err
}
