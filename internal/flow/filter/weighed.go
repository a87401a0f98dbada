package filter

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// Weighed is a letter whose evidence was added up. Each letter of a stranger that checks
// looked at has one, once all is known; and each of our own that was looked at.
type Weighed struct {
	ID                 queue.ID
	Session, MessageID string
	Client             Client
	Sender             address.Address
	// Recipients are as the client named them, Outcome has their fates in the same order.
	Recipients []address.Address
	Outcome    Outcome
	Size       int64
	Took       time.Duration
	// Own: it is one of our own users', which is not scored.
	Own bool
	// Overruled: a rule of the admin's decided what becomes of it, with Outcome.Reply or, by
	// nil, in silence.
	Overruled bool
}

// Level implements event.Event.
func (Weighed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Weighed) Record() (string, []slog.Attr) {
	f := &e.Outcome.Shown
	return "weighed", []slog.Attr{slog.String("id", e.ID.String()), slog.String("session", e.Session),
		slog.String("client", e.Client.Addr.Unmap().String()), slog.String("from", e.Sender.String()), slog.String("to", e.to()),
		slog.String("fate", string(f.Disposition)), slog.String("category", e.class()), slog.Float64("score", f.Tally.Score),
		slog.Float64("required", f.Wants.Junk), slog.String("tests", f.Tally.tests()), slog.String("would", string(f.Would)), slog.Int64("took_ms", e.Took.Milliseconds())}
}

func (e *Weighed) to() string {
	all := make([]string, len(e.Recipients))
	for i, a := range e.Recipients {
		all[i] = "<" + a.String() + ">"
	}
	if most := 20; len(all) > most {
		all = append(all[:most], fmt.Sprintf("and %d more", len(e.Recipients)-most))
	}
	return strings.Join(slices.Compact(all), ",")
}

// class is what the letter is in amavis' words: CLEAN, SPAMMY (it is junk), SPAM (above the
// level kill), INFECTED, BANNED, BAD-HEADER.
func (e *Weighed) class() string {
	f := &e.Outcome.Shown
	switch {
	case f.Category == Virus:
		return "INFECTED"
	case f.Category == Banned:
		return "BANNED"
	case f.Category == BadHeader:
		return "BAD-HEADER"
	case f.Tally.Score >= f.Wants.Kill && !f.Allowed:
		return "SPAM"
	case f.IsSpam():
		return "SPAMMY"
	}
	return "CLEAN"
}

// Line implements event.Event: what amavis writes about a letter, as far as programs that
// count such lines look at it.
func (e Weighed) Line() (string, string) {
	f := &e.Outcome.Shown
	did, way := "Passed", "RelayedInbound"
	switch {
	case e.Outcome.Reply != nil && e.Outcome.Reply.Permanent():
		did, way = "Blocked", "RejectedInbound"
	case e.Outcome.Reply != nil:
		did, way = "Blocked", "TempFailedInbound"
	case f.Disposition == Discard:
		did, way = "Blocked", "DiscardedInbound"
	case f.Disposition == Quarantined:
		did, way = "Blocked", "DiscardedInbound,Quarantined"
	case f.IsSpam():
		way = "RelayedTaggedInbound"
	}
	if e.Overruled && e.Outcome.Reply == nil {
		did, way = "Blocked", "DiscardedInbound"
	}
	if e.Own {
		way = strings.ReplaceAll(way, "Inbound", "Outbound")
	}
	line := fmt.Sprintf("(%s) %s %s {%s}, [%s] <%s> -> %s, Queue-ID: %s", e.ID, did, e.class(), way,
		e.Client.Addr.Unmap(), e.Sender, e.to(), e.ID)
	if e.MessageID != "" {
		line += ", Message-ID: " + shown(e.MessageID)
	}
	return "amavis", line + fmt.Sprintf(", Hits: %s, size: %d, %s, %d ms", number(f.Tally.Score), e.Size, f.Tally.tests(), e.Took.Milliseconds())
}

// Step implements event.Stepper.
func (e Weighed) Step() event.Step {
	s := event.Step{Kind: event.Judged, Item: e.ID.String(), Session: e.Session, MessageID: e.MessageID,
		Client: event.Client{Name: e.Client.Name, Addr: e.Client.Addr}, Helo: e.Client.Helo, Sender: e.Sender.String(), Rule: "filter"}
	if c := e.Outcome.Shown.Category; c != "" && !e.Overruled {
		s.Rule = "filter." + string(c)
	}
	if e.Outcome.Reply != nil {
		s.Reply, s.Recipients = e.Outcome.Reply.Error(), named(e.Recipients)
	}
	s.Sentence, s.Table = e.sentence(), e.Outcome.Shown.Tally.Table()
	return s
}

// named are the recipients of a letter that is not taken, as no other step names them: they
// ask why they did not get it.
func named(to []address.Address) []string {
	out := make([]string, 0, len(to))
	for _, a := range to {
		if s := a.String(); len(out) == 0 || out[len(out)-1] != s { // an alias that led to several
			out = append(out, s)
		}
	}
	return out
}

// sentence is how it adds up, and what becomes of the letter for whom.
func (e *Weighed) sentence() string {
	f := &e.Outcome.Shown
	if e.Own {
		return "The message is our own and was looked at for what must not go out. " + e.fates()
	}
	points := fmt.Sprintf("The filter gave the message %s points; from %s on a letter is junk.", number(f.Tally.Score), number(f.Wants.Junk))
	if e.Overruled {
		return points + " What becomes of it, a rule has said."
	}
	return points + " " + e.fates()
}

// fates is what becomes of it; one sentence for all who share it.
func (e *Weighed) fates() string {
	var told []string
	for i := range e.Outcome.Fates {
		f := &e.Outcome.Fates[i]
		s := f.sentence()
		if !e.share() && i < len(e.Recipients) {
			s = "For <" + e.Recipients[i].String() + ">: " + s
		}
		if !slices.Contains(told, s) && len(told) < 20 {
			told = append(told, s)
		}
	}
	return strings.Join(told, " ")
}

// share tells that all recipients have the same fate.
func (e *Weighed) share() bool {
	f := e.Outcome.Fates
	return !slices.ContainsFunc(f, func(x Fate) bool {
		return x.Disposition != f[0].Disposition || x.Because != f[0].Because || x.Would != f[0].Would
	})
}

// sentence is what is to become of it, and why. The greylist may still put it off, or the
// disk be full: the steps behind this one tell what became of it.
func (f *Fate) sentence() string {
	what := map[Disposition]string{Accept: "It may pass.", Junk: "It is for the junk folder.", Reject: "It was refused.",
		Quarantined: "It is for the quarantine.", Discard: "It is to be thrown away.", Defer: "The client was asked to come again."}[f.Disposition]
	if f.Because != "" {
		what = f.Because + " " + what
	}
	if f.Would != "" {
		what += fmt.Sprintf(" (test-only) %s It would %s.", f.WouldBecause, would[f.Would])
	}
	return what
}

// would is what would become of a letter.
var would = map[Disposition]string{Accept: "be accepted", Junk: "go to the junk folder", Reject: "be refused",
	Quarantined: "be put into quarantine", Discard: "be thrown away", Defer: "be put off"}

// Table is the evidence, a line for each remark, the weightiest first: what it counted
// for, its name, and what it is about.
func (t *Tally) Table() (lines []string) {
	for _, r := range t.Weightiest() {
		lines = append(lines, fmt.Sprintf("%7s  %-24s %s", r.Weight(), nameOf(cmp.Or(r.Name, r.Check)), strings.TrimSpace(r.Sentence+r.aside())))
	}
	return lines
}

// Weightiest are the rows, those that counted most first.
func (t *Tally) Weightiest() []Counted {
	rows := slices.Clone(t.Rows)
	slices.SortStableFunc(rows, func(a, b Counted) int { return cmp.Compare(math.Abs(b.Counts), math.Abs(a.Counts)) })
	return rows
}

// Weight is what a row counted for: "1.5", its category, or "-".
func (r *Counted) Weight() string {
	switch {
	case r.Category != "":
		return string(r.Category)
	case r.Name == "":
		return "-"
	}
	return number(r.Counts)
}

// aside says why a row did not count as much as it says, and what it cost.
func (r *Counted) aside() (s string) {
	switch r.Note {
	case "clipped":
		s = " (" + number(r.Score) + " by itself; no single check condemns)"
	case "test":
		s = " (" + number(r.Score) + " if it were not on trial)"
	case "off":
		s = " (switched off)"
	case "set":
		s = " (as set; " + number(r.Score) + " by default)"
	}
	if r.Cost >= time.Millisecond {
		s += " [" + strconv.FormatInt(r.Cost.Milliseconds(), 10) + " ms]"
	}
	return s
}

var (
	_ event.Event   = Weighed{}
	_ event.Stepper = Weighed{}
)
