package scanner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/net/clamav"
)

// Scanner is a check that shows letters to a program. It is safe for concurrent use.
type Scanner struct {
	cfg     Config
	engine  engine
	events  event.Sink
	slots   chan struct{}
	breaker breaker
	counts  counts
	now     func() time.Time
}

// New makes a Scanner. Nothing is connected yet.
func New(cfg Config, events event.Sink) *Scanner {
	return &Scanner{cfg: cfg, engine: newEngine(&cfg), events: events, slots: make(chan struct{}, max(cfg.Connections, 1)), now: time.Now}
}

// Name implements filter.Check.
func (s *Scanner) Name() string { return s.cfg.Name }

// At implements filter.Check.
func (s *Scanner) At() filter.Stage { return filter.End }

// Config is how it was made.
func (s *Scanner) Config() Config { return s.cfg }

// pingTime is how long a letter waits for a scanner that has rested to say that it is there.
const pingTime = 3 * time.Second

var errResting = errors.New("it did not answer before")

// errSlow is about a letter that takes longer than others do.
var errSlow = errors.New("it did not come to an end with it in time, but does with others")

// errBusy is about a turn that did not come.
var errBusy = errors.New("all its connections are in use")

// Examine implements filter.Check.
func (s *Scanner) Examine(ctx context.Context, l *filter.Letter) []filter.Remark {
	if l.Message == nil {
		return nil
	}
	if l.Size > s.cfg.MaxSize {
		s.counts.skipped.Add(1)
		return s.told("skipped", "%s was not shown the letter: it has %d bytes, and max_size is %d.", s.cfg.Name, l.Size, s.cfg.MaxSize)
	}
	bounded, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	f, err := s.look(bounded, l)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // nobody waits for it any more
	case errors.Is(err, clamav.ErrTooLarge):
		s.counts.skipped.Add(1)
		s.events.Emit(Failed{Name: s.cfg.Name, Socket: s.cfg.Socket, Session: l.Session, Item: l.ID, Client: l.Client, Err: err})
		return s.told("skipped", "%s did not look at the whole letter: it has %d bytes, more than StreamMaxLength in clamd.conf.", s.cfg.Name, l.Size)
	case err != nil:
		return s.unseen(l, err)
	}
	s.counts.scanned.Add(1)
	return s.remarks(f)
}

// look has the scanner look at a letter as soon as it is its turn.
func (s *Scanner) look(ctx context.Context, l *filter.Letter) (finding, error) {
	if err := s.ready(ctx); err != nil {
		return finding{}, err
	}
	select {
	case s.slots <- struct{}{}: // who waits longest is first
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return finding{}, errBusy
	}
	if s.breaker.isOpen(s.now()) {
		return finding{}, errResting // those before us found out
	}
	letter := &source{r: io.NewSectionReader(l.Message, 0, l.Size)}
	f, err := s.engine.scan(ctx, l, letter, l.Size)
	switch {
	case err == nil, isRefusal(err), errors.Is(err, clamav.ErrTooLarge):
		s.works()
	case letter.err == nil && !errors.Is(ctx.Err(), context.Canceled):
		err = s.blame(ctx, err, letter.shown)
	}
	return f, err
}

// blame finds out whether it was the scanner or the letter that took too long. Letters over
// which a scanner is slow can be made: if they kept it from looking at others, whoever sends
// them would hold up everybody's mail, or have it go unseen.
func (s *Scanner) blame(ctx context.Context, err error, shown bool) error {
	if shown && errors.Is(ctx.Err(), context.DeadlineExceeded) && s.looksAtOthers(ctx) {
		s.works()
		return errSlow
	}
	s.fails(err)
	return err
}

// looksAtOthers shows it a small letter of ours. That it answers a ping would say little: a
// scanner of which all hands are busy does that, too.
func (s *Scanner) looksAtOthers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTime)
	defer cancel()
	_, err := s.engine.scan(ctx, &filter.Letter{}, strings.NewReader(small), int64(len(small)))
	return err == nil || isRefusal(err)
}

// small is that letter.
const small = "Subject: Are you there?\r\n\r\nThis only asks whether letters are looked at.\r\n"

// ready tells that the scanner may be shown a letter; one that has rested is asked first.
func (s *Scanner) ready(ctx context.Context) error {
	switch s.breaker.admit(s.now()) {
	case admitted:
		return nil
	case refused:
		return errResting
	}
	limited, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	err := s.engine.ping(limited)
	switch {
	case err == nil:
		s.breaker.tried()
	case errors.Is(ctx.Err(), context.Canceled):
		s.breaker.gaveUp()
	default:
		s.fails(err)
	}
	return err
}

func (s *Scanner) works() {
	if back, since := s.breaker.answered(s.now()); back {
		s.events.Emit(Back{Name: s.cfg.Name, Socket: s.cfg.Socket, For: s.now().Sub(since)})
	}
}

func (s *Scanner) fails(err error) {
	if s.breaker.failed(s.now(), event.Reason(err)) {
		s.events.Emit(Down{Name: s.cfg.Name, Socket: s.cfg.Socket, WhenDown: s.cfg.WhenDown, Err: err})
	}
}

// unseen is what is said of a letter that could not be looked at.
func (s *Scanner) unseen(l *filter.Letter, err error) []filter.Remark {
	s.counts.failed.Add(1)
	why := event.Reason(err)
	if err == errResting {
		if _, before := s.breaker.resting(); before != "" {
			why = "it did not answer before (" + before + ")"
		}
	} else {
		s.events.Emit(Failed{Name: s.cfg.Name, Socket: s.cfg.Socket, Session: l.Session, Item: l.ID, Client: l.Client, Err: err})
	}
	out := s.told("unavailable", "%s could not look at the letter: %s.", s.cfg.Name, why)
	out[0].Defer = s.cfg.WhenDown == Defer && !s.cfg.TestOnly
	return out
}

// remarks are what was found, in the words of the verdict.
func (s *Scanner) remarks(f finding) []filter.Remark {
	if f.scored {
		r := filter.Remark{Name: s.cfg.Name, Score: s.clipped(f.points), Sentence: s.cfg.Name + " " + f.says + ".", Test: s.cfg.TestOnly}
		return []filter.Remark{r}
	}
	if s.cfg.Kind != Clamd {
		return nil // it did not want to look
	}
	r := filter.Remark{Scanned: s.cfg.Name}
	if f.virus == "" {
		r.Sentence = s.cfg.Name + " found no virus."
		return []filter.Remark{r}
	}
	r.Test = s.cfg.TestOnly
	row, virus := s.cfg.Names.read(f.virus)
	if virus {
		s.counts.viruses.Add(1)
		r.Name, r.Category = s.cfg.Name+"_virus", filter.Virus
		r.Sentence = fmt.Sprintf("%s found the virus %s.", s.cfg.Name, f.virus)
		return []filter.Remark{r}
	}
	r.Name, r.Score = s.cfg.Name+"_"+row.remark, row.score
	r.Sentence = fmt.Sprintf("%s found %s, %s.", s.cfg.Name, f.virus, row.what)
	return []filter.Remark{r}
}

// clipped is what points count for.
func (s *Scanner) clipped(points float64) float64 {
	score := points * s.cfg.Weight
	if s.cfg.Clip > 0 {
		score = min(max(score, -s.cfg.Clip), s.cfg.Clip)
	}
	return score
}

// told is a remark that counts for nothing.
func (s *Scanner) told(name, format string, args ...any) []filter.Remark {
	return []filter.Remark{{Name: s.cfg.Name + "_" + name, Sentence: fmt.Sprintf(format, args...), Test: s.cfg.TestOnly}}
}

// Ping asks the scanner whether it is there, within pingTime.
func (s *Scanner) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	return s.engine.ping(ctx)
}

// source remembers that the scanner was shown something of the letter, and that it was the
// letter that could not be read.
type source struct {
	r     io.Reader
	shown bool
	err   error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.shown = true
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

var _ filter.Check = (*Scanner)(nil)
