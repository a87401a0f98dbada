package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/vfs"
)

const (
	// memoMost is how many findings are remembered, memoText how much of each, in bytes,
	// and memoryMost how large the file may be that is read.
	memoMost   = 1000
	memoText   = 500
	memoryMost = 4 << 20
)

// memory is what the postmaster has been told.
type memory struct {
	// Day is when the last run was.
	Day time.Time `json:"day"`
	// Told are the findings that are bad, as he knows them.
	Told []memo `json:"told"`
}

// memo is one of them.
type memo struct {
	Key   string    `json:"key"`
	Job   string    `json:"job"`
	Level Level     `json:"level"`
	What  string    `json:"what"`
	Since time.Time `json:"since"`
}

// recall reads the file; one that is not there, or that can't be understood, is an empty
// memory.
func recall(f vfs.FS, file string) (m memory, err error) {
	in, err := f.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, memoryMost))
	if err != nil {
		return m, err
	}
	if json.Unmarshal(text, &m) != nil {
		m = memory{}
	}
	return m, nil
}

// keep writes it, all or nothing.
func (m memory) keep(f vfs.FS, file string) error {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	return vfs.WriteFile(f, file, append(text, '\n'), 0o600)
}

// news is what is to be told of a run.
type news struct {
	worse  []Finding
	mended []memo
}

// learn compares a run with what is known: what is bad and was not, or was less so, is news;
// and so is what was bad and is not, if its check could tell. A check that could not tell,
// of anything that it looks at, changes nothing of what it had found.
func (m memory) learn(list []Finding, now time.Time) (next memory, n news) {
	next.Day = now
	unsure, ran := map[string]bool{}, map[string]bool{}
	worst := map[string]Finding{}
	var order []string
	for _, f := range list {
		ran[f.job()] = true
		unsure[f.job()] = unsure[f.job()] || f.Level == Unknown
		if known, seen := worst[f.key()]; f.isBad() && (!seen || f.Level == Failure && known.Level == Warning) {
			if !seen {
				order = append(order, f.key())
			}
			worst[f.key()] = f
		}
	}
	before := map[string]memo{}
	for _, t := range m.Told {
		before[t.Key] = t
		if _, still := worst[t.Key]; still || !ran[t.Job] {
			continue // told below, or of a domain that is no more
		}
		if unsure[t.Job] {
			next.add(t)
		} else {
			n.mended = append(n.mended, t)
		}
	}
	for _, key := range order {
		f := worst[key]
		was, known := before[key]
		t := memo{Key: key, Job: f.job(), Level: f.Level, What: clip(f.What), Since: now}
		if known {
			t.Since = was.Since
		}
		if next.add(t) && (!known || was.Level == Warning && f.Level == Failure) {
			n.worse = append(n.worse, f)
		}
	}
	return next, n
}

// add remembers one more, if there is room.
func (m *memory) add(t memo) bool {
	if len(m.Told) == memoMost {
		return false
	}
	m.Told = append(m.Told, t)
	return true
}

func clip(s string) string {
	if len(s) > memoText {
		return strings.ToValidUTF8(s[:memoText], "") + "…"
	}
	return s
}

// lettersMost is how many findings one letter has in full.
const lettersMost = 100

// letter is the news for the postmaster.
func (n news) letter(host string) (subject, text string) {
	sortFindings(n.worse)
	var b strings.Builder
	if len(n.worse) > 0 {
		fmt.Fprintf(&b, "Something has become worse on %s since it was last looked at.\n\n", host)
		page := Page{Findings: n.worse[:min(len(n.worse), lettersMost)], All: true}
		page.Write(&b) //nolint:errcheck // a strings.Builder takes all
		if more := len(n.worse) - lettersMost; more > 0 {
			fmt.Fprintf(&b, "and %d more.\n\n", more)
		}
	}
	if len(n.mended) > 0 {
		b.WriteString("This is well again:\n\n")
		for _, t := range n.mended[:min(len(n.mended), lettersMost)] {
			fmt.Fprintf(&b, "  since %s: %s\n", t.Since.UTC().Format(time.DateOnly), plain(t.What))
		}
		b.WriteString("\n")
	}
	b.WriteString("\"facteur doctor\" tells all there is now, docs/DOCTOR.md what it means. This letter comes\nonce for each thing that has become worse, and once when it is mended.\n")
	return n.subject(host), b.String()
}

func (n news) subject(host string) string {
	switch {
	case len(n.worse) == 0:
		return host + ": something is well again"
	case slices.ContainsFunc(n.worse, func(f Finding) bool { return f.Level == Failure }):
		return host + ": something fails, as others see it"
	}
	return host + ": something has become worse, as others see it"
}
