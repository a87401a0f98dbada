package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// found is a day's findings in a few words: "mx:failure ptr:ok".
func found(day string) (list []Finding) {
	for word := range strings.FieldsSeq(day) {
		check, level, _ := strings.Cut(word, ":")
		list = append(list, Finding{Check: check, Subject: "s", Level: Level(level), What: check + " is " + level + "."})
	}
	return list
}

func toldOf(n news) string {
	var words []string
	for _, f := range n.worse {
		words = append(words, "+"+f.Check)
	}
	for _, t := range n.mended {
		words = append(words, "-"+strings.TrimSpace(t.Job))
	}
	return strings.Join(words, " ")
}

// Each thing that becomes worse is told once, and once when it is mended; what could not
// be told is no news.
func TestLearn(t *testing.T) {
	t.Parallel()
	for name, days := range map[string][]string{ // findings = what is told
		"worse, and mended":                {"mx:ok =", "mx:failure =+mx", "mx:failure =", "mx:ok =-mx", "mx:ok ="},
		"told at the first run":            {"mx:warning =+mx", "mx:warning ="},
		"a warning becomes a failure":      {"mx:warning =+mx", "mx:failure =+mx", "mx:warning =", "mx:failure =+mx"},
		"unknown changes nothing":          {"mx:failure =+mx", "mx:unknown =", "mx:failure =", "mx:unknown =", "mx:ok =-mx"},
		"unknown of a part changes no job": {"mx:failure =+mx", "mx:unknown mx:ok =", "mx:ok =-mx"},
		"notes are no news":                {"mx:note =", "mx:ok ="},
		"a domain that is no more":         {"mx:failure ptr:ok =+mx", "ptr:ok =", "mx:failure =+mx"},
		"two at once":                      {"mx:ok spf:failure =+spf", "mx:warning spf:ok =+mx -spf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m memory
			for i, day := range days {
				findings, want, _ := strings.Cut(day, "=")
				next, n := m.learn(found(findings), now.AddDate(0, 0, i))
				if got := toldOf(n); got != want {
					t.Fatalf("day %d (%s): told %q, want %q", i, findings, got, want)
				}
				m = next
			}
		})
	}
}

// What is remembered has a bound.
func TestMemoryBound(t *testing.T) {
	t.Parallel()
	var list []Finding
	for i := range 5000 {
		list = append(list, Finding{Check: "mx", Domain: fmt.Sprint(i), Level: Failure, What: strings.Repeat("x", 5000)})
	}
	m, n := memory{}.learn(list, now)
	disk := vfs.NewMem()
	if err := m.keep(disk, "/doctor.json"); err != nil {
		t.Fatal(err)
	}
	info, err := disk.Stat("/doctor.json")
	if err != nil || info.Size > memoryMost || len(m.Told) != memoMost {
		t.Errorf("%d bytes, %d told, %v", info.Size, len(m.Told), err)
	}
	if back, err := recall(disk, "/doctor.json"); err != nil || len(back.Told) != memoMost {
		t.Errorf("%d come back, %v", len(back.Told), err)
	}
	if _, text := n.letter("mail.example.org"); len(text) > 1<<20 {
		t.Errorf("a letter of %d bytes", len(text))
	}
}

// A file that can't be understood is a memory without anything in it.
func TestMemoryDamaged(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	if err := vfs.WriteFile(disk, "/doctor.json", []byte(`{"told": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := recall(disk, "/doctor.json"); err != nil || len(m.Told) > 0 {
		t.Errorf("%v %v", m, err)
	}
}

func letterAbout(text string) string {
	var about []string
	text, mended, _ := strings.Cut(text, "This is well again:")
	if mended != "" {
		text += "well again"
	}
	for _, check := range []string{"mx is failure", "spf is warning", "well again"} {
		if strings.Contains(text, check) {
			about = append(about, check)
		}
	}
	return strings.Join(about, ", ")
}

// A week of days: one run each, a letter where there is news, also over restarts, and none
// while nobody wants it.
func TestDaily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		days := []string{"mx:ok", "mx:failure", "mx:failure spf:warning", "mx:failure spf:warning", "mx:ok spf:warning", "mx:ok spf:ok"}
		run, letters, wanted, broken := 0, []string{}, true, false
		d := &Daily{FS: vfs.NewMem(), File: "/doctor.json", Host: "mail.example.org", Events: event.Discard,
			Wanted: func() bool { return wanted },
			Look: func(context.Context) ([]Finding, error) {
				run++
				return found(days[min(run, len(days))-1]), nil
			},
			Tell: func(_ context.Context, subject, text string) error {
				if broken {
					return errors.New("no room")
				}
				letters = append(letters, letterAbout(text))
				return nil
			}}
		live := func(days int) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); d.Run(ctx) }()
			time.Sleep(time.Duration(days)*24*time.Hour + 90*time.Minute)
			cancel()
			<-done
		}
		live(1)
		if run != 2 || len(letters) != 1 || letters[0] != "mx is failure" {
			t.Fatalf("%d runs, letters %q", run, letters)
		}
		broken = true
		live(0) // started anew: not again within the day
		if run != 2 {
			t.Fatalf("%d runs after a restart", run)
		}
		time.Sleep(22 * time.Hour)
		live(0)
		broken = false // spf could not be told of: tomorrow
		time.Sleep(22 * time.Hour)
		live(0)
		if run != 4 || len(letters) != 2 || letters[1] != "spf is warning" {
			t.Fatalf("%d runs, letters %q", run, letters)
		}
		wanted = false
		live(3)
		if run != 4 {
			t.Fatal("it ran though nobody wants it")
		}
		wanted = true
		live(1)
		if len(letters) != 4 || letters[2] != "well again" || letters[3] != "well again" {
			t.Fatalf("%d runs, letters %q", run, letters)
		}
	})
}

// A crash at any operation leaves what was told, or what was told before; a letter may
// come twice, and none is lost.
func TestDailyCrash(t *testing.T) {
	t.Parallel()
	days := []string{"mx:failure", "mx:failure spf:warning", "spf:warning mx:ok"}
	for n := 1; ; n++ {
		disk := vfs.NewMem()
		disk.StopAfter(n)
		letters := map[string]int{}
		live := func(on *vfs.Mem, from int) int {
			for i := from; i < len(days); i++ {
				d := &Daily{FS: on, File: "/doctor.json", Host: "h", Events: event.Discard,
					Look: func(context.Context) ([]Finding, error) { return found(days[i]), nil },
					Tell: func(_ context.Context, _, text string) error { letters[fmt.Sprint(i, letterAbout(text))]++; return nil }}
				if d.Once(context.Background()) != nil {
					return i
				}
			}
			return len(days)
		}
		done := live(disk, 0)
		if done < len(days) {
			live(disk.Crash(uint64(n)), done)
		}
		for _, want := range []string{"0mx is failure", "1spf is warning", "2well again"} {
			if got := letters[want]; got < 1 || got > 2 {
				t.Fatalf("operation %d: %d letters %q of %v", n, got, want, letters)
			}
		}
		if done == len(days) {
			return
		}
	}
}
