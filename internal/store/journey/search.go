package journey

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// Query is what somebody wants to know.
type Query struct {
	// Words are spellings of one thing; a step that names any of them is meant. A
	// word is a queue ID, a session, an address, a domain, an account, a Message-Id,
	// or the address or name of a client. Case does not count, nor do "<>".
	Words []string
	// Since and Until bound the steps that match; zero is no bound. What belongs to
	// them is found outside too.
	Since, Until time.Time
	// Most is how many messages and sessions are wanted, the newest; 0: 100.
	Most int
}

// Found is what a search brought.
type Found struct {
	// Groups are in the order of their first steps.
	Groups []Group
	// More: older messages or sessions match too, or there were too many steps.
	More bool
}

// Group is what happened to one message, or in one session without a message of
// interest. Steps are in the order of time.
type Group struct {
	Item    string `json:"item,omitempty"` // "" for a session
	Session string `json:"session,omitempty"`
	// Cause is the message that this one came of, such as that of a notice.
	Cause string  `json:"cause,omitempty"`
	Steps []Entry `json:"steps"`
}

// Open gives the recipients of a message that have no final step yet, as far as the
// step of acceptance names them.
func (g *Group) Open() []string {
	var open []string
	for _, e := range g.Steps {
		if e.Item != g.Item || g.Item == "" {
			continue
		}
		if e.Kind == event.Accepted {
			open = append(open, e.To...)
		}
		if e.Kind.Final() {
			open = slices.DeleteFunc(open, func(a string) bool { return slices.Contains(e.To, a) })
		}
	}
	return open
}

const (
	defaultMost = 100
	// stepsMost bounds the memory of a search: some 1 KiB each.
	stepsMost = 20_000
	// lineMost is longer than any line that appendStep makes.
	lineMost = 64 << 10
)

// Search reads the journeys in dir, whether or not a Store writes there. Its memory
// is bounded. A directory that does not exist has none.
func Search(ctx context.Context, fsys vfs.FS, dir string, q Query) (Found, error) {
	if q.Most <= 0 {
		q.Most = defaultMost
	}
	s := &search{ctx: ctx, fs: fsys, dir: dir, query: q, sought: newSought(q.Words...),
		items: map[string]bool{}, sessions: map[string]reach{}}
	all, err := list(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Found{}, nil
	}
	if err == nil {
		err = s.find(all)
	}
	// What was found may belong to a session, or to a message, whose beginning lies
	// before the place where that was learnt: then once more.
	for range 3 {
		if err == nil {
			err = s.gather(all)
		}
		if err != nil || !s.grown {
			break
		}
	}
	return Found{s.groups(), s.more}, err
}

// reach is how much of a session is wanted.
type reach uint8

const (
	connection reach = iota + 1 // only what concerns the connection
	matching                    // that, and the steps that match
)

// search is one search under way.
type search struct {
	ctx    context.Context
	fs     vfs.FS
	dir    string
	query  Query
	sought sought

	items    map[string]bool
	sessions map[string]reach
	matches  int
	more     bool
	grown    bool
	steps    []Entry
}

// find goes through the segments, newest first, until there are enough matches.
func (s *search) find(all []segment) error {
	for _, x := range slices.Backward(all) {
		if !s.inRange(x) {
			continue
		}
		if s.matches >= s.query.Most {
			s.more = true
			return nil
		}
		if err := s.findIn(x); err != nil {
			return err
		}
	}
	return nil
}

// inRange tells whether a segment can have steps of the time wanted. Steps that
// were gathered at midnight are in the next day's.
func (s *search) inRange(x segment) bool {
	day, _ := time.Parse(dayForm, x.day)
	return (s.query.Since.IsZero() || day.Add(24*time.Hour).After(s.query.Since)) &&
		(s.query.Until.IsZero() || !day.Add(-time.Minute).After(s.query.Until))
}

// findIn takes the newest matches of one segment.
func (s *search) findIn(x segment) error {
	var newest ring
	room := s.query.Most - s.matches
	err := s.scan(x, func(line, lower []byte) {
		if !s.sought.mayMatch(line, lower) {
			return
		}
		if e, ok := parseEntry(line); ok && s.wanted(&e) && newest.add(e, room) {
			s.more = true
		}
	})
	s.matches += len(newest.list)
	for _, m := range newest.list {
		if m.item != "" {
			s.items[m.item] = true
		}
		if m.session != "" {
			s.sessions[m.session] = max(s.sessions[m.session], m.reach)
		}
	}
	return err
}

func (s *search) wanted(e *Entry) bool {
	return s.sought.match(e) &&
		(s.query.Since.IsZero() || !e.Time.Before(s.query.Since)) &&
		(s.query.Until.IsZero() || !e.Time.After(s.query.Until))
}

// match is a message or a session that matches.
type match struct {
	item, session string
	reach         reach
}

// ring keeps the newest matches, each once.
type ring struct{ list []match }

// add tells whether an older one had to go.
func (r *ring) add(e Entry, most int) (dropped bool) {
	m := match{e.Item, e.Session, connection}
	if e.Item == "" {
		m.reach = matching
	}
	same := func(o match) bool { return o.item == m.item && (m.item != "" || o == m) }
	if i := slices.IndexFunc(r.list, same); i >= 0 {
		if m.session != "" {
			r.list[i].session = m.session
		}
		return false
	}
	r.list = append(r.list, m)
	if len(r.list) > most {
		r.list = slices.Delete(r.list, 0, 1)
		return true
	}
	return false
}

// gather takes all steps of what was found, and of what came of it, from the oldest
// segment on.
func (s *search) gather(all []segment) error {
	s.grown, s.steps = false, s.steps[:0]
	for _, x := range all {
		if err := s.scan(x, s.take); err != nil {
			return err
		}
	}
	return nil
}

func (s *search) take(line, lower []byte) {
	h := parseHead(line)
	ofItem := s.items[string(h.item)] || s.items[string(h.related)] // "" is none
	if !ofItem && s.sessions[string(h.session)] == 0 {
		return
	}
	e, ok := parseEntry(line)
	if !ok || !ofItem && !s.ofSession(&e) {
		return
	}
	if len(s.steps) >= stepsMost {
		s.more = true
		return
	}
	s.steps = append(s.steps, e)
	s.follow(&e)
}

// ofSession tells whether a step of a session that is wanted is wanted itself.
func (s *search) ofSession(e *Entry) bool {
	return e.ofConnection() || e.Item == "" && s.sessions[e.Session] == matching && s.wanted(e)
}

// follow adds what a step leads to. What lies before the step needs another round.
func (s *search) follow(e *Entry) {
	if e.Related != "" {
		s.items[e.Related] = true
	}
	if e.Item != "" && !s.items[e.Item] {
		s.items[e.Item], s.grown = true, true
	}
	if e.Session != "" && s.sessions[e.Session] == 0 {
		s.sessions[e.Session], s.grown = connection, true
	}
}

// scan calls fn for each line of a segment; lower is as much room as the line
// takes. A segment that has been removed meanwhile has no lines.
func (s *search) scan(x segment, fn func(line, lower []byte)) error {
	file, err := s.fs.Open(filepath.Join(s.dir, x.name()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lower := make([]byte, lineMost)
	r := bufio.NewReaderSize(file, lineMost)
	for n := 0; ; n++ {
		line, err := r.ReadSlice('\n')
		switch {
		case err == nil:
			fn(line, lower)
		case errors.Is(err, bufio.ErrBufferFull): // not ours; its rest is no whole line either
		case errors.Is(err, io.EOF): // torn, or being written
			return nil
		default:
			return err
		}
		if n%1024 == 0 && s.ctx.Err() != nil {
			return s.ctx.Err()
		}
	}
}

// groups sorts the steps into messages and sessions.
func (s *search) groups() []Group {
	slices.SortStableFunc(s.steps, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	alone := s.soleItems()
	var groups []Group
	at := map[string]int{}
	for _, e := range s.steps {
		key := "message " + e.Item
		if e.Item == "" {
			if key = "session " + e.Session; alone[e.Session] != "" {
				key = "message " + alone[e.Session]
			}
		}
		i, known := at[key]
		if !known {
			i = len(groups)
			at[key] = i
			groups = append(groups, Group{})
		}
		groups[i].add(e)
	}
	for _, e := range s.steps {
		if i, known := at["message "+e.Related]; known && e.Related != "" {
			groups[i].Cause = e.Item
		}
	}
	return groups
}

func (g *Group) add(e Entry) {
	if g.Item == "" {
		g.Item = e.Item
	}
	if g.Session == "" {
		g.Session = e.Session
	}
	g.Steps = append(g.Steps, e)
}

// soleItems gives, for each session that brought exactly one of the messages, that
// message: the two are told as one story.
func (s *search) soleItems() map[string]string {
	sole := map[string]string{}
	for _, e := range s.steps {
		if e.Item == "" || e.Session == "" {
			continue
		}
		if other, known := sole[e.Session]; known && other != e.Item {
			sole[e.Session] = ""
		} else {
			sole[e.Session] = e.Item
		}
	}
	return sole
}
