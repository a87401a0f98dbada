package smtpd

import (
	"log/slog"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/mail/smtp"
)

const (
	// Of a session, the beginning and the end are kept, in bytes each.
	transcriptPart = 2 << 10
	// transcriptLine is how much of a line is, in bytes.
	transcriptLine = 200
)

// transcript is what was said in a session, kept where the postmaster wants letters
// about clients that were refused or broke the rules (Rules.Transcripts). It has no
// messages, and nothing that may be a password.
type transcript struct {
	first, last saidLines
	left        int                  // lines between them
	topics      map[event.Topic]bool // what went wrong
	secret      bool                 // AUTH was refused: what follows may be a password all the same
}

type saidLines struct {
	lines []string
	size  int
}

// heard writes a command down.
func (t *transcript) heard(v smtp.Verb, line []byte) {
	if t == nil {
		return
	}
	text := string(line[:min(len(line), transcriptLine)])
	switch {
	case v == smtp.AUTH:
		words := strings.Fields(text)
		text = strings.Join(words[:min(len(words), 2)], " ")
		if len(words) > 2 {
			text += " (not shown)"
		}
		t.secret = true
	case v == smtp.Unknown && t.secret:
		text = "(not shown)"
	default:
		t.secret = false
	}
	t.add(" In:  " + text)
}

// said writes a reply down.
func (t *transcript) said(reply []byte) {
	if t == nil {
		return
	}
	for line := range strings.Lines(string(reply)) {
		t.add(" Out: " + strings.TrimSuffix(line, "\r\n"))
	}
}

// add keeps a line, and forgets one in the middle when there are too many.
func (t *transcript) add(line string) {
	line = event.Clean(line, transcriptLine)
	if t.last.lines == nil && t.first.size+len(line) <= transcriptPart {
		t.first.add(line)
		return
	}
	for t.last.add(line); t.last.size > transcriptPart; t.left++ {
		t.last.size -= len(t.last.lines[0])
		t.last.lines = t.last.lines[1:]
	}
}

func (l *saidLines) add(line string) { l.lines, l.size = append(l.lines, line), l.size+len(line) }

// about notes an event that somebody may want the transcript for.
func (t *transcript) about(e event.Topical) {
	if topic := e.Topic(); t != nil && topic != event.NoTopic {
		t.topics[topic] = true
	}
}

// tell sends it where it is wanted, when the session is over.
func (t *transcript) tell(c Client, to event.Sink) {
	if t == nil || len(t.topics) == 0 {
		return
	}
	for _, topic := range []event.Topic{event.Policy, event.Protocol} {
		if t.topics[topic] {
			to.Emit(Transcript{Client: c, About: topic, said: t})
		}
	}
}

// Transcript is what was said in a session in which something went wrong. It is for
// letters, and not for the log.
type Transcript struct {
	Client Client
	About  event.Topic
	said   *transcript
}

// Level implements event.Event.
func (Transcript) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (Transcript) Record() (string, []slog.Attr) { return "", nil }

// Line implements event.Event.
func (Transcript) Line() (string, string) { return "", "" }

// Topic implements event.Topical.
func (e Transcript) Topic() event.Topic { return e.About }

// Detail implements event.Detailed.
func (e Transcript) Detail() []string {
	lines := append([]string{e.Client.String()}, e.said.first.lines...)
	if e.said.left > 0 {
		lines = append(lines, " ...")
	}
	return append(lines, e.said.last.lines...)
}

var _ event.Detailed = Transcript{}
