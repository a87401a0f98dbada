package bounce

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/refusal"
)

const (
	// gather is how long the first event of a topic waits for others.
	gather = 10 * time.Second
	// summaryLines is how many events a letter quotes, summaryLine how much of each, in
	// bytes. The others are counted.
	summaryLines, summaryLine = 100, 1 << 10
	// summaryDetail is how much a letter has beside them, in bytes.
	summaryDetail = 16 << 10
)

// Summary is a sink that writes letters to the postmaster about what he wants to hear
// of, as Postfix does for notify_classes: one letter a topic and interval at most, with
// the lines of the log in it, however much happens. What it has not written yet is lost
// in a crash: the log has it too.
type Summary struct {
	writer atomic.Pointer[Writer]
	next   event.Sink // hears of what goes wrong
	// write sends the letter about a topic.
	write func(topic event.Topic, g gathered)

	mu     sync.Mutex
	topics map[event.Topic]*pending
	closed bool
	busy   sync.WaitGroup // letters that are waited for, or being written
}

// pending is what there is to tell about a topic.
type pending struct {
	gathered
	sent  time.Time // the last letter
	timer *time.Timer
}

// gathered is what a letter tells: how often something happened, the lines of the log,
// and what else there is to read about it.
type gathered struct {
	lines   []string
	count   int
	details []string
	size    int // of the details, in bytes
	more    int // for which there was no room
}

func (g *gathered) add(e event.Event, now time.Time) {
	if d, detailed := e.(event.Detailed); detailed {
		g.addDetail(d.Detail())
		return
	}
	if g.count++; len(g.lines) < summaryLines {
		g.lines = append(g.lines, summaryText(e, now))
	}
}

// addDetail keeps all of it or nothing.
func (g *gathered) addDetail(lines []string) {
	text := ""
	for _, line := range lines {
		text += "  " + event.Clean(line, summaryLine) + "\n"
	}
	if g.size+len(text) > summaryDetail {
		g.more++
		return
	}
	g.details, g.size = append(g.details, text), g.size+len(text)
}

// NewSummary makes a Summary, which tells next what it can't write down. It forgets what
// it is told until it has a Writer.
func NewSummary(next event.Sink) *Summary {
	m := &Summary{next: next, topics: map[event.Topic]*pending{}}
	m.write = m.tell
	return m
}

// Open lets it write its letters.
func (m *Summary) Open(w *Writer) { m.writer.Store(w) }

// Emit implements event.Sink: events of a topic that somebody wants to hear of are
// kept. It does not pass them on.
func (m *Summary) Emit(e event.Event) {
	topical, ok := e.(event.Topical)
	w := m.writer.Load()
	if !ok || w == nil {
		return
	}
	topic := topical.Topic()
	if topic == event.NoTopic {
		return
	}
	s := w.settings()
	if _, wanted := s.Topics[topic]; wanted {
		m.keep(topic, e, s.interval(), time.Now())
	}
}

// keep writes an event down, and sees that a letter is written in time.
func (m *Summary) keep(topic event.Topic, e event.Event, interval time.Duration, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	p := m.topics[topic]
	if p == nil {
		p = &pending{}
		m.topics[topic] = p
	}
	p.add(e, now)
	if p.timer == nil {
		wait := max(gather, p.sent.Add(interval).Sub(now))
		m.busy.Add(1)
		p.timer = time.AfterFunc(wait, func() { m.flush(topic) })
	}
}

// summaryText is an event as the log has it.
func summaryText(e event.Event, now time.Time) string {
	program, text := e.Line()
	if text == "" {
		program, text = "facteur", fmt.Sprint(e.Record())
	}
	return now.Format(time.DateTime) + " " + program + ": " + event.Clean(text, summaryLine)
}

// flush sends what has gathered about a topic.
func (m *Summary) flush(topic event.Topic) {
	defer m.busy.Done()
	m.mu.Lock()
	p := m.topics[topic]
	g := p.gathered
	p.gathered, p.timer, p.sent = gathered{}, nil, time.Now()
	m.mu.Unlock()
	m.write(topic, g)
}

// tell puts the letter into the queue. Where nobody reads it, the log says so instead: as
// often as there would be a letter.
func (m *Summary) tell(topic event.Topic, g gathered) {
	if err := m.writer.Load().tellPostmaster(context.Background(), topic, g, time.Now()); err != nil {
		m.next.Emit(event.Note{Severity: slog.LevelWarn, Program: "postfix/bounce",
			Text: fmt.Sprintf("a letter to the postmaster about %s (%d events) could not be written: %v", topic, g.count, err)})
	}
}

// Close writes what is left, and takes no more.
func (m *Summary) Close() {
	m.mu.Lock()
	m.closed = true
	var left []event.Topic
	for topic, p := range m.topics {
		if p.timer != nil && p.timer.Stop() {
			left = append(left, topic)
		}
	}
	m.mu.Unlock()
	slices.Sort(left)
	for _, topic := range left {
		m.flush(topic)
	}
	m.busy.Wait()
}

// summaryWords are what a letter to the postmaster says.
var summaryWords = map[event.Topic]refusal.Text{
	event.Resource:     {En: "The server has run out of something that it needs: room on the disk, memory or open files.", Fr: "Le serveur manque d’une ressource : place sur le disque, mémoire ou fichiers ouverts."},
	event.Software:     {En: "Something failed in the server itself.", Fr: "Quelque chose a échoué dans le serveur lui-même."},
	event.Bounce:       {En: "Messages could not be delivered; their senders were told.", Fr: "Des messages n’ont pas pu être remis ; leurs expéditeurs en sont avertis."},
	event.DoubleBounce: {En: "Notices could not be delivered, and there is nobody else to tell.", Fr: "Des avis n’ont pas pu être remis, et il n’y a personne d’autre à avertir."},
	event.Delay:        {En: "Messages are late; their senders were told.", Fr: "Des messages sont retardés ; leurs expéditeurs en sont avertis."},
	event.Policy:       {En: "Clients were refused.", Fr: "Des clients ont été refusés."},
	event.Protocol:     {En: "Clients did not keep to the protocol.", Fr: "Des clients n’ont pas respecté le protocole."},
	event.Complaint:    {En: "People complain about mail that was sent from here.", Fr: "Des destinataires se plaignent de courrier envoyé d’ici."},
	event.Quarantine:   {En: "Letters were put into quarantine: viruses, spam or the like. “facteur quarantine list” shows them.", Fr: "Des lettres ont été mises en quarantaine : virus, courrier indésirable… « facteur quarantine list » les montre."},
	event.Data:         {En: "Deliveries wait for something of the server’s own: its disk, its directory.", Fr: "Des remises attendent quelque chose du serveur lui-même : son disque, son annuaire."},
}

var (
	summaryCount    = refusal.Text{En: "How often it happened: %d. From the log:", Fr: "Nombre de fois : %d. Extrait du journal :"}
	summaryEnd      = refusal.Text{En: "The log has it all. A letter about this comes every %d min at most.", Fr: "Le journal contient tout. Une lettre à ce sujet vient au plus toutes les %d min."}
	summarySessions = refusal.Text{En: "What was said (In: by the client, Out: by this server):", Fr: "Ce qui s’est dit (In : par le client, Out : par ce serveur) :"}
	summaryMore     = refusal.Text{En: "Further sessions, for which there was no room: %d.", Fr: "Autres sessions, faute de place : %d."}
	summaryTitle    = refusal.Text{En: "%s: notice for the postmaster: %s", Fr: "%s : avis à l’administrateur : %s"}
	summarySender   = refusal.Text{En: "Mail delivery system", Fr: "Service de courrier"}
)

// print writes it into a letter.
func (g *gathered) print(b *strings.Builder, language string) {
	if g.count > 0 {
		fmt.Fprintf(b, summaryCount.In(language)+"\n\n", g.count)
	}
	for _, line := range g.lines {
		b.WriteString("  " + line + "\n")
	}
	if len(g.lines) > 0 {
		b.WriteString("\n")
	}
	if len(g.details) > 0 {
		b.WriteString(summarySessions.In(language) + "\n\n" + strings.Join(g.details, "\n") + "\n")
	}
	if g.more > 0 {
		fmt.Fprintf(b, summaryMore.In(language)+"\n\n", g.more)
	}
}

// tellPostmaster commits a letter about a topic. Where nobody reads it, there is none, and
// the error says whose mailbox is missing.
func (w *Writer) tellPostmaster(ctx context.Context, topic event.Topic, g gathered, now time.Time) error {
	s := w.settings()
	to, err := w.postmaster(ctx, s, topic)
	if err != nil {
		return err
	}
	if to.Address.IsNull() {
		return fmt.Errorf("there is no mailbox for %s; make an account or an alias of that name, or name another address in [notices]", s.reader(topic))
	}
	language := s.language(to.Address, nil)
	var b strings.Builder
	b.WriteString(summaryWords[topic].In(language) + "\n\n")
	g.print(&b, language)
	fmt.Fprintf(&b, summaryEnd.In(language)+"\n", int(s.interval().Minutes()))
	letter := dsn.Letter{Host: w.hostname, To: to.Address, Date: now, MessageID: w.messageID(now), Language: language, Sender: summarySender.In(language),
		Subject: fmt.Sprintf(summaryTitle.In(language), w.hostname, topic), Text: b.String()}
	return w.outbox.Commit(ctx, dsn.BuildLetter(letter), w.item(to, fromPostmaster, now), letter.MessageID)
}
